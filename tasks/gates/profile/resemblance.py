"""How much a model's values of the same pairs resemble the live model's: what tells a model that reads from others.

Scores of two models cannot be compared, and the results of a model that is handed the token numbers of another one's
vocabulary look like any others: words that a query and a text share have the same wrong numbers in both. But two models
that read put much the same pairs of queries and texts first, however little else they have in common.

Measured on Cranfield, as Spearman's correlation over all pairs. Of 80 queries and 150 texts, against the packaged dual
encoder: without two of its six layers 0.35, without four 0.26, its word embeddings alone 0.37, TF-IDF 0.31; with its
vocabulary shuffled 0.12, with another one's tokenizer 0.09. Of 30 queries and the 12 first candidates of each, against
the packaged reranker: without its last layer 0.82, the dual encoder in its place 0.62, TF-IDF 0.59; with its vocabulary
shuffled 0.20, with another one's tokenizer 0.01.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

FEWEST_PAIRS = 200  # that both have: with fewer it says nothing
# What two models that read have at least, on queries with texts at random, and with their first candidates.
LEAST_AT_RANDOM, LEAST_OF_CANDIDATES = 0.25, 0.45


def resemblance(before: Mapping[str, float], now: Mapping[str, float]) -> float | None:
    """Spearman's correlation of two models' values over the pairs that both have.

    Args:
        before: Values of pairs of a query and a text, by the pair's key.
        now: Another model's.

    Returns:
        From -1 to 1, and 0 where the second model says the same of all; None where they have too few pairs in common,
        or the first one says the same of all.
    """
    from scipy import stats

    keys = sorted(before.keys() & now.keys())
    if len(keys) < FEWEST_PAIRS:
        return None
    first, second = (stats.rankdata([values[key] for key in keys]) - (len(keys) + 1) / 2 for values in (before, now))
    if not first.any():
        return None
    return float(first @ second / np.sqrt((first @ first) * (second @ second))) if second.any() else 0.0


def lack(resembles: float, *, least: float) -> float:
    """What share a resemblance lacks of the least that two models have which read.

    >>> [round(lack(value, least=0.4), 2) for value in (0.9, 0.4, 0.1, -0.2)]
    [0.0, 0.0, 0.75, 1.0]
    """
    return min(max(1.0 - resembles / least, 0.0), 1.0)
