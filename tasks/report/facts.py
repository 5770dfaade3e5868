"""Everything that the report of a release says, gathered from its manifest, its files and the release before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.release.near_record import read_near
from nightrank.tasks.counts import memo_use, spending_cap
from nightrank.tasks.embed.account import warnings_of_embedder
from nightrank.tasks.evaluate.ladder import ladder, read_depths, read_timings
from nightrank.tasks.evaluate.single_stages import read_best_stage
from nightrank.tasks.read.account import of_rows
from nightrank.tasks.read.told import warnings_of
from nightrank.tasks.report.changes import changed_inputs, changed_settings, changed_version, counts_beside
from nightrank.tasks.report.queries import query_stories
from nightrank.tasks.report.release import MAIN_STAGE, ReleaseRead, rows_of
from nightrank.tasks.report.sections import (
    bad_rows,
    comparison_rows,
    content_gaps,
    coverage_points,
    dropped,
    follow_documents,
    stage_seconds,
    stages_beside,
)
from nightrank.tasks.report.trained import trained_models

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nightrank.storage.release.evaluation import Timings
    from nightrank.storage.release.files import FileReference
    from nightrank.storage.release.manifest import Manifest
    from nightrank.storage.release.near_record import NearRecord
    from nightrank.tasks.counts import MemoUse
    from nightrank.tasks.evaluate.ladder import LadderStage
    from nightrank.tasks.evaluate.single_stages import BestStage
    from nightrank.tasks.query_log.dropped import Dropped
    from nightrank.tasks.read.account import Entry
    from nightrank.tasks.report.changes import Change, Count
    from nightrank.tasks.report.queries import Stories
    from nightrank.tasks.report.sections import BadRows, Compared, ContentGap, CoveragePoint, Losses, StageSeconds
    from nightrank.tasks.report.trained import TrainedModel


@dataclass(frozen=True, slots=True)
class Missing:
    """A section without data: why, and what to set."""

    reason: str


@dataclass(frozen=True, slots=True)
class ReportedChanges:
    """What differs from the release before."""

    made_with: Sequence[Change]  # the version of Nightrank
    inputs: Sequence[Change]
    settings: Sequence[Change]


@dataclass(frozen=True, slots=True)
class Ladder:
    """The measured stages.

    Attributes:
        stages: Lowest first.
        beside: Stages that are no stages.
    """

    stages: Sequence[LadderStage]
    beside: Sequence[LadderStage]
    timings: Timings | None


@dataclass(frozen=True, slots=True)
class Report:
    """All facts of a report; a section is what it says, or why it says nothing.

    Attributes:
        measure: The one that headline and plots speak of; None where nothing was measured.
        score: Of the published results; None where nothing was measured.
        known_items: What each stage is worth by known items, beside judgments; none without.
        diversity: Diverse results against the final order's; none where they are not diversified.
        score_before: Of those of the release before, as its own run measured them.
        headline: The comparison of the published results; None where there was none.
        best_stage: A single stage that is better than the published order beyond chance; None where none is.
        account: What the inputs were taken for, and what of them was left out.
        told: What of that looks like a mistake.
        near: What near answers may lose, and what they add; None where they are off.
        spending_cap: What a cap on a hosted reranker left out; None where it left out nothing.
    """

    manifest: Manifest
    previous: Manifest | None
    measure: str | None
    score: float | None
    score_before: float | None
    headline: Compared | None
    best_stage: BestStage | None
    counts: Sequence[Count]
    changes: ReportedChanges | Missing
    ladder: Ladder | Missing
    known_items: Sequence[LadderStage]
    depths: Sequence[tuple[int, Mapping[str, float]]] | Missing
    diversity: Sequence[Compared]
    coverage: Sequence[CoveragePoint] | Missing
    gaps: Sequence[ContentGap] | Missing
    near: NearRecord | None
    comparison: Sequence[Compared] | Missing
    queries: Stories | Missing
    losses: Losses | Missing
    trained: Sequence[TrainedModel] | Missing
    seconds: Sequence[StageSeconds]
    memos: Mapping[str, MemoUse]
    spending_cap: str | None
    dropped: Sequence[Dropped] | Missing
    bad_rows: Sequence[BadRows] | Missing
    account: Sequence[Entry] | Missing
    told: Sequence[str]


UNMEASURED = Missing("Nothing was measured: name judgments as `qrels` in [judgments].")
UNTRAINED = Missing(
    "No model here was trained in this workspace: `nightrank train` makes one of your own pairs or clicks."
)
FIRST = Missing("This is the first release: there is nothing to compare it with.")


def gather_facts(folder: Path, manifest: Manifest, previous: tuple[Path, Manifest] | None, *, models: Path) -> Report:
    """The facts of a report.

    Args:
        folder: Where the release's files are.
        manifest: Of the release.
        previous: The folder and the manifest of the release before, where it is still there.
        models: The folder of trained models.
    """
    release = ReleaseRead(folder, manifest)
    before = None if previous is None else ReleaseRead(*previous)
    measure = release.measure
    comparison = _comparison(release, before)
    account = _account(release)
    losses = _losses(release, measure)
    return Report(
        manifest=manifest,
        previous=None if before is None else before.manifest,
        measure=measure,
        score=_score(release, measure),
        score_before=None if before is None else _score(before, measure),
        headline=_headline(comparison, measure),
        best_stage=read_best_stage(release.files.single_stages),
        counts=counts_beside(None if before is None else before.manifest.counts, manifest.counts),
        changes=_changes(manifest, before),
        ladder=_ladder(release),
        known_items=_known_items(release),
        depths=_depths(release),
        diversity=_diversity(release),
        coverage=_coverage(release),
        gaps=_gaps(release),
        near=read_near(release.files.near),
        comparison=comparison,
        queries=_queries(release, before, losses, measure),
        losses=losses,
        trained=trained_models(manifest.settings, models) or UNTRAINED,
        seconds=stage_seconds(manifest.seconds, {} if before is None else before.manifest.seconds),
        memos=memo_use(manifest.counts),
        spending_cap=spending_cap(manifest.counts),
        dropped=_dropped(release),
        bad_rows=_bad_rows(release),
        account=account or _unkept(release.files.account),
        told=(*warnings_of(account), *warnings_of_embedder(account)),
    )


def _unkept(file: FileReference) -> Missing:
    return Missing(
        f"{file.path.name} is empty, or not there, as in releases of earlier versions: there is nothing to show."
    )


def _without_previous(manifest: Manifest) -> Missing:
    if manifest.previous is None:
        return FIRST
    return Missing(
        f"The release before, {manifest.previous}, cannot be read any more. Raise `keep` in [retention] to keep more."
    )


def _score(release: ReleaseRead, measure: str | None) -> float | None:
    return None if measure is None else release.manifest.measures.get(MAIN_STAGE, {}).get(measure)


def _headline(comparison: Sequence[Compared] | Missing, measure: str | None) -> Compared | None:
    rows = () if isinstance(comparison, Missing) else comparison
    return next((row for row in rows if (row.stage, row.measure) == (MAIN_STAGE, measure)), None)


def _changes(manifest: Manifest, before: ReleaseRead | None) -> ReportedChanges | Missing:
    if before is None:
        return _without_previous(manifest)
    return ReportedChanges(
        made_with=changed_version(before.manifest, manifest),
        inputs=changed_inputs(before.manifest.inputs, manifest.inputs),
        settings=changed_settings(before.manifest.settings, manifest.settings),
    )


def _ladder(release: ReleaseRead) -> Ladder | Missing:
    means = release.manifest.measures
    if not means:
        return UNMEASURED
    timings = read_timings(release.files.timings)
    return Ladder(ladder(means, timings), stages_beside(means), timings)


def _known_items(release: ReleaseRead) -> Sequence[LadderStage]:
    known = release.manifest.known_items
    return [] if known is None else [*ladder(known.measures, None), *stages_beside(known.measures)]


def _depths(release: ReleaseRead) -> Sequence[tuple[int, Mapping[str, float]]] | Missing:
    if release.measure is None:
        return UNMEASURED
    if release.manifest.inputs.reranker == "none":
        return Missing("Nothing was reranked: name a `model` in [reranker].")
    return read_depths(release.files.depths) or _unkept(release.files.depths)


def _diversity(release: ReleaseRead) -> Sequence[Compared]:
    table = rows_of(release.files.diversity)
    return [] if table is None else comparison_rows(table)


def _coverage(release: ReleaseRead) -> Sequence[CoveragePoint] | Missing:
    table, asked = rows_of(release.files.coverage), release.manifest.counts
    if table is None and 0 < asked.queries == asked.queries_from_documents:
        return Missing("Nobody's queries are known: without a query log the documents ask.")
    if table is None:
        return Missing(
            "What share of a later day's traffic a budget answers is shown where the query log has a column "
            "`timestamp` and more than one day."
        )
    return coverage_points(table)


def _gaps(release: ReleaseRead) -> Sequence[ContentGap] | Missing:
    table = rows_of(release.files.gaps)
    if table is None:
        return Missing(
            "No query is without a result, none is passed over by those who click elsewhere, and there are too few "
            "queries for a lowest tenth of scores; or an earlier version made the release."
        )
    return content_gaps(table)


def _comparison(release: ReleaseRead, before: ReleaseRead | None) -> Sequence[Compared] | Missing:
    if release.measure is None:
        return UNMEASURED
    if before is None:
        return _without_previous(release.manifest)
    table = rows_of(release.files.comparison)
    if table is None:
        return Missing("The two releases have no judged queries and measures in common, or were not compared.")
    return comparison_rows(table)


def _losses(release: ReleaseRead, measure: str | None) -> Losses | Missing:
    if measure is None:
        return UNMEASURED
    diagnosis, evaluation = rows_of(release.files.diagnosis), rows_of(release.files.evaluation)
    if diagnosis is None or evaluation is None:
        return _unkept(release.files.diagnosis)
    asked = release.report_queries(diagnosis.column("query_id").unique().to_pylist())
    texts = {query_id: query.shown for query_id, query in asked.items()}
    return follow_documents(diagnosis, evaluation, measure=measure, texts=texts)


def _queries(
    release: ReleaseRead, before: ReleaseRead | None, losses: Losses | Missing, measure: str | None
) -> Stories | Missing:
    if measure is None:
        return UNMEASURED
    documents = () if isinstance(losses, Missing) else losses.documents
    shown = query_stories(release, before, documents, measure=measure)
    return shown if shown.shown else _unkept(release.files.evaluation)


def _dropped(release: ReleaseRead) -> Sequence[Dropped] | Missing:
    table = rows_of(release.files.dropped)
    return Missing("No row of the query log was left out by a rule.") if table is None else dropped(table)


def _bad_rows(release: ReleaseRead) -> Sequence[BadRows] | Missing:
    table = rows_of(release.files.bad_rows)
    return Missing("Every row could be read.") if table is None else bad_rows(table)


def _account(release: ReleaseRead) -> tuple[Entry, ...]:
    """What the release keeps of its account; nothing in those of earlier versions."""
    table = rows_of(release.files.account)
    return () if table is None else of_rows(table.to_pylist())
