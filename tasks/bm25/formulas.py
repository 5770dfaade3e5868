"""BM25 in five published variants, as pure functions.

Every variant is an idf of a term and a weight of its frequency in a chunk; a chunk's score is the sum of idf * weight
over the query's terms that it contains, each as often as the query has it. A term that a chunk lacks adds nothing, in
no variant. All of it is float64. What is scored, and how it is ranked, is no matter of this module.

Robertson et al. 1994, "Okapi at TREC-3". Trotman et al. 2012, "Towards an Efficient and Effective Search Engine"
(ATIRE). Lv and Zhai 2011a, "When Documents Are Very Long, BM25 Fails!" (BM25L). Lv and Zhai 2011b, "Lower-Bounding Term
Frequency Normalization" (BM25+). Kamphuis et al. 2020, "Which BM25 Do You Mean?", compares them and names Lucene's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Floats = NDArray[np.float64]

OKAPI_EPSILON = 0.25
BM25L_DELTA = 0.5
BM25PLUS_DELTA = 1.0


def length_norm(length: Floats, average_length: float, *, b: float) -> Floats:
    """How long a chunk is against the average, weakened by b: 1 - b + b * length / average_length.

    >>> length_norm(np.array([5.0, 10.0, 20.0]), 10.0, b=0.5).tolist()
    [0.75, 1.0, 1.5]
    """
    return 1 - b + b * length / average_length


def lucene_idf(n: Floats, chunk_count: int) -> Floats:
    """The idf ln(1 + (N - n + 0.5) / (n + 0.5)): never negative (Lucene 8's BM25Similarity; Kamphuis et al. 2020)."""
    return np.log1p((chunk_count - n + 0.5) / (n + 0.5))


def lucene_weight(tf: Floats, norm: Floats, *, k1: float) -> Floats:
    """The weight tf / (tf + k1 * norm): without a constant (k1 + 1), which moves no rank (Kamphuis et al. 2020)."""
    return tf / (tf + k1 * norm)


def atire_idf(n: Floats, chunk_count: int) -> Floats:
    """The idf ln(N / n): 0 for a term that is everywhere (Trotman et al. 2012)."""
    return np.log(chunk_count / n)


def okapi_weight(tf: Floats, norm: Floats, *, k1: float) -> Floats:
    """The weight (k1 + 1) * tf / (tf + k1 * norm), of okapi and atire (Robertson et al. 1994, Trotman et al. 2012)."""
    return (k1 + 1) * tf / (tf + k1 * norm)


def okapi_idf(n: Floats, chunk_count: int) -> Floats:
    """The idf ln((N - n + 0.5) / (n + 0.5)) (Robertson et al. 1994), floored as rank_bm25 does.

    Args:
        n: float (n_terms,), of *all* terms of the collection: negative values become 0.25 of the mean of them all,
            which in a tiny collection may be negative too.
        chunk_count: N.

    >>> okapi_idf(np.array([1.0, 2.0, 3.0]), 4).round(4).tolist()  # ln(7/3), ln 1, and ln(3/7) floored to 0.25 * 0
    [0.8473, 0.0, 0.0]
    >>> okapi_idf(np.array([2.0, 2.0]), 2).round(4).tolist()  # ln(1/5) twice: 0.25 * -1.6094
    [-0.4024, -0.4024]
    """
    idf = np.log(chunk_count - n + 0.5) - np.log(n + 0.5)
    return np.where(idf < 0, OKAPI_EPSILON * idf.mean(), idf) if idf.size else idf


def bm25l_idf(n: Floats, chunk_count: int) -> Floats:
    """The idf ln((N + 1) / (n + 0.5)) (Lv and Zhai 2011a)."""
    return np.log((chunk_count + 1) / (n + 0.5))


def bm25l_weight(tf: Floats, norm: Floats, *, k1: float) -> Floats:
    """The weight (k1 + 1) * (c + delta) / (k1 + c + delta), c = tf / norm, delta = 0.5 (Lv and Zhai 2011a)."""
    shifted = tf / norm + BM25L_DELTA
    return (k1 + 1) * shifted / (k1 + shifted)


def bm25plus_idf(n: Floats, chunk_count: int) -> Floats:
    """The idf ln((N + 1) / n) (Lv and Zhai 2011b)."""
    return np.log((chunk_count + 1) / n)


def bm25plus_weight(tf: Floats, norm: Floats, *, k1: float) -> Floats:
    """The weight delta + (k1 + 1) * tf / (tf + k1 * norm), delta = 1 (Lv and Zhai 2011b)."""
    return BM25PLUS_DELTA + okapi_weight(tf, norm, k1=k1)


@dataclass(frozen=True, slots=True)
class Formula:
    """A BM25 formula.

    Attributes:
        idf: (n of all terms, float (n_terms,); N) to float (n_terms,).
        weight: (tf, norm, k1) to the weight, float, of one shape.
    """

    idf: Callable[[Floats, int], Floats]
    weight: Callable[..., Floats]


VARIANTS: Mapping[str, Formula] = {
    "lucene": Formula(lucene_idf, lucene_weight),
    "atire": Formula(atire_idf, okapi_weight),
    "okapi": Formula(okapi_idf, okapi_weight),
    "bm25l": Formula(bm25l_idf, bm25l_weight),
    "bm25plus": Formula(bm25plus_idf, bm25plus_weight),
}
