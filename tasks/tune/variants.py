"""What tuning tries: fusions, and weights and depths of the reranker, the present ones first."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from nightrank.tasks.experiment.values import Reranking
from nightrank.tasks.settings.ranking import LegWeights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nightrank.storage.legs import LegName
    from nightrank.storage.records import JsonValue
    from nightrank.tasks.settings.index import Bm25FieldsSettings
    from nightrank.tasks.settings.ranking import RetrievalSettings
    from nightrank.tasks.tune.order import FittedOrder

RRF_KS = (10, 60)
# How many parts the weight of one is cut into, by the number of legs; with a part of 0 a leg finds, and does not count.
PARTS = {1: 1, 2: 10, 3: 6}
ROUNDING = 1e-3  # shares that differ by no more, all together, are equal
DECIMALS = 4  # of a weight that is told, and written
DEFAULT_WEIGHT = 0.5  # that plain ones are tried from, where the learned order weighs now
RERANKER_WEIGHTS = tuple(step / 10 for step in range(1, 11))
DEPTHS = (10, 20, 50, 100)


class RankingVariant(NamedTuple):
    """What is tuned: a fusion, how its candidates are reranked (None: not at all), by what they are ordered, fields."""

    fusion: RetrievalSettings
    reranking: Reranking | None
    learned: bool = False  # whether a learned order weighs them, and not fusion and weights
    order_model: str | None = None  # its file, as settings name it; the packaged one where that is None
    fitted: FittedOrder | None = None  # where it is one that judged queries made, and not the settings' own
    fields: Bm25FieldsSettings | None = None  # the weights of BM25's fields, where these are tuned

    def values(self) -> dict[str, JsonValue]:
        """The values by key of the settings file; ``reranker.model`` alone where nothing is reranked."""
        told: dict[str, JsonValue] = {} if self.fields is None else {"bm25.fields": self.fields.model_dump()}
        told["retrieval.fusion"] = self.fusion.fusion
        if self.fusion.fusion == "rrf":
            told["retrieval.rrf_k"] = self.fusion.rrf_k
        told["retrieval.weights"] = {leg: round(weight, DECIMALS) for leg, weight in self.fusion.leg_weights.items()}
        told["results.order"] = "learned" if self.learned else "weighted"
        if self.learned and self.order_model is not None:
            told["results.order_model"] = self.order_model
        if self.reranking is None:
            return told | {"reranker.model": "none"}
        if self.reranking.weight is not None:
            told["reranker.weight"] = self.reranking.weight
        return told | {"reranker.depth": self.reranking.depth}


def fusions_to_try(present: RetrievalSettings) -> list[RetrievalSettings]:
    """The fusions of a search: the present one first, then those nearest to it in weight."""
    kinds = [("minmax", present.rrf_k), *(("rrf", k) for k in sorted({*RRF_KS, present.rrf_k}))]
    now = present.leg_weights
    tried = [
        present.model_copy(update={"fusion": kind, "rrf_k": k, "weights": weights})
        for weights in sorted(weights_to_try(present.legs), key=lambda weights: _distance(weights, now))
        for kind, k in kinds
    ]
    return [present, *(fusion for fusion in tried if not _same(fusion, present))]


def weights_to_try(legs: Sequence[LegName]) -> list[LegWeights]:
    """Every way to share so many parts among legs, rounded as they are written.

    >>> [(weights.bm25, weights.dense) for weights in weights_to_try(["bm25", "dense"])][:3]
    [(1.0, 0.0), (0.9, 0.1), (0.8, 0.2)]
    >>> len(weights_to_try(["bm25", "dense", "sparse"]))
    28
    """
    parts = PARTS[len(legs)]
    falling = itertools.product(range(parts, -1, -1), repeat=len(legs))
    return [
        LegWeights(**{leg: round(part / parts, DECIMALS) for leg, part in zip(legs, split, strict=True)})
        for split in falling
        if sum(split) == parts
    ]


def _distance(weights: LegWeights, now: Mapping[LegName, float]) -> float:
    """How far shares are apart, all together."""
    parts: dict[LegName, float] = {leg: getattr(weights, leg) for leg in now}
    whole = sum(parts.values())
    return sum(abs(parts[leg] / whole - weight) for leg, weight in now.items())


def _same(one: RetrievalSettings, other: RetrievalSettings) -> bool:
    """Whether two fusions are one, however their weights are written."""
    written = {"weights": LegWeights()}
    close = _distance(one.weights, other.leg_weights) < ROUNDING
    return close and one.model_copy(update=written) == other.model_copy(update=written)


def rerankings_to_try(present: Reranking, *, deepest: int) -> list[Reranking]:
    """The weights and depths of a search: the present ones first, then those nearest to them in weight.

    Args:
        present: As the settings have them.
        deepest: Candidates at most; not fewer than at present.
    """
    depths = sorted({deepest, present.depth, *(depth for depth in DEPTHS if depth < deepest)}, reverse=True)
    now = DEFAULT_WEIGHT if present.weight is None else present.weight
    by_distance = sorted({*RERANKER_WEIGHTS, now}, key=lambda weight: abs(weight - now))
    weights = [*([None] if present.weight is None else []), *by_distance]
    tried = [Reranking(weight, depth) for weight in weights for depth in depths]
    return [present, *(reranking for reranking in tried if reranking != present)]
