"""How large the mean of losses may be, given a sample of them, with confidence and whatever their distribution."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scipy.optimize import bisect
from scipy.stats import binom

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXACT = 1e-9


def upper_bound(losses: NDArray[np.float64], *, confidence: float) -> float:
    """The upper end of the one-sided interval of a mean, by the bound of Hoeffding and Bentkus.

    Bates, Angelopoulos, Lei, Malik and Jordan 2021, "Distribution-Free, Risk-Controlling Prediction Sets", J. ACM
    68(6), section 3.1.1: valid for every sample size and every distribution on [0, 1]. Of a sample without any loss it
    is about ``log(1 / (1 - confidence)) / n``.

    Args:
        losses: float64 (n,), each from 0 to 1, drawn independently.
        confidence: With which the mean is no higher.

    Returns:
        From 0 to 1; 1 without a sample.

    >>> import numpy as np
    >>> round(upper_bound(np.zeros(149), confidence=0.95), 3)
    0.02
    >>> upper_bound(np.zeros(0), confidence=0.95)
    1.0
    """
    n = losses.size
    if n == 0:
        return 1.0
    if losses.min() < 0.0 or losses.max() > 1.0:
        raise ValueError("losses are from 0 to 1")
    mean, log_delta = float(losses.mean()), math.log(1.0 - confidence)

    def excess(risk: float) -> float:
        return _log_p_value(mean, n, risk) - log_delta

    low, high = max(mean, EXACT), 1.0 - EXACT
    return (
        1.0 if low >= high or excess(high) > 0.0 else min(1.0, float(bisect(excess, low, high, xtol=EXACT)) + 2 * EXACT)
    )


def least_sample(limit: float, *, confidence: float) -> int:
    """How many losses of 0 it takes for their mean to be within a limit, with confidence.

    >>> least_sample(0.02, confidence=0.95)
    149
    """
    return math.ceil(math.log(1.0 - confidence) / math.log(1.0 - limit))


def _log_p_value(mean: float, n: int, risk: float) -> float:
    """The logarithm of how likely so low a mean is where the risk is ``risk``, at most; the smaller of two bounds."""
    low = min(mean, risk)
    hoeffding = -n * ((low * math.log(low / risk) if low > 0.0 else 0.0) + (1 - low) * math.log((1 - low) / (1 - risk)))
    bentkus = 1.0 + float(binom.logcdf(math.ceil(n * mean - EXACT), n, risk))
    return min(hoeffding, bentkus)
