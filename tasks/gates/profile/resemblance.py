"""How much a model's values of the same pairs resemble the live model's: what tells a model that reads from others.

Scores of two models cannot be compared, and the results of a model that is handed the token numbers of another one's
vocabulary look like any others: words that a query and a text share have the same wrong numbers in both. But two models
that read put much the same pairs of queries and texts first, however little else they have in common.

Some queries are near all texts and some texts near all queries, short ones say, to a model that reads nothing as well.
So of pairs of every query with every text only that counts which is left of a pair's rank without its query's mean and
its text's.

Measured as correlation of ranks on Cranfield, SciFact and Vaswani (1,000 documents each). Of 60 queries with each of 40
texts, means left out, against the packaged dual encoder: without two of its six layers 0.45, 0.56, 0.75, without four
0.39, 0.45, 0.66, its word embeddings alone 0.46, 0.45, 0.64, TF-IDF 0.44, 0.29, 0.38; with its vocabulary shuffled
0.15, 0.08, 0.22, with another one's tokenizer 0.03, 0.03, 0.02. With the means left in, Vaswani's 0.22 of a shuffled
vocabulary stood above the 0.19 of Cranfield's two layers.

Of queries and their first candidates, against the packaged reranker (30 queries with 12 candidates each on Cranfield,
20 with 10 on the others): without its last layer 0.82, 0.82, 0.94, the dual encoder in its place 0.62, 0.66, 0.70,
TF-IDF 0.59, 0.54, 0.49; with its vocabulary shuffled 0.20, 0.46, 0.32, with another one's tokenizer 0.01, 0.23, 0.04.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

FEWEST_PAIRS = 200  # that both have: with fewer it says nothing
# What two models that read have, on queries with texts at random, and with their first candidates. What lacks more
# than `gates.max_shift` of it is refused: by default less than 0.28, and than 0.53, between the two kinds above.
LEAST_AT_RANDOM, LEAST_OF_CANDIDATES = 0.4, 0.75


def resemblance(before: Mapping[str, float], now: Mapping[str, float], *, means_out: bool = False) -> float | None:
    """How two models' values over the pairs that both have correlate, by their ranks (Spearman).

    Args:
        before: Values of pairs of a query and a text, by the pair's key: both keys, with a space between them.
        now: Another model's.
        means_out: Leave out the means of queries and texts; each query then is paired with each text.

    Returns:
        From -1 to 1, and 0 where the second model says the same of all; None where they have too few pairs in common,
        or the first one says the same of all.
    """
    from scipy import stats

    keys = sorted(before.keys() & now.keys())
    if len(keys) < FEWEST_PAIRS:
        return None
    first, second = (stats.rankdata([values[key] for key in keys]) - (len(keys) + 1) / 2 for values in (before, now))
    if means_out:
        first, second = (_without_means(ranks, keys) for ranks in (first, second))
    if not first.any():
        return None
    return float(first @ second / np.sqrt((first @ first) * (second @ second))) if second.any() else 0.0


def lack(resembles: float, *, least: float) -> float:
    """What share a resemblance lacks of the least that two models have which read.

    >>> [round(lack(value, least=0.4), 2) for value in (0.9, 0.4, 0.1, -0.2)]
    [0.0, 0.0, 0.75, 1.0]
    """
    return min(max(1.0 - resembles / least, 0.0), 1.0)


def _without_means(ranks: NDArray[np.float64], keys: Sequence[str]) -> NDArray[np.float64]:
    """What is left of ranks (n,), whose mean is 0, of pairs of every query with every text.

    >>> keys = ["a x", "a y", "b x", "b y"]
    >>> _without_means(np.array([-1.5, -0.5, 0.5, 1.5]), keys).tolist()
    [0.0, 0.0, 0.0, 0.0]
    >>> _without_means(np.array([1.5, -1.5, -0.5, 0.5]), keys).tolist()
    [1.0, -1.0, -1.0, 1.0]
    """
    left = ranks.copy()
    for names in zip(*(key.split(" ") for key in keys), strict=True):
        _, numbers = np.unique(names, return_inverse=True)
        left -= (np.bincount(numbers, weights=ranks) / np.bincount(numbers))[numbers]
    left[np.abs(left) < 1e-9 * ranks.size] = 0.0  # what rounding leaves of nothing
    return left
