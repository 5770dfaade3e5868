"""What tuning tries: fusions, and weights and depths of the reranker, the present ones first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nightrank.tasks.experiment.values import Reranking

if TYPE_CHECKING:
    from nightrank.storage.records import JsonValue
    from nightrank.tasks.settings.ranking import RetrievalSettings

RRF_KS = (10, 60)
DENSE_WEIGHTS = tuple(step / 10 for step in range(11))  # 0 and 1: one leg alone decides
RERANKER_WEIGHTS = tuple(step / 10 for step in range(1, 11))
DEPTHS = (10, 20, 50, 100)


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
