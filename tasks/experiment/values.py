"""What every fusion, weight and depth is worth on every judged query: one pass over arrays for each, no tables.

The formulas are those by which ``Experiment.evaluate`` and a refresh rank, over the arrays of
``tasks.evaluate.judged_candidates``, in the order in which they add them up, so that a variant's figure is the one that
a refresh with it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from nightrank.tasks.rank.examples import Examples, examples_of
from nightrank.tasks.rank.fusion import FusedPool
from nightrank.tasks.rank.lists import RERANKER
from nightrank.tasks.rank.order import Entries, LegScores, first_stage_scores, weighted_scores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName
    from nightrank.tasks.evaluate.judged_candidates import JudgedCandidates
    from nightrank.tasks.rank.order import Weighing
    from nightrank.tasks.settings.ranking import RetrievalSettings

NDCG_DEPTH = 10


class Reranking(NamedTuple):
    """How candidates are reranked: the reranker's weight (None: the learned order's), and how many of them."""

    weight: float | None
    depth: int


@dataclass(frozen=True, slots=True, eq=False)
class VariantValues:
    """The values of variants that share legs and reranker; made by ``Experiment.values``.

    Attributes:
        judged: What the legs find for the judged queries.
        pair_scores: Gives what is known of the reranker's scores: float32 (n,) of the pool's rows, NaN where none is.
        grams: Gives the shares of grams: float64 (n,) of the pool's rows.
        weighing: The settings' own, by which learned variants are ordered.
    """

    judged: JudgedCandidates
    pair_scores: Callable[[], NDArray[np.float32]]
    grams: Callable[[], NDArray[np.float64]]
    weighing: Weighing

    def of_leg(self, leg: LegName) -> NDArray[np.float64]:
        """The nDCG@10 of one leg alone, of each query: float64 (n_ids,)."""
        pool = self.judged.pool
        return self.judged.ndcg(pool.scores[leg], pool.ranks[leg] > 0, depth=NDCG_DEPTH)

    def of_fusions(self, fusions: Sequence[RetrievalSettings]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What fusions are worth without a reranker, and to one.

        Returns:
            The nDCG@10 of the fused order, and the recall of the candidates: float64 (n_fusions, n_ids) each.
        """
        ndcg, recall = (np.zeros((len(fusions), len(self.judged.query_ids))) for _ in range(2))
        for row, settings in enumerate(fusions):
            fused = FusedPool.of(self.judged.pool, settings)
            among = fused.ranks <= settings.candidate_depth
            ndcg[row] = self.judged.ndcg(fused.scores, among, depth=NDCG_DEPTH)
            recall[row] = self.judged.recall(among)
        return ndcg, recall

    def of_learned(self, settings: RetrievalSettings) -> NDArray[np.float64]:
        """The nDCG@10 of the learned order of a fusion's candidates without a reranker: float64 (n_ids,).

        Args:
            settings: The fusion.
        """
        return self.ordered(settings, depth=None).values(self.weighing)

    def ordered(self, settings: RetrievalSettings, *, depth: int | None) -> OrderedCandidates:
        """A fusion's candidates, which any learned order may put in its own order.

        Args:
            settings: The fusion.
            depth: Candidates that are reranked; None where none is.
        """
        pair_scores = None if depth is None else self.pair_scores()
        return OrderedCandidates.of(self.judged, settings, pair_scores, depth=depth, grams=self.grams())

    def of_rerankings(self, settings: RetrievalSettings, rerankings: Sequence[Reranking]) -> NDArray[np.float64] | None:
        """The nDCG@10 of the candidates of a fusion, reranked in some ways: float64 (n_rerankings, n_ids).

        Args:
            settings: The fusion.
            rerankings: Weights and depths; at least one.

        Returns:
            The values; None where a pair that the deepest reranking asks for has no score yet.
        """
        fused, pool, pair_scores = FusedPool.of(self.judged.pool, settings), self.judged.pool, self.pair_scores()
        deepest = min(max(reranking.depth for reranking in rerankings), settings.candidate_depth)
        if np.isnan(pair_scores[fused.ranks <= deepest]).any():
            return None
        among = fused.ranks <= settings.candidate_depth
        order = fused.order
        queries, scores, ranks = pool.queries[order], fused.scores[order], fused.ranks[order]
        legs = [
            LegScores(pool.scores[leg][order].astype(np.float64), weight)
            for leg, weight in settings.leg_weights.items()
        ]
        values = np.zeros((len(rerankings), len(self.judged.query_ids)))
        learned = {one.depth: self.ordered(settings, depth=one.depth) for one in rerankings if one.weight is None}
        for depth in {reranking.depth for reranking in rerankings}:
            asked = ranks <= min(depth, settings.candidate_depth)
            pairs = np.where(asked, pair_scores[order], np.float32(np.nan))
            first_stage = first_stage_scores(queries, scores, legs=legs, asked=asked)
            for row, reranking in enumerate(rerankings):
                if reranking.depth != depth:
                    continue
                if reranking.weight is None:
                    values[row] = learned[depth].values(self.weighing)
                    continue
                final = np.empty(order.size, dtype=np.float32)
                final[order] = weighted_scores(queries, first_stage, ranks, pairs, weight=reranking.weight)
                values[row] = self.judged.ndcg(final, among, depth=NDCG_DEPTH)
        return values


@dataclass(frozen=True, slots=True, eq=False)
class OrderedCandidates:
    """The candidates of a fusion with what learned orders are asked about; made by ``of``.

    Attributes:
        judged: The rows of the legs' pool.
        order: int (n,), these by query, then fused rank.
        entries: In that order.
        pair_scores: float32 (n,), in that order, NaN where the reranker is not asked.
        candidates: bool (n,), in that order, whether each is a candidate.
    """

    judged: JudgedCandidates
    order: NDArray[np.intp]
    entries: Entries
    pair_scores: NDArray[np.float32]
    candidates: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        judged: JudgedCandidates,
        settings: RetrievalSettings,
        pair_scores: NDArray[np.float32] | None,
        *,
        depth: int | None,
        grams: NDArray[np.float64],
    ) -> Self:
        """The candidates of a fusion.

        Args:
            judged: What the legs found.
            settings: The fusion.
            pair_scores: float32 (n,), of the pool's rows; None without a reranker.
            depth: Candidates that are reranked.
            grams: float64 (n,), shares of grams of the pool's rows.
        """
        pool, fused = judged.pool, FusedPool.of(judged.pool, settings)
        order, asked = fused.order, np.full(fused.order.size, np.nan, dtype=np.float32)
        if pair_scores is not None and depth is not None:
            asked = np.where(fused.ranks <= depth, pair_scores, np.float32(np.nan))
        legs = {leg: scores[order].astype(np.float64) for leg, scores in pool.scores.items()}
        entries = Entries(pool.queries[order], fused.scores[order], fused.ranks[order], legs, grams[order])
        return cls(judged, order, entries, asked[order], fused.ranks[order] <= settings.candidate_depth)

    def values(self, weighing: Weighing) -> NDArray[np.float64]:
        """The nDCG@10 of each query in the order of a weighing: float64 (n_ids,)."""
        final, among = np.empty(self.order.size, dtype=np.float32), np.empty(self.order.size, dtype=np.bool_)
        final[self.order] = weighing.final_scores(self.entries, self.pair_scores)
        among[self.order] = self.candidates
        return self.judged.ndcg(final, among, depth=NDCG_DEPTH)

    def examples(self, weighing: Weighing) -> Examples:
        """What a fit sees of the queries, whose relevant documents are found by their best chunks.

        Args:
            weighing: Knows legs and log; with a reranker one that its learned order knows.
        """
        lists = weighing.lists(self.entries, self.pair_scores)
        reranked = RERANKER in lists.scores
        gains = self.judged.row_gains(self.order)
        return examples_of(
            lists,
            gains,
            self.pair_scores.astype(np.float64) if reranked else None,
            legs=tuple(weighing.leg_weights),
            kept=(~np.isnan(self.pair_scores) if reranked else self.candidates) & ~np.isnan(gains),
            log=weighing.log_of(lists),
        )
