"""Exact running top-k: the best chunks of each query, seen in any order and cut into any blocks.

Both legs use it: BM25 adds what its postings sum up to, the dense leg whole blocks of scores. What comes out
does not depend on how the scores were cut into blocks: scores are compared as float32 and ties fall to
the lower chunk number, as ``storage.records.ranking_order`` has it. It knows nothing of where scores come from.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.errors import MachineError
from nightrank.storage.records import LEG, ranks_within

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nightrank.tasks.kernels.loops import ChunkHeaps

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

    def reached(self) -> NDArray[np.float32]:
        """What a score must reach to be among the best, float32 (query_count,), ties with the last of them counted."""
        is_full = self.counts == self.depth
        return np.where(is_full, np.maximum(self.floors, self.scores[:, 0]), self.floors)

    def heaps(self, queries: slice = slice(None)) -> ChunkHeaps:
        """What the loops add to, of some of the queries."""
        from nightrank.tasks.kernels.loops import ChunkHeaps

        return ChunkHeaps(self.scores[queries], self.numbers[queries], self.counts[queries])

    def entries(self) -> Entries:
        """What is best so far, by query number, then rank."""
        from nightrank.tasks.kernels.loops import best_first

        scores, numbers = self.scores.copy(), self.numbers.copy()
        in_turns(partial(best_first, scores=scores, numbers=numbers, counts=self.counts), self.query_count)
        held = np.arange(self.depth) < self.counts[:, None]
        return np.repeat(np.arange(self.query_count, dtype=np.int32), self.counts), numbers[held], scores[held]

    def table(self, *, first: int = 0) -> pa.Table:
        """What is best so far, with the schema ``LEG``: by query number, counted from ``first``, then rank from 1."""
        query_numbers, chunk_numbers, scores = self.entries()
        return pa.table(
            [query_numbers + np.int32(first), chunk_numbers, scores, ranks_within(query_numbers)], schema=LEG
        )


def in_turns(work: Callable[[int, int], object], query_count: int) -> None:
    """Do something for all queries, some at a time on each thread; few are done here, sooner than a thread starts.

    Args:
        work: Takes the first query of a turn, and the one behind its last.
        query_count: Queries.
    """
    starts = range(0, query_count, QUERIES_AT_ONCE)
    ends = [min(first + QUERIES_AT_ONCE, query_count) for first in starts]
    if len(starts) < 2:
        for first, last in zip(starts, ends, strict=True):
            work(first, last)
        return
    from nightrank.tasks.kernels.compiled import threads

    with threads() as pool:
        for _ in pool.map(work, starts, ends):
            pass


def not_a_number() -> MachineError:
    """The fault of a score that is not a number."""
    return MachineError(
        "A retrieval score is not a number.",
        remedy="Look for embeddings with NaN: half precision on this device may overflow; use another device.",
    )
