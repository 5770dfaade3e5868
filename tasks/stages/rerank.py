"""The stage that scores candidates with the reranker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from prefect import task
from prefect.cache_policies import NO_CACHE

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.files.parquet import write_table
from nightrank.storage.memo.pair_scores import PairMemo
from nightrank.tasks.rank.order import CHUNK_NAMES, final_order, name_candidates, reranked_rows
from nightrank.tasks.rerank.hosted.plan import HostedPlan
from nightrank.tasks.rerank.pairs import DriftCheck, PairsScored, PairTexts, score_pairs
from nightrank.tasks.rerank.shards import PairSharding, RerankerReference
from nightrank.tasks.runtime.retries import retried

if TYPE_CHECKING:
    from nightrank.storage.release.manifest import ChunkTableVersion
    from nightrank.tasks.night import Night
    from nightrank.tasks.rerank.lazy import LazyReranker


@retried
@task(name="rerank", cache_policy=NO_CACHE)
def rerank_candidates(night: Night, reranker: LazyReranker | None, table: ChunkTableVersion) -> PairsScored:
    """Score every candidate pair that has no score yet, and set the final order of the candidates."""
    settings = night.settings
    fused = night.scratch.fused.read()
    queries = night.files.queries.read(["query_key", "text", "filter"])
    with Bm25Store.open(night.files.statistics.path) as store:
        chunks = store.chunks_at(fused.column("chunk_number").to_numpy(), CHUNK_NAMES)
    candidates = name_candidates(fused, queries, chunks)
    pair_scores = np.full(candidates.num_rows, np.nan, dtype=np.float32)
    done = PairsScored(0, 0, 0)
    if reranker is not None:
        asked = reranked_rows(fused, settings)
        pairs = candidates.select(["query_key", "chunk_hash"]).take(pa.array(asked))
        texts = PairTexts.of(queries, night.open_chunks(table))
        with PairMemo(night.workspace.memo, reranker=reranker.plan.fingerprint) as memo:
            drift_check = DriftCheck(settings.drift_check, reranker.plan.precision, np.random.default_rng(night.seed))
            pair_scores[asked], done = score_pairs(
                pairs, memo, texts, load=reranker.load, drift_check=drift_check, sharding=_sharding(night, reranker)
            )
    weight = 0.0 if reranker is None else reranker.plan.weight
    write_table(
        night.files.candidates.path,
        final_order(candidates, fused, pair_scores, weight=weight, dense_weight=settings.retrieval.dense_weight),
    )
    return done


def _sharding(night: Night, reranker: LazyReranker) -> PairSharding | None:
    """How workers score the night's pairs; None where this process does."""
    plan, settings = reranker.plan, night.settings
    if reranker.sharding is None or isinstance(plan, HostedPlan):
        return None
    model = RerankerReference(settings.reranker, night.base, plan.precision, plan.fingerprint)
    return PairSharding(reranker.sharding, model, plan.device, night.shards, settings.drift_check)
