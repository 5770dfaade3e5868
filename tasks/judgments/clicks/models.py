"""What clicks say of documents once it is taken out that people look at what stands first.

*Position-based model* (Craswell, Zoeter, Taylor, Ramsey, "An experimental comparison of click position-bias models",
WSDM 2008): a click needs a look and a liking, P(click) = propensity[rank] * attractiveness[query, document]; both are
estimated by expectation maximisation (Chuklin, Markov, de Rijke, "Click Models for Web Search", 2015, section 4.1).
Only documents that were shown at several ranks tell the two apart ("intervention harvesting": Agarwal et al., WSDM
2019): releases change from night to night, and so does where a document stands. Where too few were, a propensity of
1 / rank is assumed (Joachims, Swaminathan, Schnabel, WSDM 2017), and told as such.

*Clicks over expected clicks* (Zhang, Jones, "Comparing click logs and editorial labels for training query rewriting",
WWW 2007): clicks over those that anything shown at the same ranks would have had. Simple, and blind to that what stands
first mostly stands there for a reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.judgments.clicks.counts import ClickCounts

ClickModel: TypeAlias = Literal["position", "expected"]
"""The position-based model, or clicks over expected clicks."""

LEAST_MOVED = 50  # pairs at several ranks; of fewer no propensity is estimated
STEPS, STILL = 500, 1e-6  # of the expectation maximisation, and the change at which it has arrived
PRIOR = 1.0  # looks that each pair is given beforehand, at the mean attractiveness: few clicks say little


@dataclass(frozen=True, slots=True, eq=False)
class Attractiveness:
    """What clicks say.

    Attributes:
        values: float64 (n_pairs,), from 0 to 1, of each pair's being opened once it is looked at.
        looks: float64 (n_pairs,), at each pair, as far as propensities tell: what supports its value.
        propensities: float64 (depth,), of a look at each rank, the first's being 1.
        estimated: Whether they were, from documents that moved; else they were given, or are assumed.
    """

    values: NDArray[np.float64]
    looks: NDArray[np.float64]
    propensities: NDArray[np.float64]
    estimated: bool


def position_based(counts: ClickCounts, *, propensities: Sequence[float] | None = None) -> Attractiveness:
    """The position-based model by expectation maximisation.

    Args:
        counts: At least one cell.
        propensities: Of a look at each rank, where they are known; the last goes on. None: they are estimated.
    """
    known = None if propensities is None else _as_deep(np.asarray(propensities, dtype=np.float64), counts.depth)
    estimated = known is None and counts.moved >= LEAST_MOVED
    looked = 1.0 / np.arange(1, counts.depth + 1) if known is None else known
    shown, clicked = counts.shown, counts.clicked
    mean = clicked.sum() / max(1e-12, (shown * looked[counts.ranks]).sum())
    liked = np.full(len(counts.pairs), min(max(mean, 1e-6), 1.0))
    for _ in range(STEPS):
        look, like = looked[counts.ranks], liked[counts.pair_of]
        unclicked = (shown - clicked) / np.maximum(1.0 - look * like, 1e-12)
        prior = min(float(counts.by_pair(clicked).sum() / max(1e-12, (shown * look).sum())), 1.0)
        likings = counts.by_pair(clicked + unclicked * (1.0 - look) * like)
        new_liked = (likings + PRIOR * prior) / (counts.by_pair(shown) + PRIOR)
        new_looked = looked
        if estimated:
            looks = counts.by_rank(clicked + unclicked * look * (1.0 - like))
            new_looked = np.divide(looks, counts.by_rank(shown), out=looked.copy(), where=counts.by_rank(shown) > 0)
        moved = max(np.abs(new_liked - liked).max(), np.abs(new_looked - looked).max())
        liked, looked = new_liked, new_looked
        if moved < STILL:
            break
    if estimated:  # only products are determined: the first rank is looked at whenever anything is
        first = looked[0] if looked[0] > 0 else 1.0
        liked, looked = np.minimum(liked * first, 1.0), looked / first
    return Attractiveness(liked, counts.by_pair(shown * np.minimum(looked, 1.0)[counts.ranks]), looked, estimated)


def clicks_over_expected(counts: ClickCounts) -> Attractiveness:
    """Clicks over expected clicks, those that one pair in a hundred exceeds being 1.

    Args:
        counts: At least one cell.
    """
    at_rank = counts.by_rank(counts.clicked) / np.maximum(counts.by_rank(counts.shown), 1.0)
    first = at_rank.max(initial=0.0)
    expected = counts.by_pair(counts.shown * at_rank[counts.ranks])
    ratio = (counts.by_pair(counts.clicked) + PRIOR * first) / np.maximum(expected + PRIOR * first, 1e-12)
    propensities = at_rank / first if first > 0 else np.ones(counts.depth)
    looks = counts.by_pair(counts.shown * propensities[counts.ranks])
    highest = float(np.quantile(ratio, 0.99, method="higher"))
    return Attractiveness(np.minimum(ratio / max(highest, 1e-12), 1.0), looks, propensities, estimated=True)


def _as_deep(propensities: NDArray[np.float64], depth: int) -> NDArray[np.float64]:
    """Propensities (depth,), those of deeper ranks being the last one that is given."""
    missing = max(0, depth - propensities.size)
    return np.append(propensities, np.repeat(propensities[-1:], missing))[:depth]
