"""By how much products of vectors may be wrong: what decides which of them are computed again."""

from __future__ import annotations

from math import isfinite, sqrt
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Arithmetic: TypeAlias = Literal["float32", "device"]

UNIT = 2.0**-24  # of rounding in single precision, half a unit of the last place
SMALLEST = 2.0**-126  # below it numbers have fewer digits, or become zero
LARGEST = float(np.finfo(np.float32).max)
KEPT_BITS = 10  # of a number's fraction behind its first bit, by tensor cores that take float32 for TF32
RELATIVE: dict[Arithmetic, Callable[[int], float]] = {
    # Of d dimensions: one rounding for each product and each sum, in whatever order; twice that, which leaves room
    # for the rounding of the exact score, of the difference from it, and of the lengths.
    "float32": lambda d: 2.0 * (d + 1) * UNIT,
    # Either factor cut off behind its bits, and sums as above, where each may be cut off (2), behind bits that are
    # aligned with the largest of what is added (2).
    "device": lambda d: 2.0 * 2.0**-KEPT_BITS * (1.0 + 2.0**-KEPT_BITS) + 8.0 * (d + 1) * UNIT,
}


def error_of(
    dimensions: int, query_length: float, text_length: float, arithmetic: Arithmetic = "float32"
) -> np.float32:
    """How far a product may lie below the exact score that stands against it: what reaches less cannot score higher.

    Let q and t be the vectors, d their dimensions. Summed in any order in a precision of unit roundoff u, q.t errs by
    at most d u / (1 - d u) * sum |q_i t_i| (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1),
    and by Cauchy and Schwarz the sum is at most |q| |t|. A device may besides cut either factor to the bits that TF32
    keeps, a relative error below 2^-10 each, and its tensor cores do not round their sums but cut them off, once the
    addends are aligned with the largest one (Fasi, Higham, Mikaitis, Pranesh, Numerical behavior of NVIDIA tensor
    cores, 2021; Blanchard, Higham, Lopez, Mary, Pranesh, Mixed precision block fused multiply-add, 2020). Of numbers
    below 2^-126 nothing may be left: sqrt(d) * 2^-126 of the lengths where they are factors, 2 d * 2^-126 where they
    are products or sums. Where sums may leave the range of float32, nothing can be said.

    Args:
        dimensions: d.
        query_length: Of the longest query's vector.
        text_length: Of the longest text's.
        arithmetic: ``float32``, as processors compute; ``device``: that, or what tensor cores make of it.

    Returns:
        Infinity where any product may be of any score; NaN where a length is none.

    >>> [f"{error_of(384, 1.0, 1.0, arithmetic):.2e}" for arithmetic in ("float32", "device")]
    ['4.59e-05', '2.14e-03']
    """
    most = query_length * text_length * (1.0 + dimensions * 2.0 * UNIT)
    # Factors may be rounded to fewer bits, and so leave it as well.
    if isfinite(most) and max(most, query_length, text_length) > LARGEST / 4.0:
        return np.float32(np.inf)
    lost = SMALLEST * (sqrt(dimensions) * (query_length + text_length) + 2.0 * dimensions)
    return np.float32(RELATIVE[arithmetic](dimensions) * most + lost)


def longest(vectors: NDArray[np.float32]) -> float:
    """The length of the longest of some vectors, float32 (n, dim); NaN where one has a NaN.

    >>> longest(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)), longest(np.full((1, 4), 1e-30, np.float32)) > 0.0
    (5.0, True)
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        square = np.einsum("nd,nd->n", vectors, vectors).max(initial=0.0)
        if not 1e-25 < square < 1e30:  # squares of such numbers may leave the range of float32
            square = np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64).max(initial=0.0)
    return float(np.sqrt(square))
