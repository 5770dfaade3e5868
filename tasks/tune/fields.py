"""Weights of BM25's fields, chosen by judged queries before everything else is, and proved with it.

Title by title's weight, then headings by theirs: the fusion, the order and the reranker are as the settings have them,
and nDCG@10 of what they make of the candidates decides, by the rule of ``tasks.tune.choice``. Under the weights that
some queries choose these choose the rest (``tasks.tune.search``), so that queries outside of a fold, who had no say in
either, tell what both are worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nightrank.storage.errors import InputError
from nightrank.tasks.tune.choice import choose
from nightrank.tasks.tune.search import Search

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName
    from nightrank.tasks.experiment.experiment import Experiment
    from nightrank.tasks.settings.index import Bm25FieldsSettings
    from nightrank.tasks.settings.whole import Settings
    from nightrank.tasks.tune.variants import RankingVariant

STEPS = (1.0, 1.5, 2.0, 3.0)  # weights that are tried of a field, beside the present one


class FieldSearch:
    """As ``Search``, with the weights of fields chosen as well.

    Args:
        experiment: Over a release.
        settings: What is tuned.
        max_depth: As there.
        scoring: Likewise; without it only weights are tried whose candidates all have a score.

    Attributes:
        release_id: Of the release.
        present: The settings as they are.
        query_ids: Judged ones.
        units: What folds must not tear apart.

    Raises:
        InputError: As there; or there is no BM25 leg of our own, or no field to be weighed.
    """

    def __init__(
        self, experiment: Experiment, settings: Settings, *, max_depth: int | None = None, scoring: bool = True
    ) -> None:
        if "bm25" not in settings.retrieval.legs or settings.retrieval.bm25_run is not None:
            message = "There is no BM25 leg of our own whose fields could be weighed."
            raise InputError(
                message, remedy='Leave out --fields, or name "bm25" in [retrieval].legs, without bm25_run.'
            )
        self._fields = [name for name, there in zip(("title", "headings"), experiment.fields(), strict=True) if there]
        if not self._fields:
            message = "No chunk of the release has a title or headings that could weigh more than its text."
            raise InputError(message, remedy="Leave out --fields.")
        self._experiment = experiment
        self._settings = settings
        self._max_depth = max_depth
        self._scoring = scoring
        self._now = settings.bm25.fields
        self._searches: dict[Bm25FieldsSettings, Search] = {}
        self._left_out: set[Bm25FieldsSettings] = set()  # some of whose candidates have no score
        self._chosen = {self._now}
        own = self._search(self._now)
        self.release_id, self.query_ids, self.units = own.release_id, own.query_ids, own.units
        self.present = own.present._replace(fields=self._now)

    @property
    def tried(self) -> int:
        """How many variants there are: of weights that no queries chose, their own alone."""
        others = len(self._searches) - len(self._chosen)
        return others + sum(self._search(fields).tried for fields in self._chosen)

    def prepare(self, subsets: Sequence[NDArray[np.bool_]]) -> int:
        """As ``Search.prepare``.

        Args:
            subsets: bool (n_ids,) each.
        """
        scored = self._searches[self._now].prepare([])
        reached = dict.fromkeys(range(len(subsets)), self._now)
        for field in self._fields:
            scored += self._have({one for fields in reached.values() for one in self._candidates(fields, field)})
            reached = {place: self._better(fields, field, subsets[place]) for place, fields in reached.items()}
        self._chosen |= set(reached.values())
        for fields in sorted(self._chosen, key=repr):
            own = [subsets[place] for place, found in reached.items() if found == fields]
            scored += self._search(fields).prepare(own)
        return scored

    def choose(self, subset: NDArray[np.bool_]) -> RankingVariant:
        """What a subset of the queries chooses, once ``prepare`` has been told of it.

        Args:
            subset: bool (n_ids,).
        """
        fields = self._now
        for field in self._fields:
            fields = self._better(fields, field, subset)
        return self._search(fields).choose(subset)._replace(fields=fields)

    def values(self, variant: RankingVariant) -> NDArray[np.float64]:
        """The nDCG@10 of a variant on each query: float64 (n_ids,)."""
        return self._search(variant.fields).values(variant)

    def recall(self, variant: RankingVariant) -> NDArray[np.float64]:
        """The recall of a variant's candidates on each query: float64 (n_ids,)."""
        return self._search(variant.fields).recall(variant)

    def leg_values(self, leg: LegName) -> NDArray[np.float64]:
        """The nDCG@10 of a leg alone, under the present weights, on each query: float64 (n_ids,)."""
        return self._search(self._now).leg_values(leg)

    def _candidates(self, fields: Bm25FieldsSettings, field: str) -> list[Bm25FieldsSettings]:
        """Some weights with those that are tried of a field, themselves first."""
        others = [fields.model_copy(update={field: step}) for step in STEPS]
        return [one for one in dict.fromkeys((fields, *others)) if one not in self._left_out]

    def _better(self, fields: Bm25FieldsSettings, field: str, subset: NDArray[np.bool_]) -> Bm25FieldsSettings:
        """What a subset makes of some weights by changing that of a field."""
        candidates = self._candidates(fields, field)
        searches = map(self._search, candidates)
        return candidates[choose(np.stack([one.values(one.present)[subset] for one in searches]), present=0)]

    def _have(self, wanted: Iterable[Bm25FieldsSettings]) -> int:
        """Have the values of the settings under some weights; how many pairs had to be scored."""
        new = sorted(set(wanted) - self._searches.keys(), key=repr)
        scored = 0
        if self._scoring and new:
            scored = self._experiment.prepare([self._search(fields).deepest() for fields in new])
        for fields in new:
            try:
                self._search(fields).prepare([])
            except InputError:
                if self._scoring:
                    raise
                del self._searches[fields]
                self._left_out.add(fields)
        return scored

    def _search(self, fields: Bm25FieldsSettings | None) -> Search:
        assert fields is not None
        if fields not in self._searches:
            bm25 = self._settings.bm25.model_copy(update={"fields": fields})
            settings = self._settings.model_copy(update={"bm25": bm25})
            self._searches[fields] = Search(
                self._experiment, settings, max_depth=self._max_depth, scoring=self._scoring
            )
        return self._searches[fields]
