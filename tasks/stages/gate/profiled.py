"""The profile of a release, gathered from what its stages have built; it is no stage of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.filters.queries import by_text
from nightrank.storage.keys import fingerprint
from nightrank.storage.memo.query_vectors import QueryMemo
from nightrank.storage.release.compare import rankings_of
from nightrank.tasks.gates.profile.gates import Signal
from nightrank.tasks.gates.profile.sample import (
    FIRST,
    QUERIES,
    Answered,
    Row,
    as_profile,
    chunk_rows,
    highest,
    pair_rows,
    query_rows,
    sampled_chunks,
    similarity_rows,
    texts_of,
)
from nightrank.tasks.read.account import Kind
from nightrank.tasks.trec.leg import runs_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from nightrank.tasks.night import Night
    from nightrank.tasks.stages.built import Built

SCORES: Mapping[Signal, Literal["bm25", "dense", "sparse"]] = {
    Signal.BM25_SCORE: "bm25",
    Signal.DENSE_SCORE: "dense",
    Signal.SPARSE_SCORE: "sparse",
}


def profile_of(night: Night, built: Built) -> pa.Table:
    """The profile of the new release, schema PROFILE; it is kept, too."""
    settings, table = night.settings, night.open_chunks(built.index.vectors.table)
    with Bm25Store.open(built.index.statistics.path) as store:
        chunks = sampled_chunks(store)
    queries = built.asked.queries.read(["query_key", "text", "filter"]).sort_by("query_key").slice(0, QUERIES)
    candidates = built.candidates.read_rows("query_key", queries.column("query_key"))
    answered = _answered(night, built, queries, candidates)
    at_random = chunks.column("chunk_hash").to_pylist()
    behind = [key for query in answered for key in query.hashes if key is not None]
    texts = texts_of(table, [*at_random, *behind])
    chunking = fingerprint(settings.chunking.model_dump(mode="json"))
    bm25 = fingerprint(settings.bm25.model_dump(mode="json"))
    depends_on = {
        Signal.CHUNK_WORDS: chunking,
        Signal.CHUNK_TERMS: bm25,
        Signal.BM25_SCORE: fingerprint([bm25, chunking]),
        Signal.DENSE_SCORE: fingerprint([built.queries.memo, chunking]),
        Signal.SPARSE_SCORE: fingerprint([built.encoded.memo, chunking]),
        Signal.PAIR_SCORE: fingerprint([built.reranked.reranker, chunking]),
        Signal.RESULT_WORDS: chunking,
        Signal.COMMON_WORDS: chunking,
    }
    rows = [
        *chunk_rows(chunks, texts, unit=settings.bm25.fields.weights.unit),
        *query_rows(answered, texts, at_random=at_random),
        *similarity_rows(answered, texts, at_random=at_random),
        *pair_rows(candidates),
        *_known_characters(built),
    ]
    profile = as_profile(rows, depends_on=depends_on)
    night.files.profile.write(profile)
    return profile


def _answered(night: Night, built: Built, queries: pa.Table, candidates: pa.Table) -> list[Answered]:
    """The queries in the sample, and what was found for them.

    Args:
        night: The run.
        built: The new release.
        queries: Keys, texts and filters of the queries.
        candidates: Theirs, schema CANDIDATES.
    """
    keys = queries.column("query_key").to_pylist()
    runs = runs_of(night.settings.retrieval)
    columns = {
        signal: f"{leg}_score"
        for signal, leg in SCORES.items()
        if leg in night.settings.retrieval.legs and leg not in runs
    }
    if built.reranked.reranker != "none":
        columns[Signal.PAIR_SCORE] = "pair_score"
    scores = {signal: highest(candidates, column) for signal, column in columns.items()}
    behind = {
        (key, document_id): chunk_hash
        for key, document_id, chunk_hash in zip(
            *(candidates.column(name).to_pylist()[::-1] for name in ("query_key", "document_id", "chunk_hash")),
            strict=True,
        )
    }
    published = rankings_of(built.results.results.path, keys)
    vectors = _query_vectors(night, built, queries)
    return [
        Answered(
            key,
            text,
            vectors.get(key),
            [behind.get((key, document_id)) for document_id in published.get(key, [])[:FIRST]],
            {signal: of.get(key, 0.0) for signal, of in scores.items()},
        )
        for key, text in zip(keys, queries.column("text").to_pylist(), strict=True)
    ]


def _query_vectors(night: Night, built: Built, queries: pa.Table) -> dict[str, NDArray[np.float32]]:
    """The embeddings of queries by their keys, where the embedder was asked for them."""
    if "dense" not in night.settings.retrieval.legs:
        return {}
    text_keys = by_text(queries, queries).column("query_key").to_pylist()
    with QueryMemo(night.workspace.memo, embedder=built.queries.memo) as memo:
        positions, vectors = memo.vectors_of(text_keys)
    keys = pc.take(queries.column("query_key"), pa.array(positions)).to_pylist()
    return dict(zip(keys, vectors, strict=True))


def _known_characters(built: Built) -> list[Row]:
    """Shares of characters that the embedder's vocabulary knows."""
    counts = {(str(entry.part), entry.what): entry.count for entry in built.account if entry.kind is Kind.TOKENS}
    return [
        Row(signal, "", 1.0 - counts.get((part, "unknown"), 0) / counts[part, "all"])
        for signal, part in ((Signal.KNOWN_DOCUMENTS, "documents"), (Signal.KNOWN_QUERIES, "queries"))
        if counts.get((part, "all"))
    ]
