"""The variants that tuning searches, and what each is worth; what some queries choose among them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nightrank.storage.errors import InputError
from nightrank.storage.filters.queries import by_text
from nightrank.tasks.experiment.values import Reranking
from nightrank.tasks.tune.choice import choose
from nightrank.tasks.tune.order import STRENGTHS, OrderFits, prior_of
from nightrank.tasks.tune.variants import RankingVariant, fusions_to_try, rerankings_to_try

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName
    from nightrank.storage.records import JsonValue
    from nightrank.tasks.evaluate.judged_candidates import JudgedCandidates
    from nightrank.tasks.experiment.experiment import Experiment
    from nightrank.tasks.settings.ranking import RetrievalSettings
    from nightrank.tasks.settings.whole import Settings


class Search:
    """The variants of some settings over a pool, and what each is worth.

    Args:
        experiment: Over a release.
        settings: What is tuned.
        max_depth: Candidates that may be reranked, where that is more than the settings rerank.
        scoring: Whether pairs that nobody has scored yet are scored.

    Attributes:
        release_id: Of the release.
        present: The settings as they are.
        tried: How many variants there are.
        query_ids: Judged ones; what is told of queries is told in their order.
        units: What folds must not tear apart: the key of the text behind each judged id, whatever its filter, or the id
            where none is answered.

    Raises:
        InputError: The release answers fewer than two judged queries, the same text counted once.
    """

    def __init__(
        self, experiment: Experiment, settings: Settings, *, max_depth: int | None = None, scoring: bool = True
    ) -> None:
        values = experiment.values(settings)
        judged = values.judged
        self.release_id = experiment.release.release_id
        self.query_ids = judged.query_ids
        self.units = _units(experiment, judged)
        if len(set(self.units[: judged.query_of.size])) < 2:
            message = f"The release {self.release_id} answers fewer than two judged queries with other texts."
            raise InputError(message, remedy="Judge more queries, or refresh with a log that has them.")
        self._experiment = experiment
        self._settings = settings
        self._values = values
        self._scoring = scoring
        self._fusions = fusions_to_try(settings.retrieval)
        self._ndcg, self._recall = values.of_fusions(self._fusions)
        self._learned = values.of_learned(settings.retrieval) if settings.order == "learned" else None
        self._rerankings: list[Reranking] = []
        self._max_depth = 0
        weight = experiment.weight_of(settings)
        if settings.reranker.model != "none":
            limit = settings.retrieval.candidate_depth
            present = Reranking(weight if self._learned is None else None, min(settings.reranker.depth, limit))
            self._max_depth = max(present.depth, min(max_depth or 0, limit))
            self._rerankings = rerankings_to_try(present, deepest=self._max_depth)
        self._prior = prior_of(settings.reranker.model, weight)
        self._reranked: dict[int, NDArray[np.float64]] = {}  # by fusion
        self._fits: dict[tuple[int, int | None], OrderFits] = {}  # by fusion, and how many candidates are reranked
        self._fits[0, None] = self._fits_over(0, None)
        reranking = self._rerankings[0] if self._rerankings else None
        self.present = self._as_settings(settings.retrieval, reranking, learned=self._learned is not None)
        self.tried = self._count()

    def prepare(self, subsets: Sequence[NDArray[np.bool_]]) -> int:
        """Have the pair scores at hand that choosing by some subsets of the queries needs; how many had to be scored.

        Args:
            subsets: bool (n_ids,) each.
        """
        if not self._rerankings:
            return 0
        wanted = sorted({0, *(choose(self._recall[:, subset], present=0) for subset in subsets)})
        scored = self._experiment.prepare([self.deepest(row) for row in wanted]) if self._scoring else 0
        for row in wanted:
            if (found := self._values.of_rerankings(self._fusions[row], self._rerankings)) is not None:
                self._reranked[row] = found
                for depth in {self._rerankings[0].depth, self._max_depth}:
                    self._fits[row, depth] = self._fits_over(row, depth)
        if 0 not in self._reranked:
            message = f"The release {self.release_id} has candidates that the reranker has not scored yet."
            raise InputError(message, remedy="Leave out --no-scoring, or rerank no deeper than the release does.")
        self.tried = self._count()
        return scored

    def choose(self, subset: NDArray[np.bool_]) -> RankingVariant:
        """What a subset of the queries chooses, once ``prepare`` has been told of it.

        A fitted order is held against the settings by queries of the subset that did not fit it; plain weights, which
        are chosen by the subset as a whole, must beat the better of the two.

        Args:
            subset: bool (n_ids,).
        """
        plain = [RankingVariant(fusion, None) for fusion in self._fusions]
        if self._learned is None:
            unreranked = [_Tried(one, values) for one, values in zip(plain, self._ndcg, strict=True)]
        else:
            learned = self._as_settings(self._fusions[0], None, learned=True)
            unreranked = [_Tried(learned, self._learned)]
            unreranked += [_Tried(one, values) for one, values in zip(plain, self._ndcg, strict=True)]
        best = self._best(unreranked, self._fitted(subset, rows=[0], depths=[None]), subset)
        if not self._rerankings:
            return best.variant
        rows = list(dict.fromkeys((0, self._by_recall(subset))))
        reranked = [
            _Tried(self._as_settings(self._fusions[row], reranking, learned=reranking.weight is None), values)
            for row in rows
            for reranking, values in zip(self._rerankings, self._reranked[row], strict=True)
        ]
        depths = sorted({self._rerankings[0].depth, self._max_depth})
        return self._best([*reranked, best], self._fitted(subset, rows=rows, depths=depths), subset).variant

    def values(self, variant: RankingVariant) -> NDArray[np.float64]:
        """The nDCG@10 of a variant on each query: float64 (n_ids,)."""
        row, reranking = self._fusions.index(variant.fusion), variant.reranking
        if variant.fitted is not None:
            values = self._fits[row, None if reranking is None else reranking.depth].values(variant.fitted)
        elif reranking is not None:
            values = self._reranked[row][self._rerankings.index(reranking)]
        elif variant.learned and self._learned is not None:
            values = self._learned
        else:
            values = self._ndcg[row]
        return values

    def recall(self, variant: RankingVariant) -> NDArray[np.float64]:
        """The recall of a variant's candidates on each query: float64 (n_ids,)."""
        values: NDArray[np.float64] = self._recall[self._fusions.index(variant.fusion)]
        return values

    def leg_values(self, leg: LegName) -> NDArray[np.float64]:
        """The nDCG@10 of a leg alone on each query: float64 (n_ids,)."""
        return self._values.of_leg(leg)

    def _best(self, tried: Sequence[_Tried], fitted: Sequence[_Tried], subset: NDArray[np.bool_]) -> _Tried:
        """What a subset chooses: the first of some variants, or a fitted order, or what is proved better than both."""
        first = [tried[0], *fitted]
        held = first[choose(_values_of(first, subset), present=0)]
        every = [held, *tried[1:]] if held is tried[0] else [held, *tried]
        return every[choose(_values_of(every, subset), present=0)]

    def _fitted(self, subset: NDArray[np.bool_], *, rows: Sequence[int], depths: Sequence[int | None]) -> list[_Tried]:
        """What a subset fits, with values of its queries by models that others of it made; the firmest first."""
        found = []
        for row, depth in itertools.product(rows, depths):
            fits = self._fits[row, depth]
            reranking = None if depth is None else Reranking(None, depth)
            for strength in STRENGTHS:
                fitted = fits.fit(subset, strength=strength)
                variant = RankingVariant(self._fusions[row], reranking, True, fitted.file_name, fitted)
                found.append(_Tried(variant, fits.unseen_values(subset, strength=strength)))
        return found

    def _fits_over(self, row: int, depth: int | None) -> OrderFits:
        candidates = self._values.ordered(self._fusions[row], depth=depth)
        return OrderFits(candidates, self._values.weighing, prior=self._prior, units=self.units)

    def _as_settings(self, fusion: RetrievalSettings, reranking: Reranking | None, *, learned: bool) -> RankingVariant:
        return RankingVariant(fusion, reranking, learned, self._settings.results.order_model if learned else None)

    def _count(self) -> int:
        """How many variants are tried."""
        unreranked = len(self._fusions) + (self._learned is not None)
        return unreranked + len(self._reranked) * len(self._rerankings) + len(self._fits) * len(STRENGTHS)

    def _by_recall(self, subset: NDArray[np.bool_]) -> int:
        row = choose(self._recall[:, subset], present=0)
        return row if row in self._reranked else 0

    def deepest(self, row: int = 0) -> Settings:
        """The settings under which everything is reranked that is asked for under some variant of a fusion.

        Args:
            row: Of the fusion; 0 is the present one.
        """
        reranker = self._settings.reranker.model_copy(update={"depth": self._max_depth})
        return self._settings.model_copy(update={"retrieval": self._fusions[row], "reranker": reranker})


class _Tried(NamedTuple):
    """A variant, and the values by which some queries may choose it: float64 (n_ids,)."""

    variant: RankingVariant
    values: NDArray[np.float64]


def _values_of(tried: Sequence[_Tried], subset: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.stack([one.values[subset] for one in tried])


def changes(present: RankingVariant, chosen: RankingVariant) -> dict[str, JsonValue]:
    """The keys of the settings file that a choice changes, with their new values.

    >>> from nightrank.tasks.settings.whole import RetrievalSettings
    >>> present = RankingVariant(RetrievalSettings(), Reranking(0.3, 100))
    >>> other = RetrievalSettings(weights={"bm25": 4.0, "dense": 1.0})
    >>> changes(present, RankingVariant(other, Reranking(0.3, 50)))
    {'retrieval.weights': {'bm25': 0.8, 'dense': 0.2}, 'reranker.depth': 50}
    """
    before = present.values()
    changed = {key: value for key, value in chosen.values().items() if before.get(key) != value}
    if chosen.learned and "retrieval.weights" in changed:  # which alone would ask for plain weights
        changed["results.order"] = "learned"
    return changed


def _units(experiment: Experiment, judged: JudgedCandidates) -> list[str]:
    """What must not be torn apart by folds: one text, which models score alike under all filters."""
    keys = by_text(experiment.queries, experiment.queries).column("query_key").to_pylist()
    answered = [keys[number] for number in judged.query_of]
    return [*answered, *(f"unanswered {query_id}" for query_id in judged.query_ids[len(answered) :])]
