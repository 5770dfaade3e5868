"""The third stage: every query meets the whole collection in both legs, and the legs are fused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from storage.bm25_store import Bm25Store
from storage.chunk_table import ChunkTable
from storage.tables import read_table, write_table
from tasks.analysis import Analyser
from tasks.bm25 import retrieve_bm25
from tasks.dense import retrieve_dense
from tasks.embedder import Embedder
from tasks.fusion import fuse

if TYPE_CHECKING:
    from storage.releases import ChunkTableVersion
    from tasks.embedder import EmbedderPlan
    from tasks.night import Night


@task(name="retrieve bm25", cache_policy=NO_CACHE)
def retrieve_lexical(night: Night) -> int:
    """The BM25 leg of every query.

    Returns:
        How many entries it has.
    """
    settings = night.settings
    texts = read_table(night.queries, columns=["text"]).column(0).to_pylist()
    with Bm25Store.open(night.bm25) as store:
        leg = retrieve_bm25(
            store,
            texts,
            settings=settings.bm25,
            analyser=Analyser.of(settings.bm25),
            depth=settings.retrieval.candidate_depth,
        )
    write_table(night.leg_bm25, leg)
    return int(leg.num_rows)


@task(name="retrieve dense", cache_policy=NO_CACHE)
def retrieve_semantic(night: Night, plan: EmbedderPlan, table: ChunkTableVersion) -> int:
    """The dense leg of every query.

    Returns:
        How many entries it has.
    """
    execution = night.settings.execution
    texts = read_table(night.queries, columns=["text"]).column(0).to_pylist()
    embedder = Embedder(plan, batch_tokens=execution.batch_tokens, threads=execution.threads)
    with Bm25Store.open(night.bm25) as store:
        chunk_hashes = store.chunks().column("chunk_hash")
    leg = retrieve_dense(
        embedder.embed_queries(texts),
        ChunkTable.open(night.workspace.lance, name=table.name, version=table.version),
        chunk_hashes,
        depth=night.settings.retrieval.candidate_depth,
    )
    write_table(night.leg_dense, leg)
    return int(leg.num_rows)


@task(name="fuse", cache_policy=NO_CACHE)
def fuse_legs(night: Night) -> int:
    """Both legs as one ranking.

    Returns:
        How many entries it has, candidates and what lies below them.
    """
    fused = fuse(read_table(night.leg_bm25), read_table(night.leg_dense), settings=night.settings.retrieval)
    write_table(night.fused, fused)
    return int(fused.num_rows)
