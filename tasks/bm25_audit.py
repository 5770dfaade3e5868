"""A sample of BM25 scores compared with what the package rank-bm25 computes from the same statistics.

It proves that formulas, idf, length normalisation and matrix products agree with an implementation that shares no code
with ours. It proves neither that the statistics are right nor that no better chunk was missed: tests do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from rank_bm25 import BM25L, BM25Okapi, BM25Plus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from storage.bm25_store import Bm25Store
    from storage.bm25_words import WordAnalyser
    from tasks.settings import Bm25Settings

TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class Bm25Audit:
    """What an audit found.

    Attributes:
        pairs: (query, chunk) scores that were compared.
        largest_difference: The largest of abs(ours - theirs) / (1 + abs(theirs)); infinite where a result shares no
            term with its query.
        tolerance: What it may be.
        passed: Whether it is no more than that.
    """

    pairs: int
    largest_difference: float
    tolerance: float
    passed: bool


def audit_bm25(
    store: Bm25Store,
    texts: Sequence[str],
    leg: pa.Table,
    *,
    settings: Bm25Settings,
    analyser: WordAnalyser,
    sample: int,
    generator: np.random.Generator,
) -> Bm25Audit:
    """Compare a sample of a leg's scores with rank-bm25's.

    Args:
        store: The collection's statistics.
        texts: Query n is ``texts[n]``.
        leg: Schema ``storage.records.LEG``.
        settings: Variant, k1 and b that the leg was made with.
        analyser: What the collection was analysed with.
        sample: Scores to compare, at most.
        generator: Chooses them.

    Raises:
        MachineError: The collection was analysed in another way.
    """
    rows = leg.take(np.sort(generator.choice(leg.num_rows, size=min(sample, leg.num_rows), replace=False)))
    chunks, positions = np.unique(rows["chunk_number"].to_numpy(), return_inverse=True)
    asked, queries = np.unique(rows["query_number"].to_numpy(), return_inverse=True)
    query_terms = store.query_terms([texts[number] for number in asked], analyse=analyser)
    terms: list[list[int]] = [[] for _ in asked]
    for query, term, qtf in zip(*(column.to_pylist() for column in query_terms.columns), strict=True):
        terms[query] += [term] * qtf
    reference = REFERENCES[settings.variant](_sampled(store, query_terms["term_number"].to_numpy(), chunks, settings))
    largest = 0.0
    for query, position, ours in zip(queries, positions, rows["score"].to_pylist(), strict=True):
        # rank-bm25's BM25+ adds a constant for terms that a chunk lacks; the paper sums over those that it has.
        matching = [term for term in terms[query] if term in reference.doc_freqs[position]]
        theirs = reference.get_batch_scores(matching, [position])[0] if matching else math.inf
        difference = abs(ours - theirs) / (1 + abs(theirs)) if matching else math.inf
        largest = max(largest, math.inf if math.isnan(difference) else difference)
    return Bm25Audit(rows.num_rows, largest, TOLERANCE, largest <= TOLERANCE)


@dataclass(frozen=True, slots=True)
class _Statistics:
    """What a rank-bm25 object is filled with instead of a corpus."""

    chunk_count: int
    average_length: float
    chunk_counts: Mapping[int, int]  # by term number
    lengths: list[int]  # of the sampled chunks
    frequencies: list[dict[int, int]]  # term number to tf, of the sampled chunks
    k1: float
    b: float


def _sampled(
    store: Bm25Store, terms: NDArray[np.int32], chunks: NDArray[np.int32], settings: Bm25Settings
) -> _Statistics:
    counts = store.chunk_counts()
    # Okapi's floor is made of the mean idf of all terms; the others need no more than the queries'.
    named = np.arange(counts.size) if settings.variant == "okapi" else np.unique(terms)
    frequencies: list[dict[int, int]] = [{} for _ in chunks]
    postings = store.postings_at(terms, chunks)
    positions = np.searchsorted(chunks, postings["chunk_number"].to_numpy())
    for position, term, tf in zip(
        positions, postings["term_number"].to_pylist(), postings["tf"].to_pylist(), strict=True
    ):
        frequencies[position][term] = tf
    return _Statistics(
        chunk_count=store.chunk_count,
        average_length=store.average_length,
        chunk_counts=dict(zip(named.tolist(), counts[named].tolist(), strict=True)),
        lengths=store.lengths()[chunks].tolist(),
        frequencies=frequencies,
        k1=settings.k1,
        b=settings.b,
    )


class _FromStatistics:
    """Fills a rank-bm25 object with statistics of a collection, of which it sees only the sampled chunks."""

    def __init__(self, statistics: _Statistics) -> None:
        super().__init__(statistics, k1=statistics.k1, b=statistics.b)  # type: ignore[call-arg]  # rank-bm25's own

    def _initialize(self, statistics: _Statistics) -> Mapping[int, int]:
        self.corpus_size = statistics.chunk_count
        self.avgdl = statistics.average_length
        self.doc_len = statistics.lengths
        self.doc_freqs = statistics.frequencies
        return statistics.chunk_counts


class _Okapi(_FromStatistics, BM25Okapi):  # type: ignore[misc]  # rank-bm25 has no types
    """As rank-bm25 has it, the floor of negative idf included."""


class _Plus(_FromStatistics, BM25Plus):  # type: ignore[misc]  # rank-bm25 has no types
    """As rank-bm25 has it."""


class _Long(_FromStatistics, BM25L):  # type: ignore[misc]  # rank-bm25 has no types
    """BM25L of the paper: rank-bm25 0.2.2 has a factor tf too many, taken out after it (its pull request 20)."""

    def get_batch_scores(self, query: list[int], doc_ids: list[int]) -> list[float]:
        total = np.zeros(len(doc_ids))
        for term in query:
            total += np.divide(super().get_batch_scores([term], doc_ids), [self.doc_freqs[at][term] for at in doc_ids])
        return total.tolist()


class _Atire(_FromStatistics, BM25Okapi):  # type: ignore[misc]  # rank-bm25 has no types
    """Okapi's weights with the idf ln(N / n)."""

    def _calc_idf(self, nd: Mapping[int, int]) -> None:
        self.idf = {term: math.log(self.corpus_size / count) for term, count in nd.items()}


class _Lucene(_FromStatistics, BM25Okapi):  # type: ignore[misc]  # rank-bm25 has no types
    """Okapi's weights without the factor k1 + 1, and Lucene's idf."""

    def _calc_idf(self, nd: Mapping[int, int]) -> None:
        self.idf = {term: math.log(1 + (self.corpus_size - n + 0.5) / (n + 0.5)) for term, n in nd.items()}

    def get_batch_scores(self, query: list[int], doc_ids: list[int]) -> list[float]:
        return [score / (self.k1 + 1) for score in super().get_batch_scores(query, doc_ids)]


class _Reference(Protocol):
    doc_freqs: list[dict[int, int]]

    def get_batch_scores(self, query: list[int], doc_ids: list[int]) -> list[float]: ...


REFERENCES: Mapping[str, Callable[[_Statistics], _Reference]] = {
    "lucene": _Lucene,
    "atire": _Atire,
    "okapi": _Okapi,
    "bm25l": _Long,
    "bm25plus": _Plus,
}
