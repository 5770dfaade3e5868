"""The learned order's fit: gates by which relevant candidates come first, no farther from a prior than they must be.

Listwise: the softmax over a query's candidates is to lie on the relevant ones (the loss of ListNet: Cao et al.,
"Learning to rank: from pairwise approach to listwise approach", ICML 2007). A quadratic penalty draws the numbers to
those of a model that is there already. Loss and gradient are written out; L-BFGS-B minimises them, the same numbers
every time.

The packaged model is fitted on many collections (``recipes.learned_order``), a user's own on judged queries
(``tasks.tune``), from the packaged one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.optimize import Bounds, minimize

from nightrank.storage.legs import LEGS
from nightrank.tasks.rank.learned import FARTHEST, FEATURES, GRAMS, LARGEST_EXPONENT, Gate, LearnedOrder
from nightrank.tasks.rank.lists import RERANKER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.rank.examples import Examples

    Floats = NDArray[np.float64]

NAMES = (*LEGS, RERANKER)  # that have a gate
BIASED = (*LEGS, GRAMS, RERANKER)  # that have a bias; what it is to the first ones is the same against each other
AGAINST = len(LEGS) + 1  # of these
OF_MEANS = np.array([name.startswith("mean_") for name in FEATURES])
SHARPNESS = (10.0, 2.0)  # of the softmax to begin with: over the first stage's scores, and over the final ones
LEAST_SHARPNESS = 0.01
MEMORY = 20  # steps that L-BFGS remembers
DECIMALS = 6  # of the numbers that come out
TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Fitting:
    """How gates are fitted.

    Attributes:
        penalty: Of squared changes of a coefficient (of a standardised feature) against a query's loss.
        of_means: So many times as much of what lists say in the mean over the log: there are fewer logs than queries.
        of_biases: So many times as much of how the biases of legs and grams change against each other.
        of_reranker: Likewise of the reranker's bias.
        of_rank_shares: Likewise of the share that ranks have.
        iterations: Of L-BFGS at most.
    """

    penalty: float
    of_means: float = 10.0
    of_biases: float = 0.3
    of_reranker: float = 0.0
    of_rank_shares: float = 0.0
    iterations: int = 100


def fit_order(parts: Sequence[Examples], prior: LearnedOrder, fitting: Fitting) -> LearnedOrder:
    """The learned order that fits some queries, with the centre and spread of the prior's gates, and its reranker.

    Args:
        parts: Queries with a weight; of one loss, the sum over all of them.
        prior: What the numbers are drawn to, and begin at.
        fitting: How.

    Returns:
        The order; with the prior's own gate where no query says anything of a leg or of the reranker.
    """
    begin = _Numbers.of(prior)
    standard = [_standardised_features(one, prior.gates) for one in parts]

    def loss(vector: Floats) -> tuple[float, Floats]:
        numbers, gradient = _Numbers.from_vector(vector), _Numbers.zeros()
        total = _penalty(numbers, begin, fitting, gradient)
        for one, of_features in zip(parts, standard, strict=True):
            total += _loss(numbers, one, of_features, gradient)
        return total, gradient.vector()

    free = begin.biases.size + begin.coefficients.size
    low, high = np.full(free, -np.inf), np.full(free, np.inf)
    bounds = Bounds(
        np.concatenate([low, np.zeros(len(LEGS)), np.full(len(SHARPNESS), LEAST_SHARPNESS)]),
        np.concatenate([high, np.ones(len(LEGS)), np.full(len(SHARPNESS), np.inf)]),
    )
    found = minimize(
        loss,
        begin.vector(),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": fitting.iterations, "maxcor": MEMORY},
    )
    return _Numbers.from_vector(found.x).order(prior)


@dataclass(frozen=True, slots=True, eq=False)
class _Numbers:
    """What is fitted; also the gradient in its shape. By list: legs, then the reranker."""

    biases: Floats  # (n_lists + 1,), those of ``BIASED``
    coefficients: Floats  # (n_lists, n_features)
    rank_shares: Floats  # (n_legs,)
    sharpness: Floats  # (2,): without the reranker, with it

    @classmethod
    def of(cls, order: LearnedOrder) -> Self:
        gates = order.gates
        return cls(
            np.array([order.grams if name == GRAMS else gates[name].bias for name in BIASED]),
            np.stack([gates[name].coefficients for name in NAMES]),
            np.array([gates[leg].rank_share for leg in LEGS]),
            np.array(SHARPNESS),
        )

    @classmethod
    def zeros(cls) -> Self:
        coefficients = np.zeros((len(NAMES), len(FEATURES)))
        return cls(np.zeros(len(BIASED)), coefficients, np.zeros(len(LEGS)), np.zeros(len(SHARPNESS)))

    @classmethod
    def from_vector(cls, vector: Floats) -> Self:
        lists = len(NAMES)
        ends = np.cumsum([len(BIASED), lists * len(FEATURES), len(LEGS)])
        biases, coefficients, shares, sharpness = np.split(vector, ends)
        return cls(biases, coefficients.reshape(lists, -1), shares, sharpness)

    def vector(self) -> Floats:
        return np.concatenate([self.biases, self.coefficients.ravel(), self.rank_shares, self.sharpness])

    def order(self, prior: LearnedOrder) -> LearnedOrder:
        biases = self.biases.copy()
        biases[:AGAINST] -= biases[:AGAINST].mean()  # of a softmax differences alone count
        bias_of = {name: round(float(bias), DECIMALS) for name, bias in zip(BIASED, biases, strict=True)}
        shares = [*self.rank_shares.tolist(), prior.gates[RERANKER].rank_share]
        gates = {
            name: Gate(
                bias_of[name],
                self.coefficients[row].round(DECIMALS),
                prior.gates[name].centre,
                prior.gates[name].spread,
                round(shares[row], DECIMALS),
            )
            for row, name in enumerate(NAMES)
        }
        return LearnedOrder.of(gates, prior.reranker, grams=bias_of[GRAMS])


def _standardised_features(examples: Examples, prior: Mapping[str, Gate]) -> Floats:
    """As gates read them: float64 (n_queries, n_lists, n_features)."""
    gates = [prior[name] for name in examples.names]
    centre, spread = np.stack([gate.centre for gate in gates]), np.stack([gate.spread for gate in gates])
    return np.clip((examples.features - centre) / spread, -FARTHEST, FARTHEST)


def _penalty(numbers: _Numbers, prior: _Numbers, fitting: Fitting, gradient: _Numbers) -> float:
    """The penalty; its gradient is added to one."""
    moved = numbers.coefficients - prior.coefficients
    times = np.where(OF_MEANS, fitting.of_means, 1.0)
    biases = numbers.biases - prior.biases
    against = biases[:AGAINST] - biases[:AGAINST].mean()
    shares = numbers.rank_shares - prior.rank_shares
    gradient.coefficients[:] += 2.0 * fitting.penalty * times * moved
    gradient.biases[:AGAINST] += 2.0 * fitting.penalty * fitting.of_biases * against
    gradient.biases[-1] += 2.0 * fitting.penalty * fitting.of_reranker * biases[-1]
    gradient.rank_shares[:] += 2.0 * fitting.penalty * fitting.of_rank_shares * shares
    return fitting.penalty * float(
        (times * moved**2).sum()
        + fitting.of_biases * (against**2).sum()
        + fitting.of_reranker * biases[-1] ** 2
        + fitting.of_rank_shares * (shares**2).sum()
    )


def _loss(numbers: _Numbers, examples: Examples, of_features: Floats, gradient: _Numbers) -> float:
    """The weighted cross-entropy of some queries; its gradient is added to one."""
    rows, count = [NAMES.index(leg) for leg in examples.legs], len(examples.legs)
    shares = numbers.rank_shares[rows]
    of_legs = (1.0 - shares) * examples.scores + shares * examples.ranks
    made = np.concatenate([of_legs, examples.grams[:, :, None]], axis=2)
    weighed = [*rows, BIASED.index(GRAMS)]
    logits = np.tile(numbers.biases[weighed], (len(made), 1))
    logits[:, :count] += _dot(of_features[:, :count], numbers.coefficients[rows])
    parts = np.exp(logits - logits.max(axis=1, keepdims=True))
    parts /= parts.sum(axis=1, keepdims=True)
    first = (made * parts[:, None, :]).sum(axis=2)

    reranked = examples.with_reranker
    sharpness = numbers.sharpness[int(reranked)]
    if reranked:
        own = numbers.biases[-1] + _dot(of_features[:, count], numbers.coefficients[-1])
        weight = 1.0 / (1.0 + np.exp(np.minimum(-own, LARGEST_EXPONENT)))[:, None]
        standard, deviation = _standardised(first, examples.there)
        final = (1.0 - weight) * standard + weight * examples.pairs
    else:
        final = first
    scaled = np.where(examples.there, sharpness * final, -np.inf)
    highest = scaled.max(axis=1, keepdims=True)
    exponents = np.exp(scaled - highest)
    sums = exponents.sum(axis=1, keepdims=True)
    logarithms = np.where(examples.there, scaled - highest, 0.0) - np.log(sums)
    loss = -float((examples.weights * (examples.target * logarithms).sum(axis=1)).sum())

    of_final = examples.weights[:, None] * (exponents / sums - examples.target)  # targets sum to 1
    gradient.sharpness[int(reranked)] += (of_final * final).sum()
    of_final *= sharpness
    if reranked:
        of_own = (of_final * (examples.pairs - standard)).sum(axis=1) * (weight * (1.0 - weight))[:, 0]
        gradient.biases[-1] += of_own.sum()
        gradient.coefficients[-1] += (of_own[:, None] * of_features[:, count]).sum(axis=0)
        of_first = _through_standardised((1.0 - weight) * of_final, standard, deviation, examples.there)
    else:
        of_first = of_final
    by_leg = of_first[:, :, None]
    moved = (by_leg * parts[:, None, :count] * (examples.ranks - examples.scores)).sum(axis=(0, 1))
    of_parts = (by_leg * made).sum(axis=1)
    of_logits = parts * (of_parts - (parts * of_parts).sum(axis=1, keepdims=True))
    gradient.biases[weighed] += of_logits.sum(axis=0)
    for place, row in enumerate(rows):
        gradient.rank_shares[row] += moved[place]
        gradient.coefficients[row] += (of_logits[:, place, None] * of_features[:, place]).sum(axis=0)
    return loss


def _dot(values: Floats, coefficients: Floats) -> Floats:
    """Sums over the last axis, by no library that adds up in an order of its own."""
    return np.asarray((values * coefficients).sum(axis=-1))


def _standardised(values: Floats, there: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Row by row with mean 0 and deviation 1, 0 where nothing is there; and the deviations, (n, 1)."""
    counts = np.maximum(there.sum(axis=1, keepdims=True), 1)
    centred = (values - (values * there).sum(axis=1, keepdims=True) / counts) * there
    deviation = np.sqrt((centred**2).sum(axis=1, keepdims=True) / counts + TINY)
    return centred / deviation, deviation


def _through_standardised(gradient: Floats, standard: Floats, deviation: Floats, there: NDArray[np.bool_]) -> Floats:
    """The gradient of what was standardised, from that of what came out."""
    counts = np.maximum(there.sum(axis=1, keepdims=True), 1)
    mean = (gradient * there).sum(axis=1, keepdims=True) / counts
    along = (gradient * standard).sum(axis=1, keepdims=True) / counts
    return np.asarray((gradient - mean - standard * along) * there / deviation)
