"""The BM25 leg in ranges: workers read the postings of their chunks, and score as one process does.

What a term weighs in a query, and how long a chunk is on average, the run says: the whole collection decides it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.bm25.index import Bm25Store, ChunkSlots
from nightrank.tasks.bm25.retrieve import WeightedTerms, add_scores
from nightrank.tasks.kernels.top_documents import ChunksLeft

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nightrank.storage.bucket.lent import LentFile
    from nightrank.storage.legs import LegName
    from nightrank.tasks.kernels.top_documents import RunningTopDocuments
    from nightrank.tasks.kernels.top_k import RunningTopK
    from nightrank.tasks.legs.ranges import Ranges
    from nightrank.tasks.settings.index import Bm25Settings


@dataclass(frozen=True, slots=True)
class Bm25Ranges:
    """The statistics of a collection.

    Attributes:
        statistics: The file.
        settings: Variant, k1 and b.
        average_length: Of a chunk.
    """

    statistics: LentFile
    settings: Bm25Settings
    average_length: float

    @property
    def leg(self) -> LegName:
        """Which leg."""
        return "bm25"

    def add_best(
        self,
        asked: pa.Table,
        rows: pa.Table,
        best: RunningTopK | None,
        documents: RunningTopDocuments | None,
        *,
        device: str,  # noqa: ARG002 (processors alone)
    ) -> None:
        """Add the scores of the range's chunks that match.

        Args:
            asked: ``terms``, ``occurrences`` and ``idf``.
            rows: ``place``, the chunk's slot, and its ``length``.
            best: Chunks of as many queries; None where none are wanted.
            documents: Documents of as many queries; None where none are wanted.
            device: Not asked.
        """
        chunks = ChunkSlots(rows.column("place").to_numpy(), rows.column("length").to_numpy())
        with self.statistics.here() as path, Bm25Store.open(path) as store:
            add_scores(
                store,
                _terms_in(asked),
                best,
                documents,
                settings=self.settings,
                average_length=self.average_length,
                chunks=chunks,
            )


@dataclass(eq=False)
class SpreadScan:
    """A scan by workers, where it is more than one shard.

    Attributes:
        store: The statistics, open.
        path: Their file.
        settings: Variant, k1 and b.
        ranges: How workers scan.
    """

    store: Bm25Store
    path: Path
    settings: Bm25Settings
    ranges: Ranges

    def __call__(
        self,
        asked: WeightedTerms,
        best: RunningTopK | None,
        documents: RunningTopDocuments | None,
        *,
        allowed: NDArray[np.bool_] | None,
    ) -> None:
        """Add the scores of chunks that match to the best of as many queries; as ``retrieve.Scan`` has it."""
        count = self.store.chunk_count if allowed is None else int(np.count_nonzero(allowed))
        if self.ranges.sharding.rows(asked.queries, count) is None:
            average = self.store.average_length
            add_scores(
                self.store, asked, best, documents, settings=self.settings, average_length=average, allowed=allowed
            )
            return
        rows, texts = self._chunks
        if allowed is not None:
            rows = rows.filter(pa.array(allowed[rows.column("number").to_numpy()]))
        self.ranges.add_best(self._scan, _table_of(asked), rows, best, documents, texts=texts)

    @cached_property
    def _scan(self) -> Bm25Ranges:
        return Bm25Ranges(self.ranges.folder.lend(self.path), self.settings, self.store.average_length)

    @cached_property
    def _chunks(self) -> tuple[pa.Table, ChunksLeft]:
        """The chunks in the order in which their postings lie, each as a text of its own."""
        slots, lengths = self.store.slots(), self.store.lengths()
        order = np.argsort(slots).astype(np.int32)
        rows = pa.table({"number": order, "place": slots[order], "length": lengths[order]})
        return rows, ChunksLeft.of_chunks(np.ones(slots.size, dtype=np.bool_))


def _table_of(asked: WeightedTerms) -> pa.Table:
    """Queries as a table, a row each."""
    bounds = pa.array(asked.bounds.astype(np.int32))
    columns = {"terms": asked.terms, "occurrences": asked.occurrences, "idf": asked.idf}
    return pa.table({name: pa.ListArray.from_arrays(bounds, pa.array(values)) for name, values in columns.items()})


def _terms_in(asked: pa.Table) -> WeightedTerms:
    """The other way round."""
    terms, occurrences, idf = (asked.column(name).combine_chunks() for name in ("terms", "occurrences", "idf"))
    bounds = np.append(0, np.cumsum(terms.value_lengths().to_numpy())).astype(np.int64)
    return WeightedTerms(bounds, *(column.flatten().to_numpy() for column in (terms, occurrences, idf)))
