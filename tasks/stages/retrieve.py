"""The third stage: every query meets the collection in each leg that is on, and the legs are fused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.filters.queries import by_text
from nightrank.storage.memo.query_vectors import QueryMemo
from nightrank.storage.records import LEG
from nightrank.storage.release.leg_lists import write_leg_lists
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.bm25.ranges import SpreadScan
from nightrank.tasks.bm25.retrieve import retrieve_bm25
from nightrank.tasks.dense.ranges import RangedVectors
from nightrank.tasks.dense.retrieve import DenseQueries, device_of
from nightrank.tasks.embed.account import account_of_queries
from nightrank.tasks.embed.shards import embed_in_shards
from nightrank.tasks.rank.documents import document_numbers, documents_behind
from nightrank.tasks.rank.fusion import fuse
from nightrank.tasks.runtime.progress import progress
from nightrank.tasks.runtime.retries import RETRIED
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.stages.lists import distinct_texts, leg_over_vectors, ranges_of
from nightrank.tasks.trec.leg import run_as_leg
from nightrank.tasks.workers.cut import slices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName
    from nightrank.storage.release.files import (
        Bm25Leg,
        DenseLeg,
        ExternalRun,
        Fused,
        Queries,
        SparseLeg,
        TableReference,
    )
    from nightrank.tasks.embed.lazy import LazyEmbedder
    from nightrank.tasks.night import Night
    from nightrank.tasks.read.account import Entry
    from nightrank.tasks.stages.filter import FilteredQueries
    from nightrank.tasks.stages.index import ChunksEmbedded, Index
    from nightrank.tasks.workers.cut import Sharding

COMMIT_QUERIES = 1024  # queries embedded between two commits: what a killed run loses at most


@dataclass(frozen=True, slots=True)
class QueriesEmbedded:
    """What the embedding of queries did.

    Attributes:
        memo: The fingerprint of the embedder, under which the memo has a vector of every query.
        embedded: Queries that had no embedding yet.
        checked: Stored embeddings of chunks that the embedder, if it was loaded, has computed again this night.
        account: Queries that are longer than the embedder reads, and characters that it does not know.
    """

    memo: str
    embedded: int
    checked: int
    account: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class DenseRetrieved:
    """What the dense leg gave.

    Attributes:
        leg: It.
        scanned: Queries that met the whole collection.
    """

    leg: DenseLeg
    scanned: int


@stage_task("retrieve bm25")
def retrieve_lexical(
    night: Night, asked: FilteredQueries, index: Index, *, sharding: Sharding | None = None
) -> Bm25Leg:
    """The BM25 leg of every query; empty where it is off.

    Args:
        night: The run.
        asked: The queries.
        index: What they meet.
        sharding: How workers scan what is much; None where this process scans all.
    """
    if "bm25" not in night.settings.retrieval.legs:
        return night.scratch.bm25_leg.write(LEG.empty_table())
    settings, queries = night.settings, asked.queries.read(["text", "filter"])
    texts = queries.column("text").to_pylist()
    with Bm25Store.open(index.statistics.path) as store:
        documents = documents_behind(document_numbers(store), settings)
        ranges, scan = ranges_of(night, sharding), None
        if ranges is not None:
            scan = SpreadScan(store, index.statistics.path, settings.bm25, ranges)

        def leg_of(numbers: NDArray[np.int64], allowed: NDArray[np.bool_] | None) -> pa.Table:
            return retrieve_bm25(
                store,
                [texts[number] for number in numbers.tolist()],
                settings=settings.bm25,
                analyser=Analyser.of(settings.bm25),
                depth=settings.retrieval.candidate_depth,
                documents=documents,
                allowed=allowed,
                scan=scan,
            )

        return night.scratch.bm25_leg.write(asked.filters(queries).leg(leg_of))


@stage_task("embed queries", retry=RETRIED)
def embed_queries(night: Night, asked: Queries, vectors: ChunksEmbedded, embedder: LazyEmbedder) -> QueriesEmbedded:
    """Embed the queries that have no vector yet, batch by batch; the model is loaded only where one is missing.

    Where the dense leg is off, nothing asks for vectors of queries, and none is made.
    """
    if "dense" not in night.settings.retrieval.legs:
        return QueriesEmbedded(embedder.plan.fingerprint, embedded=0, checked=embedder.vectors_checked)
    queries = distinct_texts(asked.read(["query_key", "text", "filter"]))
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
                folder=night.shards,
                base=night.base,
                drift_check=night.settings.drift_check,
                embedder=embedder,
                sharding=sharding,
                stored=embedder.stored_sample(night.open_chunks(vectors.table)),
            ):
                memo.append(done.keys, done.vectors)
        elif missing.size:
            model = embedder.load(night.open_chunks(vectors.table))
            with progress("embedding queries", missing.size) as advance:
                for first in range(0, missing.size, COMMIT_QUERIES):
                    part = queries.take(pa.array(missing[first : first + COMMIT_QUERIES]))
                    memo.append(
                        part.column("query_key").to_pylist(), model.embed_queries(part.column("text").to_pylist())
                    )
                    advance(part.num_rows)
    return QueriesEmbedded(
        embedder.plan.fingerprint,
        embedded=int(missing.size),
        checked=embedder.vectors_checked,
        account=account_of_queries(keys, queries.column("text").to_pylist(), embedder.plan),
    )


@stage_task("retrieve dense")
def retrieve_semantic(
    night: Night,
    asked: FilteredQueries,
    vectors: QueriesEmbedded,
    index: Index,
    *,
    sharding: Sharding | None = None,
) -> DenseRetrieved:
    """The dense leg of every query, from the lists of the night before where there are any; empty where it is off.

    Args:
        night: The run.
        asked: The queries.
        vectors: Theirs.
        index: What they meet.
        sharding: How workers scan what is much; None where this process scans all.
    """
    if "dense" not in night.settings.retrieval.legs:
        write_leg_lists(night.files.dense_lists.path, ())
        return DenseRetrieved(night.scratch.dense_leg.write(LEG.empty_table()), scanned=0)
    rows, before = asked.queries.read(["query_key", "text", "filter"]), night.before
    with QueryMemo(night.workspace.memo, embedder=vectors.memo) as memo:
        known, query_vectors = memo.vectors_of(by_text(rows, rows).column("query_key").to_pylist())
    assert known.tolist() == list(range(rows.num_rows))
    outcome = leg_over_vectors(
        night,
        asked,
        index,
        queries=DenseQueries(query_vectors, device_of(night.settings.execution)),
        vectors=RangedVectors(night.open_chunks(index.vectors.table)),
        lists=night.files.dense_lists,
        before=before.files.dense_lists if before is not None and before.same_embedder else None,
        ranges=ranges_of(night, sharding),
    )
    return DenseRetrieved(night.scratch.dense_leg.write(outcome.leg), outcome.scanned)


@stage_task("fuse")
def fuse_legs(
    night: Night,
    bm25_leg: Bm25Leg,
    dense_leg: DenseLeg,
    sparse_leg: SparseLeg,
    *,
    runs: Mapping[LegName, ExternalRun],
    asked: FilteredQueries,
    index: Index,
) -> Fused:
    """The legs that are on as one ranking: candidates and what lies below them.

    Args:
        night: The run.
        bm25_leg: Our own.
        dense_leg: Our own.
        sparse_leg: Our own.
        runs: External runs, each in place of the leg that it stands in for.
        asked: The queries of the legs; an external run has their filters applied.
        index: What the legs were retrieved from.
    """
    settings = night.settings.retrieval
    files: dict[LegName, TableReference] = {"bm25": bm25_leg, "dense": dense_leg, "sparse": sparse_leg}
    own = {leg: files[leg].read() for leg in settings.own_legs}
    legs = dict(own)
    with Bm25Store.open(index.statistics.path) as store:
        documents = documents_behind(document_numbers(store), night.settings)
        if runs:
            document_ids = store.chunks(["document_id"]).column(0).combine_chunks()
            allowed = asked.filters().by_query
            for leg, run in runs.items():
                legs[leg] = run_as_leg(run.read(), own, document_ids, depth=settings.candidate_depth, allowed=allowed)
    return night.scratch.fused.write(fuse(legs, settings=settings, documents=documents))
