"""The formulas of the package rank-bm25, filled with statistics of a collection instead of a corpus.

They share no code with ``tasks.bm25.formulas``; where the package departs from the paper, or lacks a variant, the
class says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from rank_bm25 import BM25L, BM25Okapi, BM25Plus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a rank-bm25 object is filled with."""

    chunk_count: int
    average_length: float
    chunk_counts: Mapping[int, int]  # by term number
    lengths: list[float]  # of the sampled chunks
    frequencies: list[dict[int, float]]  # term number to tf, of the sampled chunks
    k1: float
    b: float


class _Filled:
    """Fills a rank-bm25 object with statistics of a collection, of which it sees only the sampled chunks."""

    def __init__(self, statistics: Statistics) -> None:
        super().__init__(statistics, k1=statistics.k1, b=statistics.b)  # type: ignore[call-arg]  # rank-bm25's own

    def _initialize(self, statistics: Statistics) -> Mapping[int, int]:
        self.corpus_size = statistics.chunk_count
        self.avgdl = statistics.average_length
        self.doc_len = statistics.lengths
        self.doc_freqs = statistics.frequencies
        return statistics.chunk_counts


class _Okapi(_Filled, BM25Okapi):  # type: ignore[misc]  # rank-bm25 has no types
    """As rank-bm25 has it, the floor of negative idf included."""


class _Plus(_Filled, BM25Plus):  # type: ignore[misc]  # rank-bm25 has no types
    """As rank-bm25 has it."""


class _Long(_Filled, BM25L):  # type: ignore[misc]  # rank-bm25 has no types
    """BM25L of the paper: rank-bm25 0.2.2 has a factor tf too many, taken out after it (its pull request 20)."""

    def get_batch_scores(self, query: list[int], doc_ids: list[int]) -> list[float]:
        total = np.zeros(len(doc_ids))
        for term in query:
            total += np.divide(super().get_batch_scores([term], doc_ids), [self.doc_freqs[at][term] for at in doc_ids])
        return total.tolist()


class _Atire(_Filled, BM25Okapi):  # type: ignore[misc]  # rank-bm25 has no types
    """Okapi's weights with the idf ln(N / n)."""

    def _calc_idf(self, nd: Mapping[int, int]) -> None:
        self.idf = {term: math.log(self.corpus_size / count) for term, count in nd.items()}


class _Lucene(_Filled, BM25Okapi):  # type: ignore[misc]  # rank-bm25 has no types
    """Okapi's weights without the factor k1 + 1, and Lucene's idf."""

    def _calc_idf(self, nd: Mapping[int, int]) -> None:
        self.idf = {term: math.log(1 + (self.corpus_size - n + 0.5) / (n + 0.5)) for term, n in nd.items()}

    def get_batch_scores(self, query: list[int], doc_ids: list[int]) -> list[float]:
        return [score / (self.k1 + 1) for score in super().get_batch_scores(query, doc_ids)]


class Reference(Protocol):
    """What all of them have.

    Attributes:
        doc_freqs: As ``Statistics.frequencies``.
    """

    doc_freqs: list[dict[int, float]]

    def get_batch_scores(self, query: list[int], doc_ids: list[int]) -> list[float]:
        """The scores of chunks, by their places, for a query's terms."""
        ...


REFERENCES: Mapping[str, Callable[[Statistics], Reference]] = {
    "lucene": _Lucene,
    "atire": _Atire,
    "okapi": _Okapi,
    "bm25l": _Long,
    "bm25plus": _Plus,
}
