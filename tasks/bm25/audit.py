"""A sample of BM25 scores compared with what the package rank-bm25 computes from the texts of their chunks.

It proves on the sample that formulas, idf, length normalisation and matrix products agree with an implementation that
shares no code with ours, that what is indexed is what the queries' analysis reads in the very texts, and that no better
chunk was missed. How many chunks have a term, and the average length, are taken from the statistics: `doctor` and tests
look at them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.tasks.bm25.reference import REFERENCES, Statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.storage.bm25.terms import TextAnalyser
    from nightrank.tasks.filters.queries import QueryFilters
    from nightrank.tasks.kernels.top_documents import Documents
    from nightrank.tasks.settings.index import Bm25Settings

TextsOf: TypeAlias = "Callable[[pa.ChunkedArray], Mapping[str, str]]"

TOLERANCE = 1e-5
WATCHED = 20  # queries that are looked at for chunks they missed
NAMED = 3  # chunks that a reason names


@dataclass(frozen=True, slots=True)
class Bm25Audit:
    """What an audit found.

    Attributes:
        pairs: (query, chunk) scores that were compared.
        chunks: Chunks whose terms were compared with their text.
        misread: Ids of a few chunks whose stored terms are not those that the queries' analysis reads in their text.
        missed: (query, chunk) pairs of the sample that the leg should hold and does not.
        largest_difference: The largest of abs(ours - theirs) / (1 + abs(theirs)); infinite where a result shares no
            term with its query, a chunk was misread or one was missed.
        tolerance: What it may be.
        passed: Whether it is no more than that.
    """

    pairs: int
    chunks: int
    misread: tuple[str, ...]
    missed: int
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
    analyser: TextAnalyser,
    depth: int,
    sample: int,
    generator: np.random.Generator,
    documents: Documents | None = None,
    filters: QueryFilters | None = None,
) -> Bm25Audit:
    """Compare a sample of a leg's scores with rank-bm25's.

    Args:
        store: The collection's statistics.
        texts: Query n is ``texts[n]``.
        leg: Schema ``storage.records.LEG``.
        texts_of: Gives what this leg reads of chunks, by their hashes.
        settings: Variant, k1 and b that the leg was made with.
        analyser: What queries are analysed with.
        depth: Results a query that the leg holds where it found as many: documents where these count, else chunks.
        sample: Scores to compare, at most; as many chunks of the whole collection are compared with their texts, beside
            those of the scores.
        generator: Chooses them.
        documents: Behind the chunks, where documents count.
        filters: Of the queries; None where no query has any.

    Raises:
        MachineError: The collection was analysed in another way, and says so.
    """
    rows = leg.take(_drawn(leg.num_rows, sample, generator))
    drawn = _drawn(store.chunk_count, sample, generator).astype(np.int32)
    watched = _drawn(len(texts), WATCHED, generator)
    chunks = np.unique(np.concatenate([rows["chunk_number"].to_numpy(), drawn]))
    read, misread = _read_again(store, chunks, texts_of=texts_of, analyser=analyser)
    asked = np.unique(np.concatenate([rows["query_number"].to_numpy(), watched])).tolist()
    query_terms = store.query_terms([texts[number] for number in asked], analyse=analyser)
    theirs = _Theirs(
        asked, query_terms, _sampled(store, query_terms["term_number"].to_numpy(), read, settings), settings.variant
    )
    missed = 0
    for query in watched.tolist():
        allowed = None if filters is None else filters.by_query(query)
        eligible = np.ones(chunks.size, dtype=np.bool_) if allowed is None else allowed[chunks]
        held = _Held.of(leg.filter(pc.field("query_number") == query), depth=depth, documents=documents)
        missed += _missed(theirs, query, chunks, eligible, held)
    largest = math.inf if misread or missed else 0.0
    places = np.searchsorted(chunks, rows["chunk_number"].to_numpy())
    for query, place, ours in zip(rows["query_number"].to_pylist(), places, rows["score"].to_pylist(), strict=True):
        expected = theirs.score(query, place)
        difference = math.inf if expected is None else abs(ours - expected) / (1 + abs(expected))
        largest = max(largest, math.inf if math.isnan(difference) else difference)
    return Bm25Audit(rows.num_rows, chunks.size, misread, missed, largest, TOLERANCE, largest <= TOLERANCE)


class _Theirs:
    """What rank-bm25 computes of some queries and chunks.

    Args:
        asked: The queries' numbers.
        query_terms: Theirs, query n being ``asked[n]``.
        statistics: Of the chunks, which go by their places in it.
        variant: Of the formula.
    """

    def __init__(self, asked: Sequence[int], query_terms: pa.Table, statistics: Statistics, variant: str) -> None:
        self._terms: dict[int, list[int]] = {number: [] for number in asked}
        for query, term, qtf in zip(*(column.to_pylist() for column in query_terms.columns), strict=True):
            self._terms[asked[query]] += [term] * qtf
        self._reference = REFERENCES[variant](statistics)

    def score(self, query: int, place: int) -> float | None:
        """The score of a query, by its number, and a chunk; None where they share no term."""
        # rank-bm25's BM25+ adds a constant for terms that a chunk lacks; the paper sums over those that it has.
        frequencies = self._reference.doc_freqs[place]
        matching = [term for term in self._terms[query] if term in frequencies]
        return self._reference.get_batch_scores(matching, [place])[0] if matching else None


@dataclass(frozen=True, slots=True)
class _Held:
    """What the leg holds of a query.

    Attributes:
        chunks: Its chunks.
        lowest: What a chunk must exceed to belong among them; minus infinity where fewer were found than are asked for.
        of_full: The same by document, of those of which the leg lists no more chunks.
        documents: Behind the chunks, where documents count.
    """

    chunks: frozenset[int]
    lowest: float
    of_full: Mapping[int, float]
    documents: Documents | None

    @classmethod
    def of(cls, found: pa.Table, *, depth: int, documents: Documents | None) -> Self:
        """What a leg, schema LEG, holds of its one query."""
        chunks, scores = (found[name].to_pylist() for name in ("chunk_number", "score"))
        units: dict[int, list[float]] = {}
        for chunk, score in zip(chunks, scores, strict=True):
            units.setdefault(chunk if documents is None else int(documents.of_chunk[chunk]), []).append(score)
        full = {} if documents is None else {n: min(of) for n, of in units.items() if len(of) >= documents.chunks}
        return cls(frozenset(chunks), min(scores) if len(units) >= depth else -math.inf, full, documents)

    def bar(self, chunk: int) -> float:
        """What a chunk that is not held must not exceed."""
        of_document = None if self.documents is None else self.of_full.get(int(self.documents.of_chunk[chunk]))
        return self.lowest if of_document is None else max(self.lowest, of_document)


def _missed(theirs: _Theirs, query: int, chunks: NDArray[np.int32], eligible: NDArray[np.bool_], held: _Held) -> int:
    """How many of the chunks (n,) that are eligible, bool (n,), belong among those held for a query, and are not."""
    missed = 0
    for place in np.flatnonzero(eligible).tolist():
        chunk = int(chunks[place])
        score = None if chunk in held.chunks else theirs.score(query, place)
        missed += score is not None and score > held.bar(chunk) + TOLERANCE * (1 + abs(score))
    return missed


def _drawn(count: int, sample: int, generator: np.random.Generator) -> NDArray[np.int64]:
    return np.sort(generator.choice(count, size=min(sample, count), replace=False))


@dataclass(frozen=True, slots=True)
class _Chunks:
    """Some chunks as they read.

    Attributes:
        lengths: Terms of each, with their repetitions, in the unit of the field weights.
        frequencies: Of each, term number to tf, likewise.
    """

    lengths: list[int]
    frequencies: list[dict[int, int]]


def _read_again(
    store: Bm25Store, chunks: NDArray[np.int32], *, texts_of: TextsOf, analyser: TextAnalyser
) -> tuple[_Chunks, tuple[str, ...]]:
    """The chunks as their texts read now, and the ids of a few where the stored statistics say something else."""
    described = store.chunks_at(chunks, ["chunk_id", "chunk_hash", "body_start", "title", "declared"])
    hashes = described["chunk_hash"].to_pylist()
    texts = texts_of(described["chunk_hash"].unique())
    # A chunk without a text reads as an empty one: it is found to be misread wherever it has a term.
    read = store.text_terms(
        [texts.get(chunk_hash, "") for chunk_hash in hashes],
        analyse=analyser,
        body_starts=described["body_start"].to_pylist(),
        titles=described["title"].to_pylist(),
        declared=described["declared"].to_pylist(),
    )
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


def _sampled(store: Bm25Store, terms: NDArray[np.int32], read: _Chunks, settings: Bm25Settings) -> Statistics:
    counts = store.chunk_counts()
    # Okapi's floor is made of the mean idf of all terms; the others need no more than the queries'.
    named = np.arange(counts.size) if settings.variant == "okapi" else np.unique(terms)
    unit = settings.fields.weights.unit
    return Statistics(
        chunk_count=store.chunk_count,
        average_length=store.average_length / unit,
        chunk_counts=dict(zip(named.tolist(), counts[named].tolist(), strict=True)),
        lengths=[length / unit for length in read.lengths],
        frequencies=[{term: tf / unit for term, tf in found.items()} for found in read.frequencies],
        k1=settings.k1,
        b=settings.b,
    )
