"""What every variant of fusion, reranker's weight and depth is worth on every judged query: no night, no model.

The formulas are the night's own, over the arrays of ``tasks.evaluate.judged``, in the order in which a night adds them
up, so that a variant's figure is the one that a refresh with it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nightrank.storage.records import ranking_order, ranks_within
from nightrank.tasks.rank.fusion import fused_scores
from nightrank.tasks.rank.order import LegScores, first_stage_scores, weighted_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.evaluate.judged import JudgedCandidates
    from nightrank.tasks.settings.ranking import RetrievalSettings

NDCG_DEPTH = 10
RRF_KS = (10, 60)
DENSE_WEIGHTS = tuple(step / 10 for step in range(11))  # 0 and 1: one leg alone decides
RERANKER_WEIGHTS = tuple(step / 10 for step in range(1, 11))
DEPTHS = (10, 20, 50, 100)


class Reranking(NamedTuple):
    """How candidates are reranked: the reranker's weight, and how many of them."""

    weight: float
    depth: int


class RankingVariant(NamedTuple):
    """What is tuned: a fusion, and how its candidates are reranked; None where the fused order is kept."""

    fusion: RetrievalSettings
    reranking: Reranking | None

    def values(self) -> dict[str, JsonValue]:
        """The values by key of the settings file; ``reranker.model`` alone where nothing is reranked."""
        told: dict[str, JsonValue] = {"retrieval.fusion": self.fusion.fusion}
        if self.fusion.fusion == "rrf":
            told["retrieval.rrf_k"] = self.fusion.rrf_k
        told["retrieval.dense_weight"] = self.fusion.dense_weight
        if self.reranking is None:
            return told | {"reranker.model": "none"}
        return told | {"reranker.weight": self.reranking.weight, "reranker.depth": self.reranking.depth}


def fusions_to_try(present: RetrievalSettings) -> list[RetrievalSettings]:
    """The fusions of a search: the present one first, then those nearest to it in weight."""
    kinds = [("minmax", present.rrf_k), *(("rrf", k) for k in sorted({*RRF_KS, present.rrf_k}))]
    weights = sorted(DENSE_WEIGHTS, key=lambda weight: abs(weight - present.dense_weight))
    tried = [
        present.model_copy(update={"fusion": kind, "rrf_k": k, "dense_weight": weight})
        for weight in weights
        for kind, k in kinds
    ]
    return [present, *(fusion for fusion in tried if fusion != present)]


def rerankings_to_try(present: Reranking, *, deepest: int) -> list[Reranking]:
    """The weights and depths of a search: the present ones first, then those nearest to them in weight.

    Args:
        present: As the settings have them.
        deepest: Candidates at most; not fewer than at present.
    """
    depths = sorted({deepest, present.depth, *(depth for depth in DEPTHS if depth < deepest)}, reverse=True)
    weights = sorted({*RERANKER_WEIGHTS, present.weight}, key=lambda weight: abs(weight - present.weight))
    tried = [Reranking(weight, depth) for weight in weights for depth in depths]
    return [present, *(reranking for reranking in tried if reranking != present)]


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """A fusion over a pool.

    Attributes:
        scores: float32 (n,).
        order: int (n,), the rows in the order of a night: by query, then fused rank.
        ranks: int32 (n,), fused ranks of the rows.
        among: bool (n,), the candidates.
    """

    scores: NDArray[np.float32]
    order: NDArray[np.intp]
    ranks: NDArray[np.int32]
    among: NDArray[np.bool_]

    @classmethod
    def of(cls, judged: JudgedCandidates, settings: RetrievalSettings) -> Fused:
        """A fusion of the pool's legs."""
        pool = judged.pool
        scores = fused_scores(pool, settings=settings)
        order = ranking_order(pool.queries, scores, pool.chunks)
        ranks = np.empty(order.size, dtype=np.int32)
        ranks[order] = ranks_within(pool.queries[order])
        return cls(scores, order, ranks, ranks <= settings.candidate_depth)


def leg_values(judged: JudgedCandidates, leg: str) -> NDArray[np.float64]:
    """The nDCG of one leg alone, of each query: float64 (n_ids,)."""
    return judged.ndcg(judged.pool.scores[leg], judged.pool.ranks[leg] > 0, depth=NDCG_DEPTH)


def fused_values(
    judged: JudgedCandidates, fusions: Sequence[RetrievalSettings]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What fusions are worth without a reranker, and to one.

    Returns:
        The nDCG of the fused order, and the recall of the candidates: float64 (n_fusions, n_ids) each.
    """
    ndcg, recall = (np.zeros((len(fusions), len(judged.query_ids))) for _ in range(2))
    for row, settings in enumerate(fusions):
        fused = Fused.of(judged, settings)
        ndcg[row] = judged.ndcg(fused.scores, fused.among, depth=NDCG_DEPTH)
        recall[row] = judged.recall(fused.among)
    return ndcg, recall


def are_scored(
    judged: JudgedCandidates, pair_scores: NDArray[np.float32], settings: RetrievalSettings, *, depth: int
) -> bool:
    """Whether the first ``depth`` candidates of a fusion all have a pair score.

    Args:
        judged: The pool.
        pair_scores: float32 (n,), NaN where there is none.
        settings: The fusion.
        depth: Of the reranking.
    """
    asked = Fused.of(judged, settings).ranks <= min(depth, settings.candidate_depth)
    return not np.isnan(pair_scores[asked]).any()


def reranked_values(
    judged: JudgedCandidates,
    pair_scores: NDArray[np.float32],
    settings: RetrievalSettings,
    rerankings: Sequence[Reranking],
) -> NDArray[np.float64]:
    """The nDCG of the candidates of a fusion, reranked in some ways: float64 (n_rerankings, n_ids).

    Args:
        judged: The pool.
        pair_scores: float32 (n,), of the rows; known of all that the deepest reranking asks for.
        settings: The fusion.
        rerankings: Weights and depths.
    """
    fused = Fused.of(judged, settings)
    order, pool = fused.order, judged.pool
    queries, scores, ranks = pool.queries[order], fused.scores[order], fused.ranks[order]
    legs = [
        LegScores(pool.scores[leg][order].astype(np.float64), weight)
        for leg, weight in (("bm25", 1.0 - settings.dense_weight), ("dense", settings.dense_weight))
    ]
    values = np.zeros((len(rerankings), len(judged.query_ids)))
    for depth in {reranking.depth for reranking in rerankings}:
        asked = ranks <= min(depth, settings.candidate_depth)
        assert not np.isnan(pair_scores[order][asked]).any()
        pairs = np.where(asked, pair_scores[order], np.float32(np.nan))
        first_stage = first_stage_scores(queries, scores, legs=legs, asked=asked)
        for row, reranking in enumerate(rerankings):
            if reranking.depth == depth:
                final = np.empty(order.size, dtype=np.float32)
                final[order] = weighted_scores(queries, first_stage, ranks, pairs, weight=reranking.weight)
                values[row] = judged.ndcg(final, fused.among, depth=NDCG_DEPTH)
    return values
