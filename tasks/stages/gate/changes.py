"""What readers would see change, and what that is worth: the gates that compare rankings. It is no stage of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.records import asked_by_people, kind_of
from nightrank.storage.release.compare import former_rankings, paired_rankings
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.whole import whole_file
from nightrank.storage.retracted.answers import open_answers
from nightrank.storage.retracted.listed import read_retracted
from nightrank.tasks.evaluate.measures import named_queries
from nightrank.tasks.gates.drift import (
    overlap_drift_gate,
    quality_drift,
    quality_drift_gate,
    ranking_drifts,
    top1_drift_gate,
)
from nightrank.tasks.gates.judgments import JudgmentCounts, judgments_gate, still_meant
from nightrank.tasks.gates.quality import judged_rankings, judged_share, quality_change, worse_of
from nightrank.tasks.gates.query_names import query_names
from nightrank.tasks.gates.ranking_changes import lost_queries, ranking_changes
from nightrank.tasks.gates.rules import (
    Incomparable,
    empty_gate,
    judged_gate,
    kept_gate,
    non_inferiority_gate,
    overlap_gate,
    top1_gate,
)
from nightrank.tasks.judge.shown import why_advisory
from nightrank.tasks.stages.gate.records import all_candidates, digests_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nightrank.storage.records import Judgment
    from nightrank.storage.release.compare import OpenAnswers
    from nightrank.storage.release.manifest import Gate, Manifest
    from nightrank.tasks.filters.queries import QueryFilters
    from nightrank.tasks.gates.past import Past
    from nightrank.tasks.gates.quality import JudgedRankings
    from nightrank.tasks.gates.ranking_changes import LostQueries, RankingChanges
    from nightrank.tasks.gates.rules import QualityChange
    from nightrank.tasks.night import Night
    from nightrank.tasks.stages.built import Built
    from nightrank.tasks.stages.gate.records import LiveRecords
    from nightrank.tasks.trec.leg import RunFiltered

LIVE_JUDGMENTS = "the judgments of the live release"  # by which a gate says that it went


@dataclass(frozen=True, slots=True)
class New:
    """The new release, its queries, schema QUERIES, with their filters, and the qrels."""

    built: Built
    queries: pa.Table
    filters: QueryFilters
    judgments: Sequence[Judgment]


@dataclass(frozen=True, slots=True)
class Live:
    """What readers see, as its manifest says.

    Attributes:
        answers: Opens the search cache, without what was taken down.
        queries: Schema QUERIES.
    """

    answers: OpenAnswers
    queries: pa.Table


def live_release(night: Night, current: Manifest | None) -> Live | Incomparable:
    """The release that readers see, where it is as its manifest says."""
    if current is None:
        return Incomparable("it is the first release")
    if ReleaseFiles.former_results.name in current.files:
        reason = f"the results of the current release {current.release_id} were made by an earlier version"
        return Incomparable(reason, damaged=True)
    files = ReleaseFiles.of(night.workspace, current.release_id)
    for file, what in ((files.results, "results"), (files.queries, "queries")):
        if whole_file(file, current) is None:
            reason = f"the {what} of the current release {current.release_id} are missing or damaged"
            return Incomparable(reason, damaged=True)
    retracted = read_retracted(night.workspace)
    return Live(partial(open_answers, night.workspace, current.release_id, retracted), files.queries.read())


def change_gates(
    night: Night, live: Live | Incomparable, runs: Sequence[RunFiltered], new: New, kept: LiveRecords
) -> list[Gate]:
    """What readers would see change, and what that is worth on judged queries.

    Where a filter leaves nothing of another engine's leg, the other leg alone answers, and may have nothing either.
    """
    limits, queries, results = night.settings.gates, new.queries, new.built.results.results.path
    judged_live = () if isinstance(kept.judgments, Incomparable) else kept.judgments
    judged = {judgment.query_id for judgment in (*new.judgments, *judged_live)}
    ids_by_key = named_queries(queries, judged)
    query_keys = queries.column("query_key")
    emptied = query_keys.take(pa.array(sorted({query for run in runs for query in run.emptied}), pa.int32()))
    without_chunks = new.filters.letting_nothing_through(query_keys)
    taken_down = read_retracted(night.workspace).documents.keys()
    changes = ranking_changes(
        paired_rankings(live.answers if isinstance(live, Live) else None, results, without=taken_down),
        judged=ids_by_key.keys(),
        persistence=limits.rbo_p,
        unanswerable=without_chunks.union(emptied.to_pylist()),
    )
    quality: QualityChange | Incomparable
    alike: RankingChanges | Incomparable
    former: LostQueries | Incomparable
    if isinstance(live, Incomparable):
        quality = alike = former = live
        rankings, lost = judged_rankings((changes.judged, ids_by_key)), []
    else:
        former_ids = named_queries(live.queries, judged)
        of_documents = live.queries.filter(pa.array(~asked_by_people(live.queries))).column("query_key")
        former = lost_queries(
            former_rankings(live.answers, results, without=taken_down),
            judged=former_ids.keys(),
            left_out=frozenset(of_documents.to_pylist()),
        )
        rankings = judged_rankings((changes.judged, ids_by_key), (former.judged, former_ids))
        lost = query_names(live.queries, former.lost_keys)
        quality = _quality(night, new, rankings, judged_live)
        alike = changes if changes.compared else Incomparable("no query has results in both releases")
    ignore_identical_ids = night.settings.judgments.ignore_identical_ids
    judged_at_10 = judged_share(rankings.after, new.judgments, ignore_identical_ids=ignore_identical_ids)
    judged_now, kind = len({judgment.query_id for judgment in new.judgments}), kind_of(new.judgments)
    least_alike, empty = (query_names(queries, keys) for keys in (changes.least_alike, changes.empty_keys))
    return [
        non_inferiority_gate(quality, margin=bound(limits.margin, off=1.0)),
        overlap_gate(alike, least_alike=least_alike, min_overlap=bound(limits.min_overlap, off=0.0)),
        top1_gate(alike, max_top1_changed=bound(limits.max_top1_changed, off=1.0)),
        kept_gate(former, named=lost, min_kept=bound(limits.min_kept, off=0.0)),
        empty_gate(changes, named=empty, max_empty=bound(limits.max_empty, off=1.0)),
        judged_gate(judged_at_10, queries=judged_now, kind=kind, min_judged=bound(limits.min_judged, off=0.0)),
        judgments_gate(
            new.judgments,
            kept.judgments,
            most=JudgmentCounts.most([of.judged for of in kept.past.held_for("judgments").releases]),
            days=limits.drift_days,
            max_lost=bound(limits.max_judgments_lost, off=1.0),
        ),
        *_drift_gates(night, new, kept.past, rankings.after),
    ]


def _quality(
    night: Night, new: New, rankings: JudgedRankings, judged_live: Sequence[Judgment]
) -> QualityChange | Incomparable:
    """Both releases by the judgments of today, and by those of the live release, whichever says worse.

    By those of the live release alone where they are people's, and today's a model's that only advise.
    """

    def by(judgments: Sequence[Judgment], whose: str = "") -> QualityChange | Incomparable:
        return quality_change(
            rankings,
            judgments,
            measure=night.settings.gates.measure,
            confidence=night.settings.gates.confidence,
            ignore_identical_ids=night.settings.judgments.ignore_identical_ids,
            generator=np.random.default_rng(new.built.inputs.seed),
            judged_by=whose,
        )

    today = by(new.judgments)
    documents = digests_of(new.built, [judgment.document_id for judgment in judged_live])
    meant = still_meant(judged_live, new.judgments, answered=rankings.after.keys(), documents=documents.keys())
    if kind_of(judged_live) == "people" and advise_alone(night, new.judgments):
        return by(meant, LIVE_JUDGMENTS) if meant else Incomparable("nothing that people judged is left to compare")
    if not meant or set(meant) == set(new.judgments):
        return today
    return worse_of(today, by(meant, LIVE_JUDGMENTS))


def advise_alone(night: Night, judgments: Sequence[Judgment]) -> bool:
    """Whether no gate rests on the judgments of today: a model judged, and people have not been shown to agree."""
    qrels = night.settings.judgments.qrels
    return kind_of(judgments) == "model" and qrels is not None and bool(why_advisory(night.base / qrels))


def _drift_gates(night: Night, new: New, past: Past, judged: Mapping[str, Sequence[str]]) -> list[Gate]:
    """The new release against the best of some days.

    Args:
        night: The run.
        new: The new release.
        past: The releases of these days.
        judged: What the new release answers judged queries with, by query id.
    """
    limits, days = night.settings.gates, night.settings.gates.drift_days
    by_quality, by_rankings = past.held_for("quality"), past.held_for("rankings")
    then = {id_ for held in (by_quality, by_rankings) for id_ in _documents_in(held.rankings)}
    digests = digests_of(new.built, sorted(then | {judgment.document_id for judgment in new.judgments}))
    quality = quality_drift(
        by_quality,
        judged,
        new.judgments,
        documents=digests.keys(),
        measure=limits.measure,
        confidence=limits.confidence,
        ignore_identical_ids=night.settings.judgments.ignore_identical_ids,
        generator=np.random.default_rng(new.built.inputs.seed),
    )
    keys = by_rankings.rankings.column("query_key").unique().to_pylist()
    drifts = ranking_drifts(by_rankings, all_candidates(new.built, keys), digests, persistence=limits.rbo_p)
    return [
        quality_drift_gate(quality, days=days, max_drift=bound(limits.max_drift, off=1.0)),
        overlap_drift_gate(drifts, days=days, min_overlap=bound(limits.min_overlap, off=0.0)),
        top1_drift_gate(drifts, days=days, max_top1_changed=bound(limits.max_top1_changed, off=1.0)),
    ]


def _documents_in(rankings: pa.Table) -> list[str]:
    ids: list[str] = pc.list_flatten(rankings.column("document_ids")).unique().to_pylist()
    return ids


def bound(wanted: float | None, *, off: float) -> float:
    """A bound; where it is switched off, one that everything keeps to: its gate says what it saw, and passes."""
    return off if wanted is None else wanted
