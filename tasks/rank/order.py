"""The final order: reranker and first stage weighed against each other, cut to the best entry of a document.

    score = weight * z(pair score) + (1 - weight) * z(first stage)

with z the standardisation over the query's reranked candidates, so that no scale decides. First stage and weight are
the learned order's (``tasks.rank.learned``), or plain ones: the weight that the settings or a card name, and

    first stage = z(fused score) + 2 * (leg weight * z(leg score), summed over the legs)

Reciprocal rank fusion finds candidates well and orders them badly, because ranks do not tell a clear winner from a
narrow one: the legs' own scores do (Bruch, Gai, Ingber, "An analysis of fusion functions for hybrid retrieval",
TOIS 2023).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from nightrank.storage.legs import LEGS
from nightrank.storage.records import CANDIDATES, ranking_order, ranks_within
from nightrank.storage.wide import rows_at
from nightrank.tasks.rank.fusion import standardise_within
from nightrank.tasks.rank.grams import GRAM_BITS, gram_shares
from nightrank.tasks.rank.learned import log_means
from nightrank.tasks.rank.lists import RERANKER, Lists

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName
    from nightrank.storage.release.manifest import LogMeans
    from nightrank.tasks.rank.learned import LearnedOrder
    from nightrank.tasks.settings.whole import Settings


CHUNK_NAMES = ("chunk_id", "chunk_hash", "document_id")  # what candidates say of a chunk beside its number


@dataclass(frozen=True, slots=True)
class LegScores:
    """What one leg says of each candidate: float (n,), NaN where it does not list it, and the weight of the leg."""

    scores: NDArray[np.floating]
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """What the first stage says of the chunks that it found for some queries, a row each.

    Attributes:
        queries: int (n,), from 0, ascending.
        fused_scores: float (n,).
        fused_ranks: int (n,), from 1.
        legs: float (n,) by leg, its scores, NaN where it does not list the chunk.
        grams: float64 (n,), as ``gram_shares`` gives them; 0 where nobody asks for them.
    """

    queries: NDArray[np.integer]
    fused_scores: NDArray[np.floating]
    fused_ranks: NDArray[np.integer]
    legs: Mapping[LegName, NDArray[np.floating]]
    grams: NDArray[np.float64]

    def where(self, mask: NDArray[np.bool_]) -> Entries:
        """The entries (m,) that a mask (n,) keeps: of a query all or none."""
        legs = {leg: scores[mask] for leg, scores in self.legs.items()}
        return Entries(self.queries[mask], self.fused_scores[mask], self.fused_ranks[mask], legs, self.grams[mask])


def entries_of(
    fused: pa.Table, *, queries: NDArray[np.integer] | None = None, grams: pa.ChunkedArray | None = None
) -> Entries:
    """The entries of a table with a column ``<leg>_score`` for each leg, as FUSED and CANDIDATES have them.

    Args:
        fused: By query; of each all that its legs list.
        queries: int (n,), from 0, ascending; None: the column ``query_number``.
        grams: large_binary (n,), of the entries; None: the column ``grams``, which older releases do not have.
    """
    if grams is None:
        has_grams = "grams" in fused.column_names
        grams = fused.column("grams") if has_grams else pa.chunked_array([pa.nulls(fused.num_rows, GRAM_BITS)])
    numbers = fused.column("query_number").to_numpy() if queries is None else queries
    return Entries(
        queries=numbers,
        fused_scores=fused.column("fused_score").to_numpy(),
        fused_ranks=fused.column("fused_rank").to_numpy(),
        legs={leg: fused.column(f"{leg}_score").cast(pa.float64()).to_numpy() for leg in LEGS},  # a null is NaN
        grams=gram_shares(numbers, grams.combine_chunks()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Weighing:
    """What counts how much in the final order; made by ``of``.

    Attributes:
        leg_weights: Of the legs that are on; they sum to 1. The learned order sets its own, query by query.
        weight: Of a reranker that the learned order does not know, or of any where there is none.
        learned: The learned order; None where plain weights are used.
        knows_reranker: Whether the learned order weighs the reranker as well.
        log: What lists say in the mean over the log; of one that does not tell of all lists the queries at hand do.
    """

    leg_weights: Mapping[LegName, float]
    weight: float
    learned: LearnedOrder | None = None
    knows_reranker: bool = False
    log: LogMeans | None = None

    @classmethod
    def of(
        cls, settings: Settings, learned: LearnedOrder | None, *, weight: float, log: LogMeans | None = None
    ) -> Self:
        """The weighing that settings ask for.

        Args:
            settings: Of legs and reranker.
            learned: The learned order that they ask for; None where plain weights order.
            weight: The reranker's own, or what the settings say in its place; 0 without a reranker.
            log: What lists say in the mean over the log, as a release has it.
        """
        leg_weights = settings.retrieval.leg_weights
        if learned is None:
            return cls(leg_weights, weight)
        return cls(leg_weights, weight, learned, settings.reranker.model == learned.reranker, log)

    def log_means(self, entries: Entries, pair_scores: NDArray[np.floating], *, people: NDArray[np.bool_]) -> LogMeans:
        """What the lists of a whole log say in the mean; nothing where plain weights are used.

        Args:
            entries: Of all its queries (n,).
            pair_scores: float (n,), NaN where the reranker was not asked.
            people: Whether people asked each query, bool (n_queries,); where they asked none, all queries tell.
        """
        if self.learned is None:
            return {}
        if people.any() and not people.all():
            mask = people[entries.queries]
            entries, pair_scores = entries.where(mask), pair_scores[mask]
        return log_means(self.lists(entries, pair_scores), tuple(self.leg_weights))

    def over(self, log: LogMeans) -> Self:
        """The same, for queries of a log."""
        return replace(self, log=log)

    def final_scores(self, entries: Entries, pair_scores: NDArray[np.floating]) -> NDArray[np.float32]:
        """The final score of each entry: float32 (n,).

        Args:
            entries: Of whole lists (n,).
            pair_scores: float (n,), NaN where the reranker was not asked.
        """
        weight: float | NDArray[np.float64] = self.weight
        if self.learned is None:
            legs = [LegScores(entries.legs[leg], of_leg) for leg, of_leg in self.leg_weights.items()]
            asked = ~np.isnan(pair_scores)
            first_stage = first_stage_scores(entries.queries, entries.fused_scores, legs=legs, asked=asked)
        else:
            legs_on, lists = tuple(self.leg_weights), self.lists(entries, pair_scores)
            log = self.log_of(lists)
            first_stage = self.learned.first_stage(lists, legs_on, log=log)
            if self.knows_reranker and RERANKER in lists.scores:
                weight = self.learned.reranker_weights(lists, legs_on, log=log)
        return weighted_scores(entries.queries, first_stage, entries.fused_ranks, pair_scores, weight=weight)

    def log_of(self, lists: Lists) -> LogMeans:
        """What lists say in the mean over the log; where it does not tell of all of them, over the queries at hand."""
        known = self.log is not None and lists.scores.keys() <= self.log.keys()
        return self.log if self.log is not None and known else log_means(lists, tuple(self.leg_weights))

    def lists(self, entries: Entries, pair_scores: NDArray[np.floating]) -> Lists:
        """The lists that the learned order is asked about.

        Args:
            entries: Of whole lists (n,).
            pair_scores: float (n,), NaN where the reranker was not asked.
        """
        named: dict[str, NDArray[np.floating]] = {leg: entries.legs[leg] for leg in self.leg_weights}
        if self.knows_reranker and not np.isnan(pair_scores).all():
            named[RERANKER] = pair_scores
        return Lists.of(entries.queries, named, grams=entries.grams)


def first_stage_scores(
    queries: NDArray[np.integer],
    fused_scores: NDArray[np.floating],
    *,
    legs: Iterable[LegScores],
    asked: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """What the first stage makes of each candidate: its fused score and the scores of the legs, the latter twice.

    A leg that does not list a candidate counts with the lowest score that it gives to one of the query's.

    Args:
        queries: int (n,), from 0, ascending.
        fused_scores: float (n,).
        legs: Those that are on; their weights sum to 1.
        asked: bool (n,), the candidates that are reranked; the others keep their fused scores.

    Returns:
        float64 (n,).

    >>> legs = [LegScores(np.array([-9.0, -1.0, np.nan]), 0.5), LegScores(np.array([0.5, 0.5, 0.5]), 0.5)]
    >>> first_stage_scores(np.zeros(3, int), np.array([0.3, 0.2, 0.1]), legs=legs, asked=np.array([1, 1, 0], bool))
    array([0. , 0. , 0.1])
    """
    scores = fused_scores.astype(np.float64)
    groups = queries[asked]
    mixed = standardise_within(groups, scores[asked])
    for leg in legs:
        mixed += 2.0 * leg.weight * standardise_within(groups, _lowest_where_missing(groups, leg.scores[asked]))
    scores[asked] = mixed
    return scores


def weighted_scores(
    queries: NDArray[np.integer],
    first_stage: NDArray[np.floating],
    fused_ranks: NDArray[np.integer],
    pair_scores: NDArray[np.floating],
    *,
    weight: float | NDArray[np.float64],
) -> NDArray[np.float32]:
    """The final score of each candidate.

    Candidates that were not reranked (their pair score is NaN) come below all that were, in the fused order,
    one point a place. A query of which nothing was reranked keeps the first stage's scores.

    Args:
        queries: int (n,), from 0, ascending.
        first_stage: float (n,), of :func:`first_stage_scores`.
        fused_ranks: int (n,), from 1.
        pair_scores: float (n,), NaN where the reranker was not asked.
        weight: Of the reranker, one for all or float64 (n_queries,); 1.0 is the reranker alone.

    Returns:
        float32 (n,).

    >>> queries, ranks = np.array([0, 0, 0]), np.array([1, 2, 3])
    >>> weighted_scores(queries, np.array([3.0, 1.0, 0.0]), ranks, np.array([-5.0, 5.0, np.nan]), weight=0.75).tolist()
    [-0.5, 0.5, -1.5]
    """
    scores = first_stage.astype(np.float64)
    asked = ~np.isnan(pair_scores)
    if not asked.any():
        return scores.astype(np.float32)
    groups, count = queries[asked], int(queries.max()) + 1
    weights = np.broadcast_to(weight, count)[groups]
    final = weights * standardise_within(groups, pair_scores[asked])
    final += (1.0 - weights) * standardise_within(groups, scores[asked])
    lowest, deepest = np.full(count, np.inf), np.zeros(count, dtype=np.int64)
    np.minimum.at(lowest, groups, final)
    np.maximum.at(deepest, groups, fused_ranks[asked])
    below = ~asked & np.isfinite(lowest[queries])
    scores[asked] = final
    scores[below] = (lowest[queries] - (fused_ranks - deepest[queries]))[below]
    return scores.astype(np.float32)


def rank_candidates(
    queries: NDArray[np.integer], scores: NDArray[np.float32], chunk_numbers: NDArray[np.integer]
) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """The final order of candidates and their ranks in it.

    Returns:
        The permutation that sorts them, int (n,), and the rank of each sorted entry, int32 (n,).
    """
    order = ranking_order(queries, scores, chunk_numbers)
    return order, ranks_within(queries[order])


def best_of_each(queries: NDArray[np.integer], units: NDArray[np.integer], *, depth: int) -> NDArray[np.intp]:
    """The best entry of each unit (document or chunk) of a query, at most ``depth`` a query.

    Entries come by query, best first.

    Args:
        queries: int (n,), ascending.
        units: int (n,), what may come once a query.
        depth: Entries kept a query.

    Returns:
        int (m,), positions of the entries that stay, by query and rank.

    >>> best_of_each(np.array([0, 0, 0, 1]), np.array([7, 7, 8, 7]), depth=2).tolist()
    [0, 2, 3]
    """
    by_unit = np.lexsort((units, queries))  # stable: the best entry of a unit stays first
    first = np.ones(by_unit.size, dtype=bool)
    first[1:] = (queries[by_unit][1:] != queries[by_unit][:-1]) | (units[by_unit][1:] != units[by_unit][:-1])
    kept = np.sort(by_unit[first])
    return kept[ranks_within(queries[kept]) <= depth]


def _lowest_where_missing(groups: NDArray[np.integer], scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scores (n,) whose NaN are replaced by the lowest of their group; 0 where a group has nothing else."""
    values = scores.astype(np.float64)
    missing = np.isnan(values)
    lowest = np.full(int(groups.max(initial=-1)) + 1, np.inf)
    np.minimum.at(lowest, groups[~missing], values[~missing])
    return np.where(missing, np.where(np.isfinite(lowest), lowest, 0.0)[groups], values)


def name_candidates(fused: pa.Table, queries: pa.Table, chunks: pa.Table) -> pa.Table:
    """Candidates with the keys that outlive a release: query, chunk, text and document.

    Args:
        fused: Schema FUSED.
        queries: By query number, with ``query_key``.
        chunks: Row for row with ``fused``, the columns ``CHUNK_NAMES`` of its chunks.
    """
    keys = rows_at(queries.select(["query_key"]), fused.column("query_number"))
    return pa.table({"query_key": keys.column(0), **{name: chunks.column(name) for name in CHUNK_NAMES}})


def reranked_rows(fused: pa.Table, settings: Settings) -> NDArray[np.intp]:
    """Int (n,), the rows of schema FUSED whose pairs the reranker is asked for."""
    depth = min(settings.reranker.depth, settings.retrieval.candidate_depth)
    return np.flatnonzero(fused.column("fused_rank").to_numpy() <= depth)


def final_order(
    candidates: pa.Table,
    fused: pa.Table,
    pair_scores: NDArray[np.float32],
    *,
    weighing: Weighing,
) -> pa.Table:
    """The candidates in their final order.

    Args:
        candidates: Keys (n,), as ``name_candidates`` gives them; with the ``grams`` where a learned order orders.
        fused: Schema FUSED (n,), the same rows.
        pair_scores: float32 (n,), NaN where the reranker was not asked.
        weighing: What counts how much.

    Returns:
        A table of schema CANDIDATES, by query number, then rank.
    """
    queries, chunk_numbers = fused.column("query_number").to_numpy(), fused.column("chunk_number").to_numpy()
    if weighing.learned is None:
        candidates = candidates.append_column("grams", pa.nulls(candidates.num_rows, GRAM_BITS))
    scores = weighing.final_scores(entries_of(fused, grams=candidates.column("grams")), pair_scores)
    order, ranks = rank_candidates(queries, scores, chunk_numbers)
    columns = {name: candidates.column(name) for name in candidates.schema.names}
    columns |= {name: fused.column(name) for name in fused.schema.names if name != "query_number"}
    columns["pair_score"] = pa.array(pair_scores, from_pandas=True)  # NaN becomes null
    columns["score"] = pa.array(scores)
    table = rows_at(pa.table(columns), order).append_column("rank", pa.array(ranks))
    return table.select(CANDIDATES.names).cast(CANDIDATES)
