"""What the profile of a release is made of: a sample of its chunks and of its queries, the same from night to night.

Sampled are those with the lowest keys, which are digests: at random, and the same ones as long as they are there. All
that is looked at is at hand in a night; no model is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.lance.table import vectors_of
from nightrank.storage.release.gate_records import PROFILE
from nightrank.tasks.gates.profile.gates import Signal
from nightrank.tasks.gates.profile.word_forms import common_forms, share_in_common, word_forms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.storage.lance.table import ChunkTable

CHUNKS, QUERIES = 1000, 300
OF_PAIRS = (40, 60)  # chunks at random and queries, each of which is paired with each
PAIRS = 12  # candidates a query, the first by fused rank, whose pairs are looked at
FIRST = 5  # results of a query that are looked at
AT_RANDOM = 0.9  # quantile of a query's similarity to chunks at random, up to which a chunk is little similar


class Row(NamedTuple):
    """A row of schema PROFILE, without what it depends on."""

    signal: Signal
    key: str
    value: float


class Texts(NamedTuple):
    """What is known of chunks, by their hashes.

    Attributes:
        forms: The forms of their words.
        words: How many words they have.
        characters: Spaces left out.
        tokens: Of the embedder.
        vectors: float64 (dim,) each, of length 1.
    """

    forms: Mapping[str, frozenset[str]]
    words: Mapping[str, int]
    characters: Mapping[str, int]
    tokens: Mapping[str, int]
    vectors: Mapping[str, NDArray[np.float64]]


class Answered(NamedTuple):
    """A query, and what was found for it.

    Attributes:
        key: Of the query.
        text: Its text.
        vector: float (dim,); None where the embedder was not asked.
        hashes: Of the chunks behind its first results; None for a result that is none of its candidates.
        scores: The highest of its candidates, by signal.
    """

    key: str
    text: str
    vector: NDArray[np.float32] | None
    hashes: Sequence[str | None]
    scores: Mapping[Signal, float]


def sampled_chunks(store: Bm25Store) -> pa.Table:
    """The hashes and lengths in terms of the chunks in the sample, each hash once."""
    lowest: pa.Table | None = None
    for batch in store.chunk_reader(["chunk_hash", "length"]):
        part = pa.Table.from_batches([batch])
        both = part if lowest is None else pa.concat_tables([lowest, part])
        rows = both.group_by("chunk_hash", use_threads=False).aggregate([("length", "first")])
        rows = rows.rename_columns({"length_first": "length"}).select(["chunk_hash", "length"])
        lowest = rows.sort_by("chunk_hash").slice(0, CHUNKS)
    assert lowest is not None, "a release has chunks"
    return lowest


def texts_of(table: ChunkTable, chunk_hashes: Sequence[str]) -> Texts:
    """What is known of some chunks."""
    rows = table.rows(pa.array(sorted(set(chunk_hashes)), pa.string()), ["text", "tokens", "vector"])
    hashes, texts = rows.column("chunk_hash").to_pylist(), rows.column("text").to_pylist()
    vectors = vectors_of(rows, table.dimensions).astype(np.float64)
    return Texts(
        forms=dict(zip(hashes, map(word_forms, texts), strict=True)),
        words={key: len(text.split()) for key, text in zip(hashes, texts, strict=True)},
        characters={key: sum(map(len, text.split())) for key, text in zip(hashes, texts, strict=True)},
        tokens=dict(zip(hashes, rows.column("tokens").to_pylist(), strict=True)),
        vectors=dict(zip(hashes, _unit(vectors), strict=True)),
    )


def chunk_rows(chunks: pa.Table, texts: Texts, *, unit: int) -> Iterator[Row]:
    """The values of chunks.

    Args:
        chunks: As ``sampled_chunks`` gives them.
        texts: What is known of them.
        unit: Of their lengths.
    """
    lengths = zip(chunks.column("chunk_hash").to_pylist(), chunks.column("length").to_pylist(), strict=True)
    for key, length in lengths:
        if key in texts.words:
            yield Row(Signal.CHUNK_WORDS, key, texts.words[key])
            yield Row(Signal.CHUNK_CHARACTERS, key, texts.characters[key])
            yield Row(Signal.CHUNK_TOKENS, key, texts.tokens[key])
            yield Row(Signal.CHUNK_TERMS, key, length / unit)


def query_rows(answered: Sequence[Answered], texts: Texts, *, at_random: Sequence[str]) -> Iterator[Row]:
    """The values of queries.

    Args:
        answered: The queries.
        texts: What is known of the chunks behind their results, and of those at random.
        at_random: Hashes of chunks that have nothing to do with the queries.
    """
    known = [key for key in at_random if key in texts.forms]
    common = common_forms(texts.forms[key] for key in known)
    others = np.array([texts.vectors[key] for key in known])
    for query in answered:
        for signal, score in query.scores.items():
            yield Row(signal, query.key, score)
        forms = word_forms(query.text)
        found = [key if key in texts.forms else None for key in query.hashes]
        if not forms or not found:
            continue
        shares = [0.0 if key is None else share_in_common(forms, texts.forms[key], common=common) for key in found]
        yield Row(Signal.COMMON_WORDS, query.key, float(np.mean(shares)))
        yield Row(Signal.RESULT_WORDS, query.key, float(np.mean([texts.words.get(key or "", 0) for key in found])))
        far = _little_similar(query.vector, [texts.vectors.get(key or "") for key in found], others)
        unrelated = [share == 0.0 and is_far for share, is_far in zip(shares, far, strict=True)]
        yield Row(Signal.UNRELATED, query.key, float(np.mean(unrelated)))


def similarity_rows(answered: Sequence[Answered], texts: Texts, *, at_random: Sequence[str]) -> Iterator[Row]:
    """How similar queries and chunks at random are, by the embedder.

    Args:
        answered: Queries, always the same ones first.
        texts: What is known of the chunks.
        at_random: Hashes of chunks, as well.
    """
    chunks, queries = OF_PAIRS
    known = [key for key in at_random[:chunks] if key in texts.vectors]
    for query in answered[:queries]:
        if query.vector is not None:
            unit = _unit(query.vector.astype(np.float64)[None])[0]
            for key in known:
                yield Row(Signal.SIMILARITY, f"{query.key} {key}", float(texts.vectors[key] @ unit))


def pair_rows(candidates: pa.Table) -> Iterator[Row]:
    """What the reranker says of the first candidates of queries.

    Args:
        candidates: Schema CANDIDATES.
    """
    rows = candidates.filter((pc.field("fused_rank") <= PAIRS) & pc.field("pair_score").is_valid())
    columns = (rows.column(name).to_pylist() for name in ("query_key", "chunk_hash", "pair_score"))
    for query, chunk, score in zip(*columns, strict=True):
        yield Row(Signal.PAIR, f"{query} {chunk}", score)


def as_profile(rows: Sequence[Row], *, depends_on: Mapping[Signal, str]) -> pa.Table:
    """A table of schema PROFILE, by signal and key.

    Args:
        rows: Of it.
        depends_on: By signal, what its values are not comparable without; nothing where it is missing.
    """
    columns = [
        [row.signal.value for row in rows],
        [row.key for row in rows],
        [depends_on.get(row.signal, "") for row in rows],
        [float(row.value) for row in rows],
    ]
    table = pa.table([pa.array(column, field.type) for column, field in zip(columns, PROFILE, strict=True)], PROFILE)
    return table.sort_by([("signal", "ascending"), ("key", "ascending")])


def highest(candidates: pa.Table, column: str) -> dict[str, float]:
    """The highest score that a leg or the reranker gives a query's candidates, by query key; 0 where it gives none.

    Args:
        candidates: Schema CANDIDATES.
        column: Of the scores.
    """
    grouped = candidates.group_by("query_key", use_threads=False).aggregate([(column, "max")])
    values = pc.fill_null(grouped.column(f"{column}_max"), 0.0)
    return dict(zip(grouped.column("query_key").to_pylist(), values.to_pylist(), strict=True))


def _little_similar(
    vector: NDArray[np.float32] | None, found: Sequence[NDArray[np.float64] | None], others: NDArray[np.float64]
) -> list[bool]:
    """Which results are no more similar to a query than chunks at random; all of them where nothing tells."""
    if vector is None or not others.size:
        return [True] * len(found)
    unit = _unit(vector.astype(np.float64)[None])[0]
    bound = float(np.quantile(others @ unit, AT_RANDOM))
    return [result is None or float(result @ unit) <= bound for result in found]


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    found: NDArray[np.float64] = vectors / np.where(lengths > 0, lengths, 1.0)
    return found
