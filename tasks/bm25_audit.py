"""A sample of BM25 scores compared with what the package rank-bm25 computes from the texts of their chunks.

It proves that formulas, idf, length normalisation and matrix products agree with an implementation that shares no code
with ours, and that what is indexed is what the queries' analysis reads in the very texts. How many chunks have a term,
and the average length, are taken from the statistics; that no better chunk was missed is not looked at: tests do both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
from rank_bm25 import BM25L, BM25Okapi, BM25Plus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from storage.bm25_store import Bm25Store
    from storage.bm25_words import WordAnalyser
    from tasks.settings import Bm25Settings

TextsOf: TypeAlias = "Callable[[pa.ChunkedArray], Mapping[str, str]]"

TOLERANCE = 1e-5
NAMED = 3  # chunks that a reason names


@dataclass(frozen=True, slots=True)
class Bm25Audit:
    """What an audit found.

    Attributes:
        pairs: (query, chunk) scores that were compared.
        chunks: Chunks whose terms were compared with their text.
        misread: Ids of a few chunks whose stored terms are not those that the queries' analysis reads in their text.
        largest_difference: The largest of abs(ours - theirs) / (1 + abs(theirs)); infinite where a result shares no
            term with its query, or a chunk was misread.
        tolerance: What it may be.
        passed: Whether it is no more than that.
    """

    pairs: int
    chunks: int
    misread: tuple[str, ...]
    largest_difference: float
    tolerance: float
    passed: bool


def audit_bm25(
    store: Bm25Store,
    texts: Sequence[str],
    leg: pa.Table,
    *,
    texts_of: TextsOf,
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
        texts_of: Gives what models and this leg read of chunks, by their hashes.
        settings: Variant, k1 and b that the leg was made with.
        analyser: What the queries were analysed with.
        sample: Scores to compare, at most; as many chunks of the whole collection are compared with their texts, beside
            those of the scores.
        generator: Chooses them.

    Raises:
        MachineError: The collection was analysed in another way, and says so.
    """
    rows = leg.take(_drawn(leg.num_rows, sample, generator))
    drawn = _drawn(store.chunk_count, sample, generator).astype(np.int32)
    chunks = np.unique(np.concatenate([rows["chunk_number"].to_numpy(), drawn]))
    read, misread = _read_again(store, chunks, texts_of=texts_of, analyser=analyser)

    asked, queries = np.unique(rows["query_number"].to_numpy(), return_inverse=True)
    query_terms = store.query_terms([texts[number] for number in asked], analyse=analyser)
    terms: list[list[int]] = [[] for _ in asked]
    for query, term, qtf in zip(*(column.to_pylist() for column in query_terms.columns), strict=True):
        terms[query] += [term] * qtf
    reference = REFERENCES[settings.variant](_sampled(store, query_terms["term_number"].to_numpy(), read, settings))
    positions = np.searchsorted(chunks, rows["chunk_number"].to_numpy())
    largest = math.inf if misread else 0.0
    for query, position, ours in zip(queries, positions, rows["score"].to_pylist(), strict=True):
        # rank-bm25's BM25+ adds a constant for terms that a chunk lacks; the paper sums over those that it has.
        matching = [term for term in terms[query] if term in reference.doc_freqs[position]]
        theirs = reference.get_batch_scores(matching, [position])[0] if matching else math.inf
        difference = abs(ours - theirs) / (1 + abs(theirs)) if matching else math.inf
        largest = max(largest, math.inf if math.isnan(difference) else difference)
    return Bm25Audit(rows.num_rows, chunks.size, misread, largest, TOLERANCE, largest <= TOLERANCE)


def _drawn(count: int, sample: int, generator: np.random.Generator) -> NDArray[np.int64]:
    return np.sort(generator.choice(count, size=min(sample, count), replace=False))


@dataclass(frozen=True, slots=True)
class _Chunks:
    """Some chunks as they read.

    Attributes:
        lengths: Terms of each, with their repetitions.
        frequencies: Of each, term number to tf.
    """

    lengths: list[int]
    frequencies: list[dict[int, int]]


def _read_again(
    store: Bm25Store, chunks: NDArray[np.int32], *, texts_of: TextsOf, analyser: WordAnalyser
) -> tuple[_Chunks, tuple[str, ...]]:
    """The chunks as their texts read now, and the ids of a few where the stored statistics say something else."""
    described = store.chunks(["chunk_id", "chunk_hash"]).take(chunks)
    hashes = described["chunk_hash"].to_pylist()
    texts = texts_of(described["chunk_hash"].unique())
    # A chunk without a text reads as an empty one: it is found to be misread wherever it has a term.
    read = store.query_terms([texts.get(chunk_hash, "") for chunk_hash in hashes], analyse=analyser)
    frequencies = _frequencies(chunks.size, *read.columns)
    stored = store.postings_at(read["term_number"].to_numpy(), chunks)
    places = pa.array(np.searchsorted(chunks, stored["chunk_number"].to_numpy()))
    indexed = _frequencies(chunks.size, places, stored["term_number"], stored["tf"])
    # Terms that no chunk is said to have are not among those read: then the chunk's length tells.
    lengths = [sum(counts.values()) for counts in frequencies]
    stored_lengths = store.lengths()[chunks].tolist()
    misread = [
        chunk_id
        for chunk_id, *found, length, stored_length in zip(
            described["chunk_id"].to_pylist(), frequencies, indexed, lengths, stored_lengths, strict=True
        )
        if found[0] != found[1] or length != stored_length
    ]
    return _Chunks(lengths, frequencies), tuple(misread[:NAMED])


def _frequencies(count: int, places: pa.Array, terms: pa.Array, tfs: pa.Array) -> list[dict[int, int]]:
    frequencies: list[dict[int, int]] = [{} for _ in range(count)]
    for place, term, tf in zip(places.to_pylist(), terms.to_pylist(), tfs.to_pylist(), strict=True):
        frequencies[place][term] = tf
    return frequencies


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


def _sampled(store: Bm25Store, terms: NDArray[np.int32], read: _Chunks, settings: Bm25Settings) -> _Statistics:
    counts = store.chunk_counts()
    # Okapi's floor is made of the mean idf of all terms; the others need no more than the queries'.
    named = np.arange(counts.size) if settings.variant == "okapi" else np.unique(terms)
    return _Statistics(
        chunk_count=store.chunk_count,
        average_length=store.average_length,
        chunk_counts=dict(zip(named.tolist(), counts[named].tolist(), strict=True)),
        lengths=read.lengths,
        frequencies=read.frequencies,
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
