"""The fit: gates by which every collection's answers come first, all collections counting the same.

Listwise: the softmax over a query's candidates is to lie on its answers. The penalty draws the legs towards equal
parts, so that collections that say nothing else get min-max fusion. Legs by twos and threes, with and without the
reranker, are fitted at once: one set of gates serves them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nightrank.storage.legs import LEGS, LegName
from nightrank.tasks.rank.fusion import standardise_within
from nightrank.tasks.rank.learned import FARTHEST, FEATURES, FORMAT, features, log_means
from nightrank.tasks.rank.lists import RERANKER, Lists, damped_ranks, ranks_by_score
from recipes.learned_order.collections import fused_ranks
from recipes.packaged_reranker.collections import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from recipes.learned_order.collections import Scored
    from recipes.learned_order.recipe import Fitting

CANDIDATES = 60  # of a query that the fit looks at
CONFIGURATIONS: tuple[tuple[tuple[LegName, ...], bool], ...] = (
    (("bm25", "dense"), False),
    (("bm25", "dense"), True),
    (LEGS, False),
    (LEGS, True),
)
NAMES = (*LEGS, RERANKER)
OF_MEANS = np.array([name.startswith("mean_") for name in FEATURES])


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """The queries of a collection under some legs, with or without the reranker.

    Attributes:
        features: float64 (n_queries, n_lists, len(FEATURES)), of the legs, then of the reranker where there is one.
        scores: float64 (n_queries, CANDIDATES, n_legs), 0 where a leg does not list a candidate.
        ranks: float64, likewise, damped.
        pairs: float64 (n_queries, CANDIDATES), standardised; 0 without the reranker.
        there: bool (n_queries, CANDIDATES), whether there is such a candidate.
        relevant: bool, likewise.
    """

    features: NDArray[np.float64]
    scores: NDArray[np.float64]
    ranks: NDArray[np.float64]
    pairs: NDArray[np.float64]
    there: NDArray[np.bool_]
    relevant: NDArray[np.bool_]


def examples_of(scored: Scored, legs: tuple[LegName, ...], *, with_reranker: bool) -> Examples:
    """What the fit sees of a collection: of each query the best candidates, those with an answer among them.

    Args:
        scored: The collection.
        legs: That are on.
        with_reranker: Whether it is there; then its candidates alone are ordered.
    """
    listed = np.any([~np.isnan(scored.legs[leg]) for leg in legs], axis=0)
    queries = scored.queries[listed]
    named: dict[str, NDArray[Any]] = {leg: scored.legs[leg][listed].astype(np.float64) for leg in legs}
    lists = Lists.of(queries, named)
    kept = fused_ranks(queries, {leg: lists.ranks[leg] for leg in legs}, legs) <= SETTINGS.retrieval.candidate_depth
    pairs = scored.pair_scores[listed].astype(np.float64)
    if with_reranker:
        kept &= ~np.isnan(pairs)
        lists = Lists.of(queries, named | {RERANKER: np.where(kept, pairs, np.nan)})
    log = log_means(lists, legs)
    gates = [features(lists, name, legs=legs, log=log) for name in lists.scores]
    chosen = queries[kept]
    best = np.sum([lists.scores[leg][kept] for leg in legs], axis=0)
    standard = standardise_within(chosen, pairs[kept]) if with_reranker else np.zeros(chosen.size)
    places = ranks_by_score(chosen, best + standard / len(legs)) - 1
    shown = places < CANDIDATES
    rows, at = np.flatnonzero(kept)[shown], (chosen[shown], places[shown])

    def spread(values: NDArray[Any], kind: type = float) -> NDArray[Any]:
        table: NDArray[Any] = np.zeros((lists.count, CANDIDATES), dtype=kind)
        table[at] = values
        return table

    relevant = spread(scored.relevant[listed][rows], bool)
    told = relevant.any(axis=1)  # a query whose answers nobody finds teaches nothing
    return Examples(
        features=np.stack(gates, axis=1)[told],
        scores=np.stack([spread(lists.scores[leg][rows]) for leg in legs], axis=-1)[told],
        ranks=np.stack([spread(damped_ranks(lists.ranks[leg])[rows]) for leg in legs], axis=-1)[told],
        pairs=spread(standard[shown])[told],
        there=spread(np.ones(rows.size), bool)[told],
        relevant=relevant[told],
    )


class _Gates(torch.nn.Module):
    """What is learnt: see ``tasks.rank.learned`` for the formulas."""

    def __init__(self, centre: Tensor, spread: Tensor) -> None:
        super().__init__()
        count = len(NAMES)
        self.centre, self.spread = centre, spread  # (n_lists, n_features)
        self.bias = torch.nn.Parameter(torch.zeros(count, dtype=torch.float64))
        self.coefficients = torch.nn.Parameter(torch.zeros(count, len(FEATURES), dtype=torch.float64))
        self.rank_shares = torch.nn.Parameter(torch.full((len(LEGS),), -2.0, dtype=torch.float64))
        self.sharpness = torch.nn.Parameter(torch.tensor([10.0, 2.0], dtype=torch.float64))

    def logits(self, rows: list[int], values: Tensor) -> Tensor:
        standard = ((values - self.centre[rows]) / self.spread[rows]).clamp(-FARTHEST, FARTHEST)
        return self.bias[rows] + (standard * self.coefficients[rows]).sum(-1)

    def forward(self, legs: tuple[LegName, ...], batch: dict[str, Tensor], *, with_reranker: bool) -> Tensor:
        rows = [NAMES.index(leg) for leg in legs]
        shares = torch.sigmoid(self.rank_shares[rows])
        made = (1.0 - shares) * batch["scores"] + shares * batch["ranks"]
        weights = torch.softmax(self.logits(rows, batch["features"][:, : len(legs)]), -1)
        first = (made * weights[:, None, :]).sum(-1)
        sharpness = torch.nn.functional.softplus(self.sharpness)
        if not with_reranker:
            return first * sharpness[0]
        weight = torch.sigmoid(self.logits([NAMES.index(RERANKER)], batch["features"][:, len(legs) :]))
        mixed = (1.0 - weight) * _standardised(first, batch["there"]) + weight * batch["pairs"]
        return mixed * sharpness[1]

    def penalty(self, fitting: Fitting) -> Tensor:
        times = torch.tensor(np.where(OF_MEANS, fitting.of_means, 1.0))
        legs = self.bias[: len(LEGS)]
        return (self.coefficients.square() * times).sum() + fitting.of_biases * (legs - legs.mean()).square().sum()


def fit(collections: Sequence[Scored], fitting: Fitting) -> dict[str, Any]:
    """The gates, as the file has them.

    Args:
        collections: To fit on, each with the same weight.
        fitting: How.
    """
    torch.manual_seed(0)
    batches: dict[tuple[tuple[LegName, ...], bool], dict[str, Tensor]] = {}
    seen: dict[str, list[NDArray[np.float64]]] = {name: [] for name in NAMES}
    for legs, with_reranker in CONFIGURATIONS:
        found = [examples_of(one, legs, with_reranker=with_reranker) for one in collections]
        found = [one for one in found if len(one.features)]
        batches[legs, with_reranker] = _batch(found)
        for place, name in enumerate((*legs, *([RERANKER] if with_reranker else []))):
            seen[name].append(np.concatenate([one.features[:, place] for one in found]))
    rows = {name: np.concatenate(parts) for name, parts in seen.items()}
    centre = torch.tensor(np.stack([rows[name].mean(axis=0) for name in NAMES]))
    spread = torch.tensor(np.stack([np.maximum(rows[name].std(axis=0), 1e-3) for name in NAMES]))
    gates = _Gates(centre, spread)
    optimiser = torch.optim.LBFGS(gates.parameters(), max_iter=fitting.iterations, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimiser.zero_grad()
        total = fitting.penalty * gates.penalty(fitting)
        for (legs, with_reranker), batch in batches.items():
            scores = gates(legs, batch, with_reranker=with_reranker).masked_fill(~batch["there"], -1e9)
            own = -(batch["target"] * torch.log_softmax(scores, 1)).sum(1)
            total = total + (own * batch["weight"]).sum() / len(batches)
        total.backward()  # type: ignore[no-untyped-call]  # torch's own
        return float(total.detach())

    optimiser.step(loss)  # type: ignore[no-untyped-call]  # torch's own
    return _as_stored(gates)


def _batch(found: Sequence[Examples]) -> dict[str, Tensor]:
    def joined(name: str) -> Tensor:
        return torch.tensor(np.concatenate([getattr(one, name) for one in found]))

    batch = {name: joined(name) for name in ("features", "scores", "ranks", "pairs", "there", "relevant")}
    target = batch["relevant"].double()
    weights = [np.full(len(one.features), 1.0 / (len(one.features) * len(found))) for one in found]
    return batch | {"target": target / target.sum(1, keepdim=True), "weight": torch.tensor(np.concatenate(weights))}


def _standardised(values: Tensor, there: Tensor) -> Tensor:
    count = there.sum(1, keepdim=True)
    centred = (values - (values * there).sum(1, keepdim=True) / count) * there
    return centred / (centred.square().sum(1, keepdim=True) / count + 1e-9).sqrt()


def _as_stored(gates: _Gates) -> dict[str, Any]:
    def numbers(values: Tensor) -> list[float]:
        return [round(value, 6) for value in values.detach().tolist()]

    biases = gates.bias.detach().clone()
    biases[: len(LEGS)] -= biases[: len(LEGS)].mean()  # of a softmax differences alone count
    shares = torch.cat([torch.sigmoid(gates.rank_shares), torch.zeros(1)])
    stored = {
        name: {
            "bias": numbers(biases)[row],
            "rank_share": numbers(shares)[row],
            "coefficients": numbers(gates.coefficients[row]),
            "centre": numbers(gates.centre[row]),
            "spread": numbers(gates.spread[row]),
        }
        for row, name in enumerate(NAMES)
    }
    return {"format": FORMAT, "features": list(FEATURES), "gates": stored}
