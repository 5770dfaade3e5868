"""Queries against postings, block by block: what the legs over terms have in common, in batches and one at a time.

A block has so few rows, which are chunks or texts, that their running scores stay in a processor's cache; every query
passes over a block before the next one is read, so that memory is bounded. ``tasks.kernels.loops`` has the inner loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

    from nightrank.tasks.kernels.top_documents import RunningTopDocuments
    from nightrank.tasks.kernels.top_k import RunningTopK

QUERIES_AT_ONCE = 512  # of one thread's turn; each turn has running scores of its own


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """What terms add to the scores of a block's rows: a sparse matrix, by term.

    Attributes:
        numbers: int32 (n_rows,), of the chunks or texts.
        bounds: int32 (n_terms, 2), where each term begins and ends in the two that follow.
        columns: uint16 (n_postings,), places of rows, ascending within a term.
        values: float64 or float32 (n_postings,), what the term adds for each time that a query has it.
    """

    numbers: NDArray[np.int32]
    bounds: NDArray[np.int32]
    columns: NDArray[np.uint16]
    values: NDArray[np.floating]

    @property
    def size_bytes(self) -> int:
        """What it takes in memory."""
        return self.numbers.nbytes + self.bounds.nbytes + self.columns.nbytes + self.values.nbytes


class AskedTerms(NamedTuple):
    """The terms of queries.

    Attributes:
        bounds: int64 (n_queries + 1,), where each query begins and ends in the two that follow.
        terms: int32, rows of ``Postings.bounds``.
        weights: int32, how often the query has the term, or float32, its weight there.
    """

    bounds: NDArray[np.int64]
    terms: NDArray[np.int32]
    weights: NDArray[np.integer] | NDArray[np.floating]

    @property
    def queries(self) -> int:
        """How many."""
        return self.bounds.size - 1


def score_blocks(
    blocks: Iterable[Postings], asked: AskedTerms, best: RunningTopK | None, documents: RunningTopDocuments | None
) -> None:
    """Add the scores of all rows that match to the best of many queries, on as many threads as there are.

    Args:
        blocks: One is read while the one before is scored.
        asked: The queries.
        best: Rows of as many queries; None where none are wanted.
        documents: Documents of as many queries; None where none are wanted.
    """
    from nightrank.tasks.kernels.compiled import threads

    with threads() as pool:
        under_way: list[Future[None]] = []
        for postings in blocks:
            _finish(under_way)
            score = _scoring(postings, asked, best, documents)
            starts = range(0, asked.queries, QUERIES_AT_ONCE)
            under_way = [pool.submit(score, first, min(first + QUERIES_AT_ONCE, asked.queries)) for first in starts]
        _finish(under_way)


def score_here(blocks: Iterable[Postings], asked: AskedTerms, documents: RunningTopDocuments) -> None:
    """The same for few queries, on this thread."""
    for postings in blocks:
        _scoring(postings, asked, None, documents)(0, asked.queries)


def _scoring(
    postings: Postings, asked: AskedTerms, best: RunningTopK | None, documents: RunningTopDocuments | None
) -> Callable[[int, int], None]:
    """What scores a block for the queries from one up to another."""
    from nightrank.tasks.kernels.loops import score_postings

    return partial(
        score_postings,
        query_bounds=asked.bounds,
        query_terms=asked.terms,
        qtfs=asked.weights,
        bounds=postings.bounds,
        columns=postings.columns,
        impacts=postings.values,
        chunk_numbers=postings.numbers,
        best=None if best is None else best.heaps(),
        documents=None if documents is None else documents.heaps(),
    )


def _finish(under_way: Iterable[Future[None]]) -> None:
    for turn in under_way:
        turn.result()
