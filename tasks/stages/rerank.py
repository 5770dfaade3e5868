"""The stage that scores candidates with the reranker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.memo.pair_scores import PairMemo
from nightrank.storage.records import asked_by_people
from nightrank.storage.release.files import Candidates, ReleaseFiles
from nightrank.storage.release.whole import whole_file
from nightrank.storage.wide import rows_at
from nightrank.tasks.rank.candidate_grams import PAIR_GRAMS, texts_by_key, with_grams
from nightrank.tasks.rank.order import (
    CHUNK_NAMES,
    Weighing,
    entries_of,
    final_order,
    name_candidates,
    reranked_rows,
)
from nightrank.tasks.rerank.hosted.plan import HostedPlan
from nightrank.tasks.rerank.pairs import DriftCheck, PairsScored, PairTexts, score_pairs
from nightrank.tasks.rerank.shards import PairSharding, RerankerReference
from nightrank.tasks.runtime.retries import RETRIED
from nightrank.tasks.runtime.stage_task import stage_task

if TYPE_CHECKING:
    import pyarrow as pa

    from nightrank.storage.release.files import Fused, Named, Queries
    from nightrank.storage.release.manifest import LogMeans
    from nightrank.tasks.night import Night
    from nightrank.tasks.rank.learned import LearnedOrder
    from nightrank.tasks.rerank.lazy import LazyReranker
    from nightrank.tasks.stages.index import Index


@dataclass(frozen=True, slots=True)
class Reranked:
    """What reranking gave.

    Attributes:
        candidates: In their final order.
        pairs: What that took.
        log: What the lists of tonight's log say in the mean.
        reranker: The reranker's fingerprint; ``none`` without one.
    """

    candidates: Candidates
    pairs: PairsScored
    log: LogMeans
    reranker: str


@stage_task("rerank", retry=RETRIED)
def rerank_candidates(
    night: Night,
    fused: Fused,
    queries: Queries,
    index: Index,
    reranker: LazyReranker | None,
    *,
    learned: LearnedOrder | None,
) -> Reranked:
    """Score every candidate pair that has no score yet, and set the final order of the candidates."""
    settings, entries = night.settings, fused.read()
    asked = queries.read(["query_key", "text", "filter", "origin"])
    with Bm25Store.open(index.statistics.path) as store:
        chunks = store.chunks_at(entries.column("chunk_number").to_numpy(), CHUNK_NAMES)
    candidates, table = name_candidates(entries, asked, chunks), night.open_chunks(index.vectors.table)
    pair_scores = np.full(candidates.num_rows, np.nan, dtype=np.float32)
    done = PairsScored(0, 0, 0)
    if reranker is not None:
        rows = reranked_rows(entries, settings)
        pairs = rows_at(candidates.select(["query_key", "chunk_hash"]), rows)
        texts = PairTexts.of(asked, table)
        with PairMemo(night.workspace.memo, reranker=reranker.plan.fingerprint) as memo:
            drift_check = DriftCheck(settings.drift_check, reranker.plan.precision, np.random.default_rng(night.seed))
            pair_scores[rows], done = score_pairs(
                pairs, memo, texts, load=reranker.load, drift_check=drift_check, sharding=_sharding(night, reranker)
            )
    weighing = Weighing.of(settings, learned, weight=0.0 if reranker is None else reranker.plan.weight)
    log = weighing.log_means(entries_of(entries), pair_scores, people=asked_by_people(asked))
    if learned is not None:
        known = known_grams(night, ReleaseFiles.candidates)
        candidates = with_grams(candidates, texts_by_key(asked), table, known=known)
    ordered = final_order(candidates, entries, pair_scores, weighing=weighing.over(log))
    fingerprint = "none" if reranker is None else reranker.plan.fingerprint
    return Reranked(night.files.candidates.write(ordered), done, log, fingerprint)


def known_grams(night: Night, named: Named[Candidates]) -> pa.Table | None:
    """The grams of pairs that the release which is built upon knows, schema PAIR_GRAMS; None where there is none.

    Args:
        night: The run.
        named: Which of its files.
    """
    current = night.current
    if current is None or night.before is None or named.name not in current.files:
        return None
    files = ReleaseFiles.of(night.workspace, current.release_id, only=[named])
    whole = whole_file(Candidates(files.folder / named.name), current)
    return None if whole is None else whole.read(PAIR_GRAMS.names)


def _sharding(night: Night, reranker: LazyReranker) -> PairSharding | None:
    """How workers score the night's pairs; None where this process does."""
    plan, settings = reranker.plan, night.settings
    if reranker.sharding is None or isinstance(plan, HostedPlan):
        return None
    model = RerankerReference(settings.reranker, night.base, plan.precision, plan.fingerprint)
    return PairSharding(reranker.sharding, model, plan.device, night.shards, settings.drift_check)
