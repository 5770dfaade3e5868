"""The dense leg in ranges: workers read their rows of the chunk table, and score as one process does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.errors import MachineError
from nightrank.storage.lance.table import ChunkTable, vectors_of
from nightrank.tasks.dense.retrieve import StoredVectors, add_nearest, blocks_of, rows_held
from nightrank.tasks.legs.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nightrank.storage.bucket.shards import SharedFolder
    from nightrank.storage.lance.place import LancePlace
    from nightrank.storage.legs import LegName
    from nightrank.tasks.dense.scan import Block
    from nightrank.tasks.kernels.top_documents import RunningTopDocuments
    from nightrank.tasks.kernels.top_k import RunningTopK

_PLACED = pa.schema(
    [
        pa.field("number", pa.int32(), nullable=False),
        pa.field("place", pa.int64(), nullable=False),
        pa.field("chunk_hash", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class DenseRanges:
    """A version of a chunk table.

    Attributes:
        place: Where it is.
        name: The table's.
        version: Of the table.
    """

    place: LancePlace
    name: str
    version: int

    @property
    def leg(self) -> LegName:
        """Which leg."""
        return "dense"

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
            asked: ``vector``.
            rows: ``place`` in the table's stream, and ``chunk_hash``.
            best: Texts of as many queries; None where none are wanted.
            documents: Documents of as many queries; None where none are wanted.
            device: As torch names it.

        Raises:
            MachineError: A text is not there.
        """
        table = ChunkTable.open(self.place, name=self.name, version=self.version)
        texts = Texts.of(rows.column("chunk_hash"))
        places = np.sort(rows.column("place").to_numpy())
        batches = table.at(places, ["vector"], rows=rows_held(asked.num_rows))
        blocks = _all_of(blocks_of(batches, texts, dimensions=table.dimensions), expected=len(texts))
        queries = vectors_of(asked, table.dimensions)
        add_nearest(best, queries, blocks, documents=documents, device=None if device == "cpu" else device)


class RangedVectors(StoredVectors):
    """Vectors of a chunk table that workers find too."""

    def placed(self, texts: Texts, chunk_hashes: pa.Array | None) -> pa.Table:
        """Where some texts lie: ``number``, ``place`` and ``chunk_hash``, by place; what is not there is missing.

        Args:
            texts: The collection.
            chunk_hashes: string (n,); None for all of it.
        """
        is_wanted = np.ones(len(texts) + 1, dtype=np.bool_)
        if chunk_hashes is not None:
            is_wanted[:] = False
            is_wanted[texts.numbers_of(chunk_hashes)] = True
        is_wanted[-1] = False  # of what is no text
        parts, seen = [_PLACED.empty_table()], 0
        for batch in self.table.stream(["chunk_hash"]):
            numbers = texts.numbers_of(batch.column("chunk_hash"))
            rows = np.flatnonzero(is_wanted[numbers])
            parts.append(
                pa.table([numbers[rows], seen + rows, batch.column("chunk_hash").take(pa.array(rows))], schema=_PLACED)
            )
            seen += batch.num_rows
        return pa.concat_tables(parts)

    def range_scan(self, folder: SharedFolder) -> DenseRanges:  # noqa: ARG002 (the table is where all find it)
        """What finds them from elsewhere."""
        return DenseRanges(self.table.place, self.table.name, self.table.version)


def _all_of(blocks: Iterable[Block], *, expected: int) -> Iterator[Block]:
    """The same blocks, which must have so many texts."""
    found = 0
    for block in blocks:
        found += len(block[0])
        yield block
    if found != expected:
        message = f"LanceDB's table lacks {expected - found} of {expected} rows where the run has seen them."
        raise MachineError(message, remedy="Run again; the same version of LanceDB belongs on all machines.")
