"""The fit: gates by which every collection's answers come first, all collections counting the same.

The penalty draws the legs towards equal parts, so that collections that say nothing else get min-max fusion. Legs by
twos and threes, with long lists and short ones, with and without the reranker, are fitted at once: one set of gates
serves them all.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from nightrank.storage.legs import LEGS, LegName
from nightrank.tasks.rank.examples import Examples, examples_of
from nightrank.tasks.rank.fit import DECIMALS, NAMES, Fitting, fit_order
from nightrank.tasks.rank.grams import gram_shares
from nightrank.tasks.rank.learned import FEATURES, Gate, LearnedOrder, log_means
from nightrank.tasks.rank.lists import RERANKER, Lists
from recipes.learned_order.collections import fused_ranks
from recipes.learned_order.recipe import DEPTHS
from recipes.legs import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from recipes.learned_order.collections import Scored

CONFIGURATIONS: tuple[tuple[tuple[LegName, ...], bool], ...] = (
    (("bm25", "dense"), False),
    (("bm25", "dense"), True),
    (LEGS, False),
    (LEGS, True),
)
RANK_SHARE = 0.12  # of a leg, to begin with
GRAMS_BIAS = -1.5  # to begin with: shares of grams count for little beside the legs
LEAST_SPREAD = 1e-3


def fit(collections: Sequence[Scored], fitting: Fitting, *, reranker: str) -> LearnedOrder:
    """The learned order of some collections.

    Args:
        collections: To fit on, each with the same weight.
        fitting: How.
        reranker: Whose pair scores they have.
    """
    parts: list[Examples] = []
    for depth, (legs, with_reranker) in product(DEPTHS, CONFIGURATIONS):
        found = [queries_of(one.cut(depth), legs, with_reranker=with_reranker) for one in collections]
        found = [one.weighted(one.weights) for one in found if one.weights.any()]
        share = 1.0 / (len(DEPTHS) * len(CONFIGURATIONS) * max(len(found), 1))
        parts.append(Examples.joined([one.weighted(one.weights * share / one.weights.sum()) for one in found]))
    return fit_order(parts, LearnedOrder.of(equal_parts(parts), reranker, grams=GRAMS_BIAS), fitting)


def queries_of(scored: Scored, legs: tuple[LegName, ...], *, with_reranker: bool) -> Examples:
    """What the fit sees of a collection.

    Args:
        scored: The collection.
        legs: That are on.
        with_reranker: Whether it is there; then its candidates alone are ordered.
    """
    listed = np.any([~np.isnan(scored.legs[leg]) for leg in legs], axis=0)
    queries = scored.queries[listed]
    named: dict[str, NDArray[Any]] = {leg: scored.legs[leg][listed].astype(np.float64) for leg in legs}
    grams = gram_shares(queries, scored.grams.filter(pa.array(listed)))
    lists = Lists.of(queries, named, grams=grams)
    kept = fused_ranks(queries, {leg: lists.ranks[leg] for leg in legs}, legs) <= SETTINGS.retrieval.candidate_depth
    pairs = scored.pair_scores[listed].astype(np.float64)
    if with_reranker:
        kept &= ~np.isnan(pairs)
        lists = Lists.of(queries, named | {RERANKER: np.where(kept, pairs, np.nan)}, grams=grams)
    return examples_of(
        lists,
        scored.relevant[listed].astype(np.float64),
        pairs if with_reranker else None,
        legs=legs,
        kept=kept,
        log=log_means(lists, legs),
    )


def equal_parts(parts: Sequence[Examples]) -> dict[str, Gate]:
    """Gates that tell nothing apart, with the centre and spread that features have in some queries."""
    seen = {name: [one.features[:, one.names.index(name)] for one in parts if name in one.names] for name in NAMES}
    gates: dict[str, Gate] = {}
    for name, found in seen.items():
        rows = np.concatenate(found)
        centre = rows.mean(axis=0).round(DECIMALS)
        spread = np.maximum(rows.std(axis=0), LEAST_SPREAD).round(DECIMALS)
        rank_share = 0.0 if name == RERANKER else RANK_SHARE
        gates[name] = Gate(0.0, np.zeros(len(FEATURES)), centre, spread, rank_share)
    return gates
