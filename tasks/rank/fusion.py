"""Fusion: rankings, one a leg, become one: of documents by their best chunks, or of chunks.

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
from nightrank.storage.records import FUSED, LEG, ranks_within
from nightrank.tasks.rank.documents import document_ranks, pairs_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName
    from nightrank.tasks.kernels.top_documents import Documents
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
    """Every document (or chunk, where these count) that a leg found for a query, by query, then chunk number.

    A document has a row, or several where ``retrieval.chunks_per_document`` asks for it: chunks that stand for it, all
    with what the legs say of the document.

    Attributes:
        queries: int32 (n,).
        chunks: int32 (n,).
        documents: int32 (n,), of the chunks; where chunks count, their own numbers.
        places: int32 (n,), which of the chunks that stand for its document each is, from 1.
        scores: float32 (n,) by leg, NaN where it did not find the document.
        ranks: int32 (n,) by leg, 0 where it did not find the document.
    """

    queries: NDArray[np.int32]
    chunks: NDArray[np.int32]
    documents: NDArray[np.int32]
    places: NDArray[np.int32]
    scores: Mapping[LegName, NDArray[np.float32]]
    ranks: Mapping[LegName, NDArray[np.int32]]


def union_legs(legs: Mapping[LegName, pa.Table], *, documents: Documents | None) -> LegUnion:
    """What all legs found together.

    A document is represented by the chunk of the leg that ranks it highest, the first leg's where two rank it alike;
    where it is to have further ones, by those of the other legs, then by second-best chunks likewise.

    Args:
        legs: Schema LEG, by name; with none nothing is found.
        documents: Behind the chunks; None where chunks count.
    """
    found = {name: _Found.of(leg, documents) for name, leg in legs.items()}
    every = _Found.joined([_Found.of(LEG.empty_table(), None), *found.values()])
    pairs, unit_of = np.unique(pairs_of(every.queries, every.units), return_inverse=True)
    of_leg = np.repeat(np.arange(len(found)), np.array([leg.num_rows for leg in legs.values()], dtype=np.int64))
    scores = {name: np.full(pairs.size, np.nan, dtype=np.float32) for name in found}
    ranks = {name: np.zeros(pairs.size, dtype=np.int32) for name in found}
    for number, name in enumerate(found):
        own = np.flatnonzero((of_leg == number) & (every.places == 1))
        scores[name][unit_of[own]] = every.scores[own]
        ranks[name][unit_of[own]] = every.ranks[own]
    # The chunks of a document in the order in which they stand for it, each where it comes first.
    order = np.lexsort((of_leg, every.ranks, every.places, unit_of))
    _, first = np.unique(pairs_of(unit_of[order], every.chunks[order]), return_index=True)
    order = order[np.sort(first)]
    places = ranks_within(unit_of[order])
    kept = places <= (1 if documents is None else documents.chunks)
    order, places = order[kept], places[kept]
    by_chunk = np.lexsort((every.chunks[order], unit_of[order]))
    order, places, units = order[by_chunk], places[by_chunk], unit_of[order][by_chunk]
    return LegUnion(
        every.queries[order],
        every.chunks[order],
        every.units[order],
        places,
        {name: of_units[units] for name, of_units in scores.items()},
        {name: of_units[units] for name, of_units in ranks.items()},
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What a leg found, row by row: int32 (n,) each, and float32 (n,) scores.

    Attributes:
        units: The documents, or the chunks where these count.
        ranks: Of these.
        places: Of each chunk among those of its document, from 1.
    """

    queries: NDArray[np.int32]
    chunks: NDArray[np.int32]
    units: NDArray[np.int32]
    scores: NDArray[np.float32]
    ranks: NDArray[np.int32]
    places: NDArray[np.int32]

    @classmethod
    def of(cls, leg: pa.Table, documents: Documents | None) -> Self:
        queries, chunks, scores = (leg.column(name).to_numpy() for name in ("query_number", "chunk_number", "score"))
        units = chunks if documents is None else documents.of_chunk[chunks]
        return cls(queries, chunks, units, scores, *document_ranks(queries, units))

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        columns = [(part.queries, part.chunks, part.units, part.scores, part.ranks, part.places) for part in parts]
        queries, chunks, units, scores, ranks, places = (
            np.concatenate(column) for column in zip(*columns, strict=True)
        )
        return cls(queries, chunks, units, scores, ranks, places)


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
        order: int (n,), the rows by query, then fused rank, then place.
        ranks: int32 (n,), the fused ranks of the rows, which those of a document share.
    """

    scores: NDArray[np.float32]
    order: NDArray[np.intp]
    ranks: NDArray[np.int32]

    @classmethod
    def of(cls, pool: LegUnion, settings: RetrievalSettings) -> Self:
        """The fusion of a pool's legs."""
        scores = fused_scores(pool, settings=settings)
        # Documents are numbered as their chunks are, so that ties fall as ``ranking_order`` has it.
        order = np.lexsort((pool.places, pool.documents, -scores, pool.queries))
        queries, documents = pool.queries[order], pool.documents[order]
        is_first = np.append(True, (np.diff(queries) != 0) | (np.diff(documents) != 0))[: order.size]
        ranks = np.empty(order.size, dtype=np.int32)
        ranks[order] = ranks_within(queries[is_first])[np.cumsum(is_first) - 1]
        return cls(scores, order, ranks)


def fuse(legs: Mapping[LegName, pa.Table], *, settings: RetrievalSettings, documents: Documents | None) -> pa.Table:
    """Fuse the legs, in full: every document (or chunk) that a leg found keeps its place.

    The first ``candidate_depth`` of each query are its candidates; the others tell how deep the legs went.

    Args:
        legs: Schema LEG, by name; those that are on.
        settings: The fusion and its weights.
        documents: Behind the chunks; None where chunks count.

    Returns:
        A table of schema FUSED, by query number, then fused rank.
    """
    pool = union_legs(legs, documents=documents)
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
