"""Fusion: rankings of chunks, one a leg, become one.

Reciprocal rank fusion: Cormack, Clarke, Büttcher, "Reciprocal rank fusion outperforms Condorcet and
individual rank learning methods", SIGIR 2009: score(c) = Σ over legs of weight / (k + rank).

Min-max: each leg's scores are scaled to [0, 1] within the query and summed with weights; a chunk that a leg
did not find has 0 there (Bruch, Gai, Ingber, "An analysis of fusion functions for hybrid retrieval", TOIS 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from nightrank.storage.legs import LEGS
from nightrank.storage.records import FUSED, ranking_order, ranks_within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName
    from nightrank.tasks.settings.ranking import RetrievalSettings


def reciprocal_rank(ranks: NDArray[np.integer], *, k: int) -> NDArray[np.float64]:
    """1 / (k + rank), and 0 for rank 0, which stands for "not found".

    >>> reciprocal_rank(np.array([1, 1, 0]), k=60).round(4).tolist()
    [0.0164, 0.0164, 0.0]
    """
    return np.where(ranks > 0, 1.0 / (k + ranks), 0.0)


def minmax_within(groups: NDArray[np.integer], scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scores scaled to [0, 1] within each group; 1 where all scores of a group are equal.

    Args:
        groups: int (n,), from 0.
        scores: float (n,).

    >>> minmax_within(np.array([0, 0, 0, 1]), np.array([-2.0, 2.0, 0.0, -7.0])).tolist()
    [0.0, 1.0, 0.5, 1.0]
    """
    low, spread = _range_within(groups, scores)
    return np.where(spread > 0, (scores - low) / np.where(spread > 0, spread, 1.0), 1.0)


def standardise_within(groups: NDArray[np.integer], scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scores with mean 0 and (population) deviation 1 within each group; 0 where all are equal.

    Args:
        groups: int (n,), from 0.
        scores: float (n,).

    >>> standardise_within(np.array([0, 0, 1]), np.array([-3.0, 1.0, 5.0])).tolist()
    [-1.0, 1.0, 0.0]
    """
    values = scores.astype(np.float64)
    counts = np.maximum(np.bincount(groups), 1)
    centred = values - (np.bincount(groups, weights=values) / counts)[groups]
    deviation = np.sqrt(np.bincount(groups, weights=centred**2) / counts)[groups]
    # Rounding leaves equal scores with a deviation that is not quite 0, so their range decides.
    varied = (_range_within(groups, values)[1] > 0) & (deviation > 0)
    return np.where(varied, centred / np.where(varied, deviation, 1.0), 0.0)


def _range_within(
    groups: NDArray[np.integer], scores: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each entry the lowest score of its group, and how far the highest is from it."""
    count = int(groups.max(initial=-1)) + 1
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, groups, scores)
    np.maximum.at(high, groups, scores)
    return low[groups], (high - low)[groups]


@dataclass(frozen=True, slots=True, eq=False)
class LegUnion:
    """Every chunk that a leg found for a query, once, by query, then chunk number.

    Attributes:
        queries: int32 (n,).
        chunks: int32 (n,).
        scores: float32 (n,) by leg, NaN where it did not find the chunk.
        ranks: int32 (n,) by leg, 0 where it did not find the chunk.
    """

    queries: NDArray[np.int32]
    chunks: NDArray[np.int32]
    scores: Mapping[LegName, NDArray[np.float32]]
    ranks: Mapping[LegName, NDArray[np.int32]]


def union_legs(legs: Mapping[LegName, pa.Table]) -> LegUnion:
    """What all legs found together.

    Args:
        legs: Schema LEG, by name; at least one.
    """
    found = {name: _columns(leg) for name, leg in legs.items()}
    pairs, place = np.unique(np.concatenate([_pair_keys(leg) for leg in found.values()]), return_inverse=True)
    ends = np.cumsum([leg.num_rows for leg in legs.values()])
    places = dict(zip(found, np.split(place, ends[:-1]), strict=True))
    scores = {name: np.full(pairs.size, np.nan, dtype=np.float32) for name in found}
    ranks = {name: np.zeros(pairs.size, dtype=np.int32) for name in found}
    for name, (_, _, leg_scores, leg_ranks) in found.items():
        scores[name][places[name]] = leg_scores
        ranks[name][places[name]] = leg_ranks
    return LegUnion((pairs >> 32).astype(np.int32), (pairs & 0xFFFFFFFF).astype(np.int32), scores, ranks)


def fused_scores(pool: LegUnion, *, settings: RetrievalSettings) -> NDArray[np.float32]:
    """What a fusion makes of each chunk of a pool: float32 (n,).

    Args:
        pool: Of the legs that are on, or some of them; one that it lacks counts as if it had found nothing.
        settings: The fusion and its weights.
    """
    fused = np.zeros(pool.queries.size)
    weights = settings.leg_weights
    for name in (name for name in weights if name in pool.ranks):
        weight, found = weights[name], pool.ranks[name] > 0
        if settings.fusion == "rrf":
            fused[found] += weight * reciprocal_rank(pool.ranks[name][found], k=settings.rrf_k)
        else:
            fused[found] += weight * minmax_within(pool.queries[found], pool.scores[name][found])
    return fused.astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class FusedPool:
    """A fusion over a pool.

    Attributes:
        scores: float32 (n,).
        order: int (n,), the rows by query, then fused rank.
        ranks: int32 (n,), the fused ranks of the rows.
    """

    scores: NDArray[np.float32]
    order: NDArray[np.intp]
    ranks: NDArray[np.int32]

    @classmethod
    def of(cls, pool: LegUnion, settings: RetrievalSettings) -> Self:
        """The fusion of a pool's legs."""
        scores = fused_scores(pool, settings=settings)
        order = ranking_order(pool.queries, scores, pool.chunks)
        ranks = np.empty(order.size, dtype=np.int32)
        ranks[order] = ranks_within(pool.queries[order])
        return cls(scores, order, ranks)


def fuse(legs: Mapping[LegName, pa.Table], *, settings: RetrievalSettings) -> pa.Table:
    """Fuse the legs, in full: every chunk that a leg found keeps its place.

    The first ``candidate_depth`` of each query are its candidates; the others tell how deep the legs went.

    Args:
        legs: Schema LEG, by name; those that are on.
        settings: The fusion and its weights.

    Returns:
        A table of schema FUSED, by query number, then fused rank.
    """
    pool = union_legs(legs)
    fused = FusedPool.of(pool, settings)
    columns: dict[str, pa.Array | NDArray[np.generic]] = {"query_number": pool.queries, "chunk_number": pool.chunks}
    for name in LEGS:
        if name in pool.ranks:
            missing = pool.ranks[name] == 0
            columns[f"{name}_score"] = pa.array(pool.scores[name], mask=missing)
            columns[f"{name}_rank"] = pa.array(pool.ranks[name], mask=missing)
        else:
            columns[f"{name}_score"] = pa.nulls(pool.queries.size, pa.float32())
            columns[f"{name}_rank"] = pa.nulls(pool.queries.size, pa.int32())
    return (
        pa.table(columns | {"fused_score": fused.scores, "fused_rank": fused.ranks})
        .take(pa.array(fused.order))
        .cast(FUSED)
    )


def _columns(leg: pa.Table) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32], NDArray[np.int32]]:
    return tuple(leg.column(name).to_numpy() for name in ("query_number", "chunk_number", "score", "rank"))


def _pair_keys(leg: tuple[NDArray[np.int32], NDArray[np.int32], object, object]) -> NDArray[np.int64]:
    return (leg[0].astype(np.int64) << 32) | leg[1].astype(np.int64)
