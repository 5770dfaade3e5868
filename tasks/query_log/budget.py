"""Which queries a budget buys: those most in demand, as far as it reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.storage.release.manifest import Manifest

LEAST_PAIRS = 1000  # of a run that measures the reranker: with fewer, the loading of the model is most of the time


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent.

    Attributes:
        queries: To keep.
        pairs: To score, of queries new to the release; None: as many as it takes.
        pairs_per_query: What a new query costs at most.
    """

    queries: int
    pairs: int | None
    pairs_per_query: int


def choose(
    order: NDArray[np.int64], budget: Budget, *, known: NDArray[np.bool_], always: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The queries that cover most demand within a budget.

    Queries cost either nothing, where the live release answers them, or all the same, so taking them by demand and
    passing over new ones once the pairs are spent is the best choice there is. What is answered costs nothing even
    where a new model scores it again: otherwise the day of a new model would be the day that answers go.

    Args:
        order: Queries by demand, the highest first, int64 (m,).
        budget: What may be spent.
        known: Whether the live release answers a query, bool (n,), by query.
        always: Whether a query is kept whatever the budget, bool (n,); what it costs is counted first.

    Returns:
        The chosen ones in the same order, int64 (k,).

    >>> two_new = Budget(queries=3, pairs=200, pairs_per_query=100)
    >>> known, always = np.array([False, False, False, True]), np.array([False, False, True, False])
    >>> choose(np.array([0, 1, 3, 2]), two_new, known=known, always=always).tolist()
    [0, 3, 2]
    """
    required, others = order[always[order]], order[~always[order]]
    if budget.pairs is not None and budget.pairs_per_query:
        new_ones = max(0, budget.pairs // budget.pairs_per_query - int((~known[required]).sum()))
        is_new = ~known[others]
        others = others[~is_new | (np.cumsum(is_new) <= new_ones)]
    chosen = np.zeros(len(known), dtype=bool)
    chosen[required] = True
    chosen[others[: max(0, budget.queries - len(required))]] = True
    return order[chosen[order]]


def measured_pairs_per_second(manifests: Sequence[Manifest], *, reranker: str) -> float | None:
    """How fast a reranker was in the newest release that it scored enough pairs for; None where there is none.

    Args:
        manifests: Of releases, oldest first.
        reranker: Its fingerprint.
    """
    for manifest in reversed(manifests):
        seconds, scored = manifest.seconds.get("rerank", 0.0), manifest.counts.pairs_scored
        if manifest.inputs.reranker_fingerprint == reranker and scored >= LEAST_PAIRS and seconds > 0:
            return scored / seconds
    return None
