"""Exact running top-k: the best chunks of each query, seen block by block in any order.

Both legs use it: BM25 adds triples of matching chunks, the dense leg whole blocks of scores. What comes out
does not depend on how the scores were cut into blocks: scores are compared as float32 and ties fall to
the lower chunk number, as ``storage.records.ranking_order`` has it. It knows nothing of where scores come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from storage.errors import MachineError
from storage.records import LEG, ranking_order, ranks_within

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    # Query numbers, chunk (or text) numbers and scores, each (n,).
    Entries = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]
    ExactScores = Callable[[NDArray[np.integer], NDArray[np.integer]], NDArray[np.float32]]

# Entries kept back before they are ordered; fewer means more sorting, more means more memory (12 bytes each).
MIN_PENDING = 65_536


class RunningTopK:
    """The ``depth`` best chunks of each query among all that were added.

    A (query, chunk) pair must be added once at most. A score of -inf says that the chunk is no result for the
    query (a filter, for one); any other finite score, zero and negative ones too, may become a result.
    Memory: 12 bytes for each of about ``3 * query_count * depth`` entries, and a block's own survivors.

    Args:
        query_count: Queries are numbered from 0 to ``query_count - 1``.
        depth: Results a query, at least 1.
        floors: float32 (query_count,), what a score must reach to be of interest; None for any score.

    >>> best = RunningTopK(query_count=2, depth=2)
    >>> best.add_block(np.array([[0.5, -1.0], [-2.0, -3.0]], dtype=np.float32), np.array([7, 8], dtype=np.int32))
    >>> best.add(np.array([0, 0]), np.array([3, 4]), np.array([0.5, -9.0]))
    >>> best.table().to_pydict()["chunk_number"]  # query 0: 0.5 twice, the lower number first
    [3, 7, 7, 8]
    """

    def __init__(self, query_count: int, depth: int, *, floors: NDArray[np.float32] | None = None) -> None:
        if query_count < 0 or depth < 1:
            raise ValueError(f"query_count {query_count} must be >= 0 and depth {depth} >= 1")
        self.query_count = query_count
        self.depth = depth
        # What a score must reach to matter: the depth-th best so far, the floor while a query has fewer results.
        self._thresholds = np.full(query_count, -np.inf, dtype=np.float32) if floors is None else floors.copy()
        self._best = _no_entries()
        self._pending: list[Entries] = []
        self._pending_count = 0

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
        order = np.argsort(query_numbers, kind="stable")
        bounds = np.searchsorted(query_numbers[order], np.arange(self.query_count + 1))
        self.add_rows(0, bounds, chunk_numbers[order], scores[order])

    def add_rows(
        self,
        first_query: int,
        bounds: NDArray[np.integer],
        chunk_numbers: NDArray[np.integer],
        scores: NDArray[np.floating],
    ) -> None:
        """Add the rows of a sparse matrix of queries and chunks, in its compressed form.

        Args:
            first_query: The query of row 0.
            bounds: int (n_rows + 1,), where each row begins and ends in the arrays that follow.
            chunk_numbers: int (n,), in any order within a row.
            scores: float (n,), rounded to float32.

        Raises:
            MachineError: A score is not a number.
        """
        rounded = _checked(scores)
        thresholds = self._thresholds[first_query : first_query + bounds.size - 1].tolist()
        ends = bounds.tolist()
        # Row by row, because ordering costs some 500 ns an entry and this 10: most entries fall here.
        rows = [
            start + _may_be_best(rounded[start:end], threshold, self.depth)
            for start, end, threshold in zip(ends[:-1], ends[1:], thresholds, strict=True)
        ]
        if rows:
            kept = np.concatenate(rows)
            query_numbers = np.repeat(np.arange(first_query, first_query + len(rows)), [row.size for row in rows])
            self._keep(query_numbers, chunk_numbers[kept], rounded[kept])

    def add_block(
        self,
        scores: NDArray[np.floating],
        chunk_numbers: NDArray[np.integer],
        *,
        margin: float = 0.0,
        exact: ExactScores | None = None,
    ) -> None:
        """Add the scores of every query against some chunks.

        Args:
            scores: float (query_count, n_chunks), rounded to float32.
            chunk_numbers: int (n_chunks,), of the columns, in any order.
            margin: By how much the difference of two scores may be wrong; 0 where they are exact.
            exact: Gives the exact scores of those that may be among the best: float32 (m,) of rows and columns (m,).

        Raises:
            MachineError: A score is not a number.
        """
        if scores.shape != (self.query_count, chunk_numbers.size):
            raise ValueError(f"scores are {scores.shape}, expected {(self.query_count, chunk_numbers.size)}")
        rounded = _checked(scores)
        kept = rounded >= (self._thresholds - np.float32(margin))[:, None]
        # Partitioning costs more than the matrix product before it, so only rows with many survivors pay for it.
        crowded = np.flatnonzero(np.count_nonzero(kept, axis=1) > 2 * self.depth)
        if crowded.size:
            rows = rounded[crowded]
            cut = chunk_numbers.size - self.depth
            kept[crowded] &= rows >= np.partition(rows, cut, axis=1)[:, cut, None] - np.float32(margin)
        # Six times as fast as np.nonzero on two dimensions.
        query_numbers, columns = np.divmod(np.flatnonzero(kept), max(1, chunk_numbers.size))
        kept_scores = rounded[query_numbers, columns] if exact is None else _checked(exact(query_numbers, columns))
        finite = kept_scores > -np.inf
        self._keep(query_numbers[finite], chunk_numbers[columns[finite]], kept_scores[finite])

    def entries(self) -> Entries:
        """What is best so far, by query number, then rank."""
        self._settle()
        return self._best

    def table(self) -> pa.Table:
        """What is best so far, with the schema ``LEG``: by query number, then rank from 1."""
        query_numbers, chunk_numbers, scores = self.entries()
        return pa.table([query_numbers, chunk_numbers, scores, ranks_within(query_numbers)], schema=LEG)

    def _keep(
        self, query_numbers: NDArray[np.integer], chunk_numbers: NDArray[np.integer], scores: NDArray[np.float32]
    ) -> None:
        self._pending.append((query_numbers.astype(np.int32), chunk_numbers.astype(np.int32), scores))
        self._pending_count += scores.size
        if self._pending_count > max(MIN_PENDING, self.query_count * self.depth):
            self._settle()

    def _settle(self) -> None:
        if self._pending_count == 0:
            return
        self._best = merge_topk([self._best, *self._pending], depth=self.depth)
        self._pending, self._pending_count = [], 0
        query_numbers, _, scores = self._best
        last = ranks_within(query_numbers) == self.depth
        self._thresholds[query_numbers[last]] = scores[last]


def merge_topk(parts: list[Entries], *, depth: int) -> Entries:
    """The ``depth`` best entries of each query among several lists, in ranking order.

    Args:
        parts: (query numbers, chunk numbers, scores), each (n,), in any order; a pair is in one of them at most.
        depth: Entries kept a query.

    Returns:
        (query numbers, chunk numbers, scores), ordered by query, score descending, chunk number ascending.

    >>> a = (np.array([0, 0]), np.array([5, 6]), np.array([-1.0, 2.0], dtype=np.float32))
    >>> b = (np.array([0]), np.array([1]), np.array([-1.0], dtype=np.float32))
    >>> merge_topk([a, b], depth=2)[1].tolist()
    [6, 1]
    """
    query_numbers = np.concatenate([part[0] for part in parts])
    chunk_numbers = np.concatenate([part[1] for part in parts])
    scores = np.concatenate([part[2] for part in parts])
    order = ranking_order(query_numbers, scores, chunk_numbers)
    order = order[ranks_within(query_numbers[order]) <= depth]
    return query_numbers[order], chunk_numbers[order], scores[order]


def _may_be_best(scores: NDArray[np.float32], threshold: float, depth: int) -> NDArray[np.intp]:
    """Positions of the scores that reach the threshold and the ``depth``-th best of these, ties included."""
    kept = np.flatnonzero((scores >= threshold) & (scores > -np.inf))
    if kept.size <= 2 * depth:
        return kept
    reached = scores[kept]
    best: NDArray[np.intp] = kept[reached >= np.partition(reached, -depth)[-depth]]
    return best


def _checked(scores: NDArray[np.floating]) -> NDArray[np.float32]:
    rounded = scores.astype(np.float32, copy=False)
    if rounded.size and np.isnan(rounded.min()):  # min() hands a NaN on, without a mask in memory
        raise MachineError(
            "A retrieval score is not a number.",
            remedy="Look for embeddings with NaN: half precision on this device may overflow; use another device.",
        )
    return rounded


def _no_entries() -> Entries:
    return np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32)
