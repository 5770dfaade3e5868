"""The third stage: every query meets the collection in both legs, and the legs are fused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from prefect import task
from prefect.cache_policies import NO_CACHE

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.filters.queries import by_text
from nightrank.storage.memo.query_vectors import QueryMemo
from nightrank.storage.release.dense_lists import read_dense_lists, write_dense_lists
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.bm25.retrieve import retrieve_bm25
from nightrank.tasks.dense.carried import ListedQueries, lists_by_key, lists_by_number
from nightrank.tasks.dense.filtered import CarriedOver, update_filtered
from nightrank.tasks.dense.lists import DenseLists
from nightrank.tasks.dense.retrieve import StoredVectors
from nightrank.tasks.dense.texts import Texts
from nightrank.tasks.embed.shards import embed_in_shards
from nightrank.tasks.filters.queries import QueryFilters
from nightrank.tasks.rank.fusion import fuse
from nightrank.tasks.runtime.progress import progress
from nightrank.tasks.runtime.retries import retried
from nightrank.tasks.trec.leg import run_as_leg, runs_of
from nightrank.tasks.workers.cut import slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nightrank.storage.release.manifest import ChunkTableVersion
    from nightrank.tasks.embed.lazy import LazyEmbedder
    from nightrank.tasks.night import Night

COMMIT_QUERIES = 1024  # queries embedded between two commits: what a killed run loses at most


@dataclass(frozen=True, slots=True)
class QueriesEmbedded:
    """What the embedding of queries did.

    Attributes:
        embedded: Queries that had no embedding yet.
        checked: Stored embeddings of chunks that the embedder, if it was loaded, has computed again this night.
    """

    embedded: int
    checked: int


@task(name="retrieve bm25", cache_policy=NO_CACHE)
def retrieve_lexical(night: Night) -> int:
    """The BM25 leg of every query.

    Returns:
        How many entries it has.
    """
    settings, queries = night.settings, night.files.queries.read(["text", "filter"])
    texts = queries.column("text").to_pylist()
    with Bm25Store.open(night.files.statistics.path) as store:

        def leg_of(numbers: NDArray[np.int64], allowed: NDArray[np.bool_] | None) -> pa.Table:
            return retrieve_bm25(
                store,
                [texts[number] for number in numbers.tolist()],
                settings=settings.bm25,
                analyser=Analyser.of(settings.bm25),
                depth=settings.retrieval.candidate_depth,
                allowed=allowed,
            )

        leg = QueryFilters.of_night(night, queries).leg(leg_of)
    night.scratch.bm25_leg.write(leg)
    return int(leg.num_rows)


@retried
@task(name="embed queries", cache_policy=NO_CACHE)
def embed_queries(night: Night, embedder: LazyEmbedder, version: ChunkTableVersion) -> QueriesEmbedded:
    """Embed the queries that have no vector yet, batch by batch; the model is loaded only where one is missing."""
    queries = night.files.queries.read(["query_key", "text", "filter"])
    queries = _each_once(by_text(queries, queries))
    keys = queries.column("query_key").to_pylist()
    with QueryMemo(night.workspace.memo, embedder=embedder.plan.fingerprint) as memo:
        known, _ = memo.vectors_of(keys)
        missing = np.setdiff1d(np.arange(len(keys)), known)
        sharding = embedder.sharding_of(int(missing.size))
        if sharding is not None:
            parts = slices(queries.take(pa.array(missing)), sharding.texts)
            for done in embed_in_shards(
                ((part.column("query_key").to_pylist(), part.column("text").to_pylist()) for part in parts),
                "queries",
                night=night,
                embedder=embedder,
                sharding=sharding,
                stored=embedder.stored_sample(night.open_chunks(version)),
            ):
                memo.append(done.keys, done.vectors)
        elif missing.size:
            table = night.open_chunks(version)
            model = embedder.load(table)
            with progress("embedding queries", missing.size) as advance:
                for first in range(0, missing.size, COMMIT_QUERIES):
                    part = queries.take(pa.array(missing[first : first + COMMIT_QUERIES]))
                    vectors = model.embed_queries(part.column("text").to_pylist())
                    memo.append(part.column("query_key").to_pylist(), vectors)
                    advance(part.num_rows)
    return QueriesEmbedded(embedded=int(missing.size), checked=embedder.vectors_checked)


@task(name="retrieve dense", cache_policy=NO_CACHE)
def retrieve_semantic(night: Night, version: ChunkTableVersion, *, embedder: str) -> int:
    """The dense leg of every query, from the lists of the night before where there are any.

    Args:
        night: The run.
        version: Where the vectors of chunks are.
        embedder: The fingerprint under which those of queries are.

    Returns:
        How many queries met the whole collection.
    """
    asked = night.files.queries.read(["query_key", "text", "filter"])
    with QueryMemo(night.workspace.memo, embedder=embedder) as memo:
        known, query_vectors = memo.vectors_of(by_text(asked, asked).column("query_key").to_pylist())
    assert known.tolist() == list(range(asked.num_rows))
    with Bm25Store.open(night.files.statistics.path) as store:
        texts = Texts.of(store.chunks(["chunk_hash"]).column(0))
    queries = ListedQueries.of(asked.column("query_key").combine_chunks(), query_vectors)
    lists, carried_over = DenseLists.unknown(len(queries)), CarriedOver.nothing()
    if night.before is not None and night.before.same_embedder:
        lists = lists_by_number(read_dense_lists(night.before.files.dense_lists.path), queries, texts)
        carried_over = CarriedOver.since(night, night.before)
    outcome = update_filtered(
        lists,
        query_vectors,
        texts=texts,
        filters=QueryFilters.of_night(night, asked),
        vectors=StoredVectors(night.open_chunks(version)),
        carried_over=carried_over,
        depth=night.settings.retrieval.candidate_depth,
    )
    night.scratch.dense_leg.write(outcome.leg)
    write_dense_lists(night.files.dense_lists.path, lists_by_key(outcome.lists, queries, texts))
    return outcome.scanned


def _each_once(queries: pa.Table) -> pa.Table:
    """The queries, each key where it comes first."""
    codes = queries.column("query_key").combine_chunks().dictionary_encode().indices.to_numpy()
    _, first = np.unique(codes, return_index=True)
    return queries if first.size == queries.num_rows else queries.take(pa.array(np.sort(first)))


@task(name="fuse", cache_policy=NO_CACHE)
def fuse_legs(night: Night) -> int:
    """Both legs as one ranking; a run from outside in place of the leg that it stands in for.

    Returns:
        How many entries it has, candidates and what lies below them.
    """
    own = {"bm25": night.scratch.bm25_leg.read(), "dense": night.scratch.dense_leg.read()}
    settings, legs = night.settings.retrieval, dict(own)
    runs = runs_of(settings)
    if runs:
        with Bm25Store.open(night.files.statistics.path) as store:
            documents = store.chunks(["document_id"]).column(0).combine_chunks()
        filters = QueryFilters.of_night(night, night.files.queries.read(["filter"]))
        for leg in runs:
            run = night.external_run(leg).read()
            legs[leg] = run_as_leg(run, own, documents, depth=settings.candidate_depth, allowed=filters.by_query)
    fused = fuse(legs["bm25"], legs["dense"], settings=settings)
    night.scratch.fused.write(fused)
    return int(fused.num_rows)
