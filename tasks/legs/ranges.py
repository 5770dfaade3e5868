"""The first stage in ranges: workers scan a range of a collection each, and what they find meets in one ranking.

A score depends on what the query and the text are, to the last bit, and on no other text; where it depends on counts,
as BM25's does, these are the whole collection's and come along. So what is best of a collection is the best of what is
best of its ranges, in whatever order they end, and ties fall as they do in one process: within a range texts, chunks
and documents are numbered anew, in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
import pyarrow as pa

from nightrank.tasks.kernels.top_documents import ChunksLeft, Documents, RunningTopDocuments
from nightrank.tasks.kernels.top_k import RunningTopK
from nightrank.tasks.runtime.progress import progress
from nightrank.tasks.runtime.retries import RETRIED
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.workers.cut import slices
from nightrank.tasks.workers.seats import device_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nightrank.storage.bucket.shards import SharedFile, SharedFolder
    from nightrank.storage.legs import LegName
    from nightrank.tasks.kernels.top_documents import TextChunks
    from nightrank.tasks.kernels.top_k import Entries
    from nightrank.tasks.workers.cut import Place, Sharding

FOUND = pa.schema(
    [
        pa.field("query_number", pa.int32(), nullable=False),
        pa.field("number", pa.int32(), nullable=False),  # of the text, or of the chunk
        pa.field("score", pa.float32(), nullable=False),
        pa.field("of_document", pa.bool_(), nullable=False),  # whether it is a chunk of one of the best documents
    ]
)


class RangeScan(Protocol):
    """How a leg scans a range of a collection, on any machine: a small record."""

    @property
    def leg(self) -> LegName:
        """Which leg."""
        ...

    def add_best(
        self,
        asked: pa.Table,
        rows: pa.Table,
        best: RunningTopK | None,
        documents: RunningTopDocuments | None,
        *,
        device: str,
    ) -> None:
        """Add the scores of every query against every text of the range that may be among its best.

        Args:
            asked: The queries, a row each, as the leg has them.
            rows: Where the leg finds the texts, a row each: texts are numbered by their rows.
            best: Texts of as many queries; None where none are wanted.
            documents: Documents of as many queries; None where none are wanted.
            device: As torch names it.

        Raises:
            MachineError: A text is not there.
        """
        ...


@dataclass(frozen=True, slots=True)
class RangeShard:
    """A range that some queries are to meet.

    Attributes:
        number: Its place among those of the scan, from 0.
        scan: Of the leg.
        asked: The queries, and ``floor``, what a score must reach.
        source: The range, as ``_Range`` reads it.
        depth: Texts a query; None where none are wanted.
        document_depth: Documents a query; None where none are wanted.
        chunks: Of a document that a leg lists at most.
        place: Where to compute.
    """

    number: int
    scan: RangeScan
    asked: SharedFile
    source: SharedFile
    depth: int | None
    document_depth: int | None
    chunks: int
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class _Range:
    """Some texts of a collection as a collection of their own.

    Attributes:
        rows: Where the leg finds them, by text number in the collection.
        chunk_numbers: int32 (n_chunks,), the numbers that its chunks have in the collection, ascending.
        texts: Which chunks say each text.
        documents: Behind the chunks.
    """

    rows: pa.Table
    chunk_numbers: NDArray[np.int32]
    texts: ChunksLeft
    documents: Documents

    @classmethod
    def of(cls, rows: pa.Table, *, chunks: int) -> Self:
        """The range of a shard: ``number``, and where documents count ``chunks`` and their ``documents``.

        Args:
            rows: By text number.
            chunks: Of a document that a leg lists at most.
        """
        if "chunks" not in rows.schema.names:
            return cls(
                rows,
                np.zeros(0, np.int32),
                ChunksLeft.of_chunks(np.zeros(0, np.bool_)),
                Documents(np.zeros(0, np.int32), 1),
            )
        listed, of_document = (rows.column(name).combine_chunks() for name in ("chunks", "documents"))
        starts = np.append(0, np.cumsum(listed.value_lengths().to_numpy())).astype(np.int64)
        numbers = listed.flatten().to_numpy()
        order = np.argsort(numbers)
        places = np.empty(numbers.size, dtype=np.int32)
        places[order] = np.arange(numbers.size, dtype=np.int32)
        _, of_chunk = np.unique(of_document.flatten().to_numpy()[order], return_inverse=True)
        return cls(rows, numbers[order], ChunksLeft(starts, places), Documents(of_chunk.astype(np.int32), chunks))


@stage_task("scan range", task_run_name="retrieve {shard.scan.leg} {shard.number}", retry=RETRIED)
def scan_range(shard: RangeShard) -> SharedFile:
    """Let the queries of a shard meet its range, on whatever machine this runs."""
    asked, met = shard.asked.read(), _Range.of(shard.source.read(), chunks=shard.chunks)
    floors = asked.column("floor").to_numpy()
    best = None if shard.depth is None else RunningTopK(asked.num_rows, shard.depth, floors=floors)
    documents = None
    if shard.document_depth is not None:
        documents = RunningTopDocuments(asked.num_rows, shard.document_depth, met.documents, texts=met.texts)
    with device_at(shard.place) as device:
        shard.scan.add_best(asked, met.rows, best, documents, device=device)
    found = [FOUND.empty_table()]
    if best is not None:
        queries, texts, scores = best.entries()
        found.append(_found(queries, met.rows.column("number").to_numpy()[texts], scores, of_document=False))
    if documents is not None:
        leg = documents.table()
        queries, places, scores = (leg.column(name).to_numpy() for name in ("query_number", "chunk_number", "score"))
        found.append(_found(queries, met.chunk_numbers[places], scores, of_document=True))
    return shard.source.folder.write(f"{shard.scan.leg}-{shard.number:06d}-done", pa.concat_tables(found))


@dataclass(frozen=True, slots=True)
class Ranges:
    """How the scans of a stage are done by workers.

    Attributes:
        sharding: How the work is cut.
        device: Of the run itself.
        folder: Where shards lie.
    """

    sharding: Sharding
    device: str
    folder: SharedFolder

    def add_best(
        self,
        scan: RangeScan,
        asked: pa.Table,
        rows: pa.Table,
        best: RunningTopK | None,
        documents: RunningTopDocuments | None,
        *,
        texts: TextChunks,
    ) -> None:
        """Add the scores of every query against every text that may be among its best, range by range.

        Args:
            scan: Of the leg.
            asked: The queries, a row each, as the leg has them.
            rows: The texts by ``number``, and where the leg finds them, in the order in which they lie there.
            best: Texts of as many queries; None where none are wanted.
            documents: Documents of as many queries; None where none are wanted.
            texts: Which chunks say each text.

        Raises:
            MachineError: A shard cannot be done.
        """
        size = self.sharding.rows(asked.num_rows, rows.num_rows) or max(1, rows.num_rows)
        floors = np.full(asked.num_rows, -np.inf, dtype=np.float32)
        if best is not None:  # documents ask for chunks that are none of the best texts
            floors = best.reached() if documents is None else best.floors
        self.folder.make()
        place = self.sharding.place_on(self.device)
        queries = self.folder.write(f"{scan.leg}-queries", asked.append_column("floor", pa.array(floors)))
        shards = [
            RangeShard(
                number,
                scan,
                queries,
                self.folder.write(f"{scan.leg}-{number:06d}", part),
                None if best is None else best.depth,
                None if documents is None else documents.depth,
                1 if documents is None else documents.documents.chunks,
                place,
            )
            for number, part in enumerate(_parts(rows, size, texts, None if documents is None else documents.documents))
        ]
        with progress("retrieving", rows.num_rows) as advance:
            for shard, output in self.sharding.workers.compute(scan_range, shards):
                found = output.read()
                if best is not None:
                    best.add(*_entries(found, of_document=False))
                if documents is not None:
                    documents.add(*_entries(found, of_document=True))
                shard.source.remove()
                output.remove()
                advance(shard.source.rows)
        queries.remove()


def _parts(rows: pa.Table, size: int, texts: TextChunks, documents: Documents | None) -> Iterator[pa.Table]:
    """Rows in ranges of at most so many, each by text number, with chunks and their documents where these count."""
    for part in slices(rows, size):
        ordered = part.sort_by("number")
        if documents is not None:
            numbers = ordered.column("number").to_numpy()
            starts, ends = texts.starts[numbers], texts.starts[numbers + 1]
            offsets = np.append(0, np.cumsum(ends - starts))
            chunks = texts.chunk_numbers[np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], ends - starts)]
            bounds = pa.array(offsets.astype(np.int32))
            for name, values in (("chunks", chunks), ("documents", documents.of_chunk[chunks])):
                ordered = ordered.append_column(name, pa.ListArray.from_arrays(bounds, pa.array(values)))
        yield ordered


def _found(
    queries: NDArray[np.int32], numbers: NDArray[np.int32], scores: NDArray[np.float32], *, of_document: bool
) -> pa.Table:
    return pa.table([queries, numbers, scores, np.full(queries.size, of_document)], schema=FOUND)


def _entries(found: pa.Table, *, of_document: bool) -> Entries:
    """What a range has found of texts, or of documents' chunks."""
    kept = found.column("of_document").to_numpy() == of_document
    query_numbers, numbers, scores = (found.column(name).to_numpy()[kept] for name in FOUND.names[:3])
    return query_numbers, numbers, scores
