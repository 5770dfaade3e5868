"""Tuning: which fusion and order judged queries ask for, and what that is worth on queries that did not ask.

The fusion is chosen by the recall of its candidates, which is all that a reranker sees of it, or by nDCG@10 where there
is none; then a learned order that is fitted to the queries, or plain weights, the reranker's depth, and whether there
is one at all, by nDCG@10; before all that, where it is asked for, weights of BM25's fields. The whole choice, fit
included, is made once a fold, without the fold's queries, and these tell what it is worth; the queries are cut into
folds a few times over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nightrank.tasks.evaluate.significance import compare_paired
from nightrank.tasks.query_log.segments import read_segments
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.tune.choice import folds_of, splits
from nightrank.tasks.tune.fields import FieldSearch
from nightrank.tasks.tune.search import Search, changes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.evaluate.significance import Comparison
    from nightrank.tasks.experiment.explain import EvaluationContext
    from nightrank.tasks.tune.order import FittedOrder
    from nightrank.tasks.tune.variants import RankingVariant

TIMES = 4  # that the queries are cut into folds: one cut alone gives a figure that hangs on its seed
SEGMENT_QUERIES = 20  # judged ones that a segment needs
PRESENT = "present"
FITTED = "fitted"  # a learned order that a fold made


@dataclass(frozen=True, slots=True)
class Segment:
    """What a segment of the log would choose for itself.

    Attributes:
        changes: The keys that would change, with their values.
        gain: nDCG@10 on its queries of what other queries of it choose, against the settings as they are.
    """

    changes: Mapping[str, JsonValue]
    gain: Comparison


@dataclass(frozen=True, slots=True)
class Tuned:
    """What tuning found.

    Attributes:
        release_id: Over whose stores.
        queries: Judged ones.
        folds: How many the queries were cut into, each time.
        tried: How many variants.
        pairs_scored: Pairs that nobody had scored yet.
        present: The values of what is tuned, by key of the settings file.
        chosen: What all queries together choose.
        changes: The keys that change, with their new values.
        by_fold: What the queries outside of each fold choose, fold by fold and time by time.
        optimistic: nDCG@10 of what is chosen, on the very queries that chose it.
        compared_with: The nDCG@10 of what is chosen without a query, on that query, against the settings as they are
            (``present``) and each leg alone; the mean over the times that the queries were cut.
        recall: The recall of the candidates, against that of the present ones, in the same way.
        segments: By name, where the log has any with enough judged queries.
        order: The learned order that was fitted, where that is what is chosen.
    """

    release_id: str
    queries: int
    folds: int
    tried: int
    pairs_scored: int
    present: Mapping[str, JsonValue]
    chosen: Mapping[str, JsonValue]
    changes: Mapping[str, JsonValue]
    by_fold: Sequence[Mapping[str, JsonValue]]
    optimistic: float
    compared_with: Mapping[str, Comparison]
    recall: Comparison
    segments: Mapping[str, Segment] = field(default_factory=dict)
    order: FittedOrder | None = None

    @property
    def gain(self) -> Comparison:
        """What choosing is worth against the settings as they are."""
        return self.compared_with[PRESENT]

    @property
    def recommended(self) -> bool:
        """Whether something would change, and queries that did not choose it prove it better."""
        return bool(self.changes) and self.gain.low > 0.0

    def as_json(self) -> dict[str, JsonValue]:
        """The object of ``tune --json``."""
        by_fold: list[JsonValue] = [dict(values) for values in self.by_fold]
        compared_with: dict[str, JsonValue] = {name: found._asdict() for name, found in self.compared_with.items()}
        return {
            "release_id": self.release_id,
            "queries": self.queries,
            "folds": self.folds,
            "tried": self.tried,
            "pairs_scored": self.pairs_scored,
            "present": dict(self.present),
            "chosen": dict(self.chosen),
            "changes": dict(self.changes),
            "by_fold": by_fold,
            "optimistic": self.optimistic,
            "compared_with": compared_with,
            "recall": self.recall._asdict(),
            "recommended": self.recommended,
            "order": None if self.order is None else self.order.as_json(),
            "segments": {
                name: {"changes": dict(segment.changes), **segment.gain._asdict()}
                for name, segment in self.segments.items()
            },
        }


@stage_task("tune")
def tune_settings(
    context: EvaluationContext,
    *,
    release_id: str | None = None,
    folds: int = 5,
    max_depth: int | None = None,
    scoring: bool = True,
    fields: bool = False,
) -> Tuned:
    """Tune the settings of a evaluation context over a release, on its judged queries.

    Args:
        context: What is tuned, and by which judgments.
        release_id: Of the release; None for the current one.
        folds: How many the queries are cut into.
        max_depth: Candidates that may be reranked, where that is more than the settings rerank.
        scoring: Whether pairs that nobody has scored yet are scored; without it only fusions and depths are tried
            whose candidates all have a score.
        fields: Whether weights of BM25's fields are tuned as well.

    Raises:
        InputError: There is no such release, it was made with other chunks, vectors or terms, or fewer than two
            judged queries are answered; or there is no field to be weighed.
        WorkspaceBusy: Pairs must be scored, and another run holds the workspace.
    """
    with context.experiment(release_id) as experiment:
        search: Search | FieldSearch
        if fields:
            search = FieldSearch(experiment, context.settings, max_depth=max_depth, scoring=scoring)
        else:
            search = Search(experiment, context.settings, max_depth=max_depth, scoring=scoring)
        segments = read_segments(context.settings.queries, base=context.base)
        return tune(search, folds=folds, seed=context.seed, segments=segments)


def tune(search: Search | FieldSearch, *, folds: int, seed: int, segments: Mapping[str, str] | None = None) -> Tuned:
    """As ``tune_settings``, over an experiment that is open.

    Args:
        search: The variants.
        folds: As there.
        seed: Of the folds and of the comparisons.
        segments: Of the log, by query id; None for none.
    """
    generator = np.random.default_rng(seed)
    folds = min(folds, len(set(search.units)))
    cuts = [split for _ in range(TIMES) for split in splits(folds_of(search.units, folds=folds, generator=generator))]
    everything = np.ones(len(search.units), dtype=np.bool_)
    parts = _parts(search.query_ids, segments or {})
    scored = search.prepare([choosing & part for part in (everything, *parts.values()) for choosing in _choosing(cuts)])

    held = _held_out(search, cuts, everything)
    chosen = search.choose(everything)
    others = {PRESENT: search.values(search.present)}
    others |= {leg: search.leg_values(leg) for leg in search.present.fusion.legs}
    return Tuned(
        release_id=search.release_id,
        queries=len(search.units),
        folds=folds,
        tried=search.tried,
        pairs_scored=scored,
        present=search.present.values(),
        chosen=chosen.values(),
        changes=changes(search.present, chosen),
        by_fold=[_told(variant) for variant in held.by_fold],
        optimistic=float(search.values(chosen).mean()),
        compared_with={name: compare_paired(values, held.ndcg, generator=generator) for name, values in others.items()},
        recall=compare_paired(search.recall(search.present), held.recall, generator=generator),
        segments={
            name: Segment(
                changes=changes(search.present, search.choose(part)),
                gain=compare_paired(
                    others[PRESENT][part], _held_out(search, cuts, part).ndcg[part], generator=generator
                ),
            )
            for name, part in parts.items()
        },
        order=chosen.fitted,
    )


class _HeldOut(NamedTuple):
    """What the queries of a part are worth with what others of it choose."""

    ndcg: NDArray[np.float64]  # (n_ids,), 0 outside of the part
    recall: NDArray[np.float64]
    by_fold: list[RankingVariant]


def _held_out(
    search: Search | FieldSearch, cuts: Sequence[tuple[NDArray[np.bool_], NDArray[np.bool_]]], part: NDArray[np.bool_]
) -> _HeldOut:
    ndcg, recall = np.zeros(part.size), np.zeros(part.size)
    by_fold: list[RankingVariant] = []
    for choosing, held_out in cuts:
        variant, measured = search.choose(choosing & part), held_out & part
        by_fold.append(variant)
        ndcg[measured] += search.values(variant)[measured] / TIMES
        recall[measured] += search.recall(variant)[measured] / TIMES
    return _HeldOut(ndcg, recall, by_fold)


def _told(variant: RankingVariant) -> Mapping[str, JsonValue]:
    """A fold's choice; every fold fits an order of its own, which is no file."""
    values = variant.values()
    return values if variant.fitted is None else {**values, "results.order_model": FITTED}


def _choosing(cuts: Sequence[tuple[NDArray[np.bool_], NDArray[np.bool_]]]) -> list[NDArray[np.bool_]]:
    """All queries, and those outside of each fold."""
    return [np.ones(cuts[0][0].size, dtype=np.bool_), *(choosing for choosing, _ in cuts)]


def _parts(query_ids: Sequence[str], segments: Mapping[str, str]) -> dict[str, NDArray[np.bool_]]:
    """The queries of each segment that has enough of them, by name: bool (n_ids,)."""
    of_id = [segments.get(query_id) for query_id in query_ids]
    parts = {name: np.array([each == name for each in of_id]) for name in sorted(set(segments.values()))}
    return {name: part for name, part in parts.items() if part.sum() >= SEGMENT_QUERIES}
