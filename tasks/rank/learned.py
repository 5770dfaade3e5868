"""The learned order: how much each leg and the reranker count for a query, from what their lists say of themselves.

    first stage = sum over legs of weight * score + weight * share of grams, with a query's weights summing to 1
    weight      = softmax over the legs that are on of  bias + coefficients . descriptors, and over grams of  bias
    reranker    = sigmoid of                            bias + coefficients . descriptors

A gated linear model: it rises in every score, so that no candidate falls by being found more relevant. The descriptors
are those of ``tasks.rank.lists``, of the query and in the mean over the log: where a leg does not know the collection's
language it finds what nobody else finds, query after query, and counts for little, without any judgments.

A model is a few numbers (``tasks.rank.order_file``); ``recipes.learned_order`` makes the packaged one, and
``nightrank tune`` others, which start from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from nightrank.storage.keys import fingerprint
from nightrank.tasks.rank.lists import DESCRIPTORS, RERANKER, Lists

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.records import JsonValue
    from nightrank.storage.release.manifest import LogMeans
FORMAT = 2
GRAMS = "grams"  # what is weighed beside the legs: ``tasks.rank.grams``
LARGEST_EXPONENT = 700.0  # of a double that is finite
FARTHEST = 3.0  # deviations from the mean beyond which a descriptor is cut: nothing farther was ever learnt from
# Below these means legs agree less than legs do that know the collection: what is missing tells how much less.
USUAL = {"overlap": 0.3, "support": 0.45}
FEATURES = (*DESCRIPTORS, *(f"mean_{name}" for name in DESCRIPTORS), *(f"missing_{name}" for name in USUAL))


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """What decides how much a list counts.

    Attributes:
        bias: At mean descriptors.
        coefficients: float64 (len(FEATURES),), of standardised descriptors.
        centre: float64 (len(FEATURES),), the descriptors' means in training.
        spread: float64 (len(FEATURES),), their deviations.
        rank_share: Of the rank in what the list makes of an entry.
    """

    bias: float
    coefficients: NDArray[np.float64]
    centre: NDArray[np.float64]
    spread: NDArray[np.float64]
    rank_share: float = 0.0

    def __call__(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """The logits: float64 (n,).

        Args:
            features: float64 (n, len(FEATURES)).
        """
        standard = np.clip((features - self.centre) / self.spread, -FARTHEST, FARTHEST)
        # Feature by feature: a product of matrices might add up in another order for another number of queries.
        logits = np.full(len(features), self.bias)
        for column, coefficient in enumerate(self.coefficients.tolist()):
            logits += coefficient * standard[:, column]
        return logits


@dataclass(frozen=True, slots=True, eq=False)
class LearnedOrder:
    """The model.

    Attributes:
        gates: Of each leg, and of the reranker.
        grams: The bias of the shares of grams; no descriptor moves it.
        reranker: The model that it knows as the reranker; any other counts by a plain weight.
        fingerprint: Decides what it makes of lists.
    """

    gates: Mapping[str, Gate]
    grams: float
    reranker: str
    fingerprint: str

    @classmethod
    def of(cls, gates: Mapping[str, Gate], reranker: str, *, grams: float) -> Self:
        """A model by its numbers."""
        model = cls(gates, grams, reranker, "")
        return cls(gates, grams, reranker, fingerprint(model.stored()))

    def stored(self) -> dict[str, JsonValue]:
        """What a file or a manifest holds of it: its numbers, without a card."""
        gates: dict[str, JsonValue] = {name: _as_stored(gate) for name, gate in sorted(self.gates.items())}
        return {
            "format": FORMAT,
            "features": list(FEATURES),
            "gates": gates,
            "grams": float(self.grams),
            "reranker": self.reranker,
        }

    def weights(self, lists: Lists, legs: Sequence[str], *, log: LogMeans) -> dict[str, NDArray[np.float64]]:
        """How much each leg, and ``GRAMS``, counts for each query: float64 (n_queries,) by name; they sum to 1.

        Args:
            lists: Of the legs at least.
            legs: Those that are on.
            log: Of the log that the queries are part of.
        """
        logits = [self.gates[leg](features(lists, leg, legs=legs, log=log)) for leg in legs]
        logits.append(np.full(lists.count, self.grams))
        highest = np.max(logits, axis=0)
        parts = [np.exp(logit - highest) for logit in logits]
        total = np.sum(parts, axis=0)
        return {name: part / total for name, part in zip((*legs, GRAMS), parts, strict=True)}

    def first_stage(self, lists: Lists, legs: Sequence[str], *, log: LogMeans) -> NDArray[np.float64]:
        """What the legs and the shares of grams together make of each entry: float64 (n,), from 0 to 1.

        Args:
            lists: Of the legs at least.
            legs: Those that are on.
            log: Of the log that the queries are part of.
        """
        weights = self.weights(lists, legs, log=log)
        scores: NDArray[np.float64] = weights[GRAMS][lists.queries] * lists.grams
        for leg in legs:
            scores += weights[leg][lists.queries] * lists.entry_scores(leg, rank_share=self.gates[leg].rank_share)
        return scores

    def reranker_weights(self, lists: Lists, legs: Sequence[str], *, log: LogMeans) -> NDArray[np.float64]:
        """How much the reranker counts against the first stage for each query: float64 (n_queries,), from 0 to 1.

        Args:
            lists: Of the legs and of the reranker.
            legs: Those that are on.
            log: Of the log that the queries are part of.
        """
        logits = self.gates[RERANKER](features(lists, RERANKER, legs=legs, log=log))
        return 1.0 / (1.0 + np.exp(np.minimum(-logits, LARGEST_EXPONENT)))


def features(lists: Lists, name: str, *, legs: Sequence[str], log: LogMeans) -> NDArray[np.float64]:
    """What a gate is asked about a list, for each query: float64 (n_queries, len(FEATURES)).

    Args:
        lists: Of the legs, and of the reranker where it is asked about.
        name: Of the list.
        legs: Those that are on.
        log: What lists say in the mean over the log.
    """
    own = lists.descriptors(name, others=tuple(leg for leg in legs if leg != name))
    means = dict(zip(DESCRIPTORS, log[name], strict=True))
    of_log = [*means.values(), *(max(0.0, usual - means[which]) for which, usual in USUAL.items())]
    return np.concatenate([own, np.broadcast_to(np.array(of_log), (len(own), len(of_log)))], axis=1)


def log_means(lists: Lists, legs: Sequence[str]) -> LogMeans:
    """What lists say in the mean over the queries of a log; of queries that a list is empty for it says nothing.

    The sums are exact, so that the means do not depend on the order of the queries.

    Args:
        lists: Of the legs, and of the reranker where there is one.
        legs: Those that are on.
    """
    means: LogMeans = {}
    for name in lists.scores:
        found = lists.descriptors(name, others=tuple(leg for leg in legs if leg != name))
        found = found[np.bincount(lists.queries[lists.ranks[name] > 0], minlength=lists.count) > 0]
        sums = [math.fsum(column) for column in found.T.tolist()]
        means[name] = tuple(total / max(len(found), 1) for total in sums)
    return means


def _as_stored(gate: Gate) -> dict[str, JsonValue]:
    return {
        "bias": float(gate.bias),
        "rank_share": float(gate.rank_share),
        "coefficients": gate.coefficients.tolist(),
        "centre": gate.centre.tolist(),
        "spread": gate.spread.tolist(),
    }
