"""The learned order fitted to judged queries: from the packaged one, no farther than they insist.

How strongly the fit is held back is chosen by queries that a fit has not seen: each query of a subset is measured by a
model that was fitted to others of the subset.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from nightrank.tasks.rank.fit import Fitting, fit_order
from nightrank.tasks.rank.learned import Gate, LearnedOrder
from nightrank.tasks.rank.lists import RERANKER
from nightrank.tasks.rank.order_file import read_order
from nightrank.tasks.tune.choice import folds_of, splits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.experiment.values import OrderedCandidates
    from nightrank.tasks.rank.order import Weighing

STRENGTHS = (100.0, 20.0)  # penalties that are tried, against the loss of one query each; the firmest first
INNER_FOLDS = 5
MOST_QUERIES = 1000  # that a fit looks at, drawn from more: its few numbers need no others
OF_BIASES, OF_RERANKER = 0.2, 0.02  # of the penalty: how lists count in the mean differs most between collections
CERTAIN = 0.02  # a plain weight is kept so far from 0 and 1: none is that certain


@dataclass(frozen=True, slots=True)
class FittedOrder:
    """A learned order that was fitted to judged queries.

    Attributes:
        fingerprint: Of its numbers.
        model: The numbers.
        strength: With which it was held to the packaged one.
        queries: Judged ones that it was fitted to: those of which some candidate is relevant.
    """

    fingerprint: str
    model: LearnedOrder = field(compare=False)
    strength: float
    queries: int

    @property
    def file_name(self) -> str:
        """Of its file, beside the settings: another name for other numbers."""
        return f"order-{self.fingerprint[:12]}.json"

    def as_json(self) -> dict[str, JsonValue]:
        """What ``tune --json`` tells of it."""
        return {
            "file": self.file_name,
            "fingerprint": self.fingerprint,
            "queries": self.queries,
            "strength": self.strength,
        }


def prior_of(reranker: str, weight: float) -> LearnedOrder:
    """What a fit begins with: the packaged order; a reranker that it does not know counts as it does now.

    Args:
        reranker: As the settings name it.
        weight: Its plain weight; 0 without a reranker.
    """
    packaged = read_order()
    if reranker == packaged.reranker:
        return packaged
    own, certain = packaged.gates[RERANKER], min(max(weight, CERTAIN), 1.0 - CERTAIN)
    plain = Gate(float(np.log(certain / (1.0 - certain))), np.zeros_like(own.coefficients), own.centre, own.spread)
    return LearnedOrder.of({**packaged.gates, RERANKER: plain}, reranker, grams=packaged.grams)


class OrderFits:
    """Fits over the candidates of one fusion, reranked or not.

    Args:
        candidates: Of the judged queries.
        weighing: Of the settings: legs, and what lists say in the mean over the log.
        prior: What a fit begins with.
        units: What folds must not tear apart, of each query id.
    """

    def __init__(
        self, candidates: OrderedCandidates, weighing: Weighing, *, prior: LearnedOrder, units: Sequence[str]
    ) -> None:
        self._candidates = candidates
        self._weighing = replace(weighing, learned=prior, knows_reranker=True)
        self._prior = prior
        self._examples = candidates.examples(self._weighing)
        count = min(INNER_FOLDS, len(set(units)))
        self._folds = list(splits(folds_of(units, folds=count, generator=np.random.default_rng(0))))
        self._fitted: dict[tuple[bytes, float], FittedOrder] = {}
        self._values: dict[str, NDArray[np.float64]] = {}

    def fit(self, subset: NDArray[np.bool_], *, strength: float) -> FittedOrder:
        """The model that a subset of the queries makes, once.

        Args:
            subset: bool (n_ids,).
            strength: One of ``STRENGTHS``.
        """
        key = (subset.tobytes(), strength)
        if key not in self._fitted:
            examples = self._examples
            told = np.flatnonzero(examples.weights * subset[: examples.weights.size])
            drawn = np.random.default_rng(0).permutation(told)[:MOST_QUERIES]
            own = examples.weighted(np.isin(np.arange(examples.weights.size), drawn).astype(np.float64))
            fitting = Fitting(penalty=strength, of_biases=OF_BIASES, of_reranker=OF_RERANKER, of_rank_shares=1.0)
            model = fit_order([own], self._prior, fitting)
            self._fitted[key] = FittedOrder(model.fingerprint, model, strength, int(own.weights.sum()))
        return self._fitted[key]

    def values(self, fitted: FittedOrder) -> NDArray[np.float64]:
        """The nDCG@10 of each query in a model's order: float64 (n_ids,)."""
        if fitted.fingerprint not in self._values:
            weighing = replace(self._weighing, learned=fitted.model)
            self._values[fitted.fingerprint] = self._candidates.values(weighing)
        return self._values[fitted.fingerprint]

    def unseen_values(self, subset: NDArray[np.bool_], *, strength: float) -> NDArray[np.float64]:
        """The nDCG@10 of each query of a subset in the order of a model that others of it made: float64 (n_ids,).

        Args:
            subset: bool (n_ids,).
            strength: One of ``STRENGTHS``.
        """
        unseen = np.zeros(subset.size)
        for others, held_out in self._folds:
            measured = subset & held_out
            if measured.any():
                unseen[measured] = self.values(self.fit(subset & others, strength=strength))[measured]
        return unseen
