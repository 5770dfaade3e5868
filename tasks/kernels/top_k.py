"""Exact running top-k: the best chunks or documents of each query, seen in any order and cut into any blocks.

Both legs use it: BM25 adds what its postings sum up to, the dense leg whole blocks of scores. What comes out
does not depend on how the scores were cut into blocks: scores are compared as float32 and ties fall to
the lower chunk number, as ``storage.records.ranking_order`` has it. It knows nothing of where scores come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.errors import MachineError
from nightrank.storage.records import LEG, ranks_within

if TYPE_CHECKING:
    from numpy.typing import NDArray

    # Query numbers, chunk (or text) numbers and scores, each (n,).
    Entries = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]


QUERIES_AT_ONCE = 512  # of one thread's turn


class RunningTopK:
    """The ``depth`` best chunks of each query among all that were added.

    A (query, chunk) pair must be added once at most. A score of -inf says that the chunk is no result for the
    query (a filter, for one); any other finite score, zero and negative ones too, may become a result.
    Memory: 8 bytes for each of ``query_count * depth`` entries.

    Args:
        query_count: Queries are numbered from 0 to ``query_count - 1``.
        depth: Results a query, at least 1.
        floors: float32 (query_count,), what a score must reach to be of interest; None for any score.

    Attributes:
        scores: float32 (query_count, depth), what ``tasks.kernels.loops`` keeps as heaps, of chunks that reached the
            floor; its loops may add to them.
        numbers: int32 (query_count, depth), of the chunks beside them.
        counts: int32 (query_count,), entries that a query has.
        floors: float32 (query_count,).

    >>> best = RunningTopK(query_count=2, depth=2)
    >>> queries, chunks = np.array([0, 1, 0, 1, 0, 0]), np.array([7, 7, 8, 8, 3, 4])
    >>> best.add(queries, chunks, np.array([0.5, -2.0, -1.0, -3.0, 0.5, -9.0]))
    >>> best.table().to_pydict()["chunk_number"]  # query 0: 0.5 twice, the lower number first
    [3, 7, 7, 8]
    """

    def __init__(self, query_count: int, depth: int, *, floors: NDArray[np.float32] | None = None) -> None:
        if query_count < 0 or depth < 1:
            raise ValueError(f"query_count {query_count} must be >= 0 and depth {depth} >= 1")
        self.query_count = query_count
        self.depth = depth
        self.scores = np.empty((query_count, depth), dtype=np.float32)
        self.numbers = np.empty((query_count, depth), dtype=np.int32)
        self.counts = np.zeros(query_count, dtype=np.int32)
        self.floors = np.full(query_count, -np.inf, dtype=np.float32) if floors is None else floors

    def add(
        self,
        query_numbers: NDArray[np.integer],
        chunk_numbers: NDArray[np.integer],
        scores: NDArray[np.floating],
    ) -> None:
        """Add scores of single pairs, in any order.

        Args:
            query_numbers: int (n,).
            chunk_numbers: int (n,).
            scores: float (n,), rounded to float32.

        Raises:
            MachineError: A score is not a number.
        """
        from nightrank.tasks.kernels.loops import offer_all

        rounded = scores.astype(np.float32, copy=False)
        if np.isnan(rounded).any():
            raise not_a_number()
        kept = (rounded > -np.inf) & (rounded >= self.floors[query_numbers])
        queries, numbers = query_numbers[kept].astype(np.int32), chunk_numbers[kept].astype(np.int32)
        offer_all(self.scores, self.numbers, self.counts, queries, numbers, rounded[kept])

    def entries(self) -> Entries:
        """What is best so far, by query number, then rank."""
        from nightrank.tasks.kernels.compiled import threads
        from nightrank.tasks.kernels.loops import best_first

        scores, numbers = self.scores.copy(), self.numbers.copy()
        with threads() as pool:
            for _ in pool.map(
                partial(best_first, scores=scores, numbers=numbers, counts=self.counts), *_turns(self.query_count)
            ):
                pass
        held = np.arange(self.depth) < self.counts[:, None]
        return np.repeat(np.arange(self.query_count, dtype=np.int32), self.counts), numbers[held], scores[held]

    def table(self) -> pa.Table:
        """What is best so far, with the schema ``LEG``: by query number, then rank from 1."""
        query_numbers, chunk_numbers, scores = self.entries()
        return pa.table([query_numbers, chunk_numbers, scores, ranks_within(query_numbers)], schema=LEG)


@dataclass(frozen=True, slots=True, eq=False)
class Documents:
    """The documents behind a collection's chunks, where results are documents.

    Attributes:
        of_chunk: int32 (n_chunks,), the document of each chunk, numbered from 0 in the order of their chunks.
        chunks: How many chunks of a document a leg lists at most.
    """

    of_chunk: NDArray[np.int32]
    chunks: int

    def __len__(self) -> int:
        return int(self.of_chunk[-1]) + 1 if self.of_chunk.size else 0


class RunningTopDocuments:
    """The ``depth`` best documents of each query among all chunks that were added, each by its best chunk.

    What is kept of a query is its ranking of chunks as far down as the best chunk of the last of these documents, with
    at most ``documents.chunks`` of a document. A (query, chunk) pair must be added once at most.
    Memory: 8 bytes for each of ``query_count * depth * documents.chunks`` entries, where documents have so many chunks.

    Args:
        query_count: Queries are numbered from 0 to ``query_count - 1``.
        depth: Documents a query, at least 1.
        documents: Behind the chunks.

    Attributes:
        heaps: What ``tasks.kernels.loops`` keeps; its loops may add to it.

    >>> from nightrank.tasks.kernels.loops import offer_chunk
    >>> best = RunningTopDocuments(1, 2, Documents(np.array([0, 0, 0, 1, 2], np.int32), chunks=2))
    >>> for chunk_number, score in enumerate(np.array([0.5, 0.75, -1.0, -2.0, 0.5], np.float32)):
    ...     offer_chunk(best.heaps, 0, score, chunk_number)
    >>> best.table().to_pydict()["chunk_number"]  # the second document ends at its best chunk, 4
    [1, 0, 4]
    """

    def __init__(self, query_count: int, depth: int, documents: Documents) -> None:
        from nightrank.tasks.kernels.loops import DocumentHeaps

        if query_count < 0 or depth < 1 or documents.chunks < 1:
            raise ValueError(f"query_count {query_count} must be >= 0, depth {depth} and {documents.chunks} >= 1")
        depth = max(1, min(depth, len(documents)))
        width = max(1, min(documents.chunks, int(np.bincount(documents.of_chunk).max(initial=0))))
        self.query_count = query_count
        self.heaps = DocumentHeaps(
            documents.of_chunk,
            np.empty((query_count, depth), dtype=np.int32),
            np.zeros((query_count, depth), dtype=np.int32),
            np.empty((query_count, depth, width), dtype=np.float32),
            np.empty((query_count, depth, width), dtype=np.int32),
            np.zeros(query_count, dtype=np.int32),
        )

    def table(self) -> pa.Table:
        """What is best so far, with the schema ``LEG``: by query number, then rank from 1."""
        from nightrank.tasks.kernels.compiled import threads
        from nightrank.tasks.kernels.loops import chunks_of_documents

        best = RunningTopK(self.query_count, self.heaps.documents.shape[1] * self.heaps.scores.shape[2])
        gather = partial(
            chunks_of_documents, heaps=self.heaps, scores=best.scores, numbers=best.numbers, counts=best.counts
        )
        with threads() as pool:
            for _ in pool.map(gather, *_turns(self.query_count)):
                pass
        return best.table()


def _turns(query_count: int) -> tuple[range, list[int]]:
    """The first query of each thread's turn, and the one behind its last."""
    starts = range(0, query_count, QUERIES_AT_ONCE)
    return starts, [min(first + QUERIES_AT_ONCE, query_count) for first in starts]


def not_a_number() -> MachineError:
    """The fault of a score that is not a number."""
    return MachineError(
        "A retrieval score is not a number.",
        remedy="Look for embeddings with NaN: half precision on this device may overflow; use another device.",
    )
