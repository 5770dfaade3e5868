"""What surrounds the stages of a night: its plan, its clock, whether it is needed, and its end."""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

from nightrank.flows.engine.names import if_reachable, name_flow_run, workspace_name
from nightrank.flows.night.artifacts import show_in_prefect
from nightrank.flows.night.lineage import making_release
from nightrank.flows.night.summary import Refused, Summary
from nightrank.flows.operate.export import export_published
from nightrank.flows.settings import portable
from nightrank.flows.workers.pool import sharding
from nightrank.storage.keys import fingerprint
from nightrank.storage.release.documents import changes_between
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import (
    Counts,
    Inputs,
    Manifest,
    current_manifest,
    new_release_id,
    readable_and_damaged,
    settings_as_json,
)
from nightrank.storage.release.whole import is_there, whole_file
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.chunk.documents import chunking_fingerprint
from nightrank.tasks.counts import spending_cap
from nightrank.tasks.embed.encoder import plan_embedder
from nightrank.tasks.embed.lazy import LazyEmbedder
from nightrank.tasks.evaluate.ladder import ladder, read_depths, read_timings
from nightrank.tasks.evaluate.measures import parse_measure
from nightrank.tasks.gates.verdicts import source_age_gate
from nightrank.tasks.night import BUILT_UPON, Before, Night
from nightrank.tasks.query_log.budget import measured_pairs_per_second
from nightrank.tasks.read.age import source_age_days
from nightrank.tasks.rerank.find import plan_reranker
from nightrank.tasks.rerank.hosted.key import without_key_place
from nightrank.tasks.rerank.lazy import LazyReranker
from nightrank.tasks.stages.publish import prune_unreachable, publish
from nightrank.tasks.stages.report import report_night

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from prefect import Task

    from nightrank.flows.settings import Configuration
    from nightrank.storage.release.files import Queries
    from nightrank.storage.workspace.base import Workspace
    from nightrank.tasks.embed.encoder import EmbedderPlan
    from nightrank.tasks.rerank.hosted.plan import HostedPlan
    from nightrank.tasks.rerank.pairs import PairsScored
    from nightrank.tasks.rerank.plan import RerankerPlan
    from nightrank.tasks.settings.file import Settings
    from nightrank.tasks.stages.gate import GateOutcome
    from nightrank.tasks.stages.index import ChunksEmbedded
    from nightrank.tasks.stages.read import InputsRead
    from nightrank.tasks.stages.retrieve import QueriesEmbedded

T = TypeVar("T")

# Counts that are 0 where there was nothing to do.
COUNTS_OF_WORK = (
    "documents_added",
    "documents_edited",
    "documents_metadata",
    "documents_removed",
    "chunks_embedded",
    "vectors_checked",
    "postings_written",
    "queries_embedded",
    "queries_scanned",
    "pairs_scored",
    "scores_checked",
    "searches",
)

MOST_SCREENED = 0.5  # of a log's traffic; with more it is likelier that a rule is wrong than that the log is

# Raise it when a stage comes to compute something else from the same inputs: then everything is made from nothing.
PIPELINE = "4"


@dataclass(frozen=True, slots=True)
class Build:
    """One run: the night as stages see it, its models, what is live, and the clock."""

    night: Night
    embedder: LazyEmbedder
    reranker: LazyReranker | None
    analyser: Analyser
    current: Manifest | None
    now: datetime
    started: float
    seconds: dict[str, float] = field(default_factory=dict)

    def stage(self, task: Task[..., T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401 (as the task takes them)
        """Run a stage and note how long it took, in seconds."""
        start = time.perf_counter()
        outcome: T = task(*args, **kwargs)
        self.seconds[task.name] = time.perf_counter() - start
        return outcome

    def report(self, summary: Summary) -> None:
        """Say on Prefect's pages what came of the run, in its name and in one line of its log."""
        release_id, counts = summary.manifest.release_id, summary.counts
        outcome = "unchanged" if not summary.changed else "published" if summary.published else "refused"
        workspace = workspace_name(self.night.settings.workspace, base=self.night.base)
        name_flow_run(
            workspace,
            release_id,
            outcome,
            log=f"Release {release_id} {outcome}: {counts.documents:,} documents, {counts.chunks:,} chunks "
            f"({counts.chunks_embedded:,} embedded now), {counts.queries:,} queries, {counts.pairs:,} pairs "
            f"({counts.pairs_scored:,} scored now).",
        )

    def export(self, release_id: str) -> tuple[str, ...]:
        """Export the published release as the settings say; what the user should know of it."""
        if not self.night.settings.export.to:
            return ()
        start = time.perf_counter()
        warnings = export_published(self.night, release_id, now=self.now)
        self.seconds["export"] = time.perf_counter() - start
        return warnings

    def inputs_of(self, read: InputsRead) -> Inputs:
        """The keys of everything that decides the release."""
        settings, embedder = self.night.settings, self.embedder.plan
        plan = None if self.reranker is None else self.reranker.plan
        runs = {run.leg: run.key for run in read.runs}
        return Inputs(
            documents=read.documents_key,
            queries=read.queries_key,
            judgments=read.judgments_key,
            settings=fingerprint(portable(settings, self.night.workspace).what() | ({"runs": runs} if runs else {})),
            chunking=chunking_fingerprint(settings.chunking, embedder),
            embedder=embedder.fingerprint,
            reranker="none" if plan is None else plan.key,
            analysis=self.analyser.fingerprint(),
            pipeline=PIPELINE,
        )

    def is_current(self, read: InputsRead) -> bool:
        """Whether the current release was made from the very same inputs, lacks no score, can be read, and is there."""
        return (
            self.current is not None
            and self.current.inputs == self.inputs_of(read)
            and self.current.counts.pairs_left == 0
            and ReleaseFiles.results.name in self.current.files
            and is_there(self.night.workspace, self.current)
        )

    def total_seconds(self) -> dict[str, float]:
        """Seconds by stage, with the total first."""
        return {"total": time.perf_counter() - self.started, **self.seconds}


@dataclass(frozen=True, slots=True)
class Work:
    """What the stages did, in their order."""

    chunks: int
    embedded: ChunksEmbedded
    postings: int
    queries: QueriesEmbedded
    scanned: int
    pairs: PairsScored


@contextmanager
def building(configuration: Configuration, *, now: datetime) -> Iterator[Build]:
    """Plan a run and give it a staging folder, which goes unless the run has committed it."""
    settings, base, workspace = configuration.settings, configuration.base, configuration.workspace
    started = time.perf_counter()
    parse_measure(settings.gates.measure)  # a name that nobody knows is told before the night's work, not after it
    embedder = plan_embedder(settings.embedder, settings.execution, base=base)
    reranker = plan_reranker(settings.reranker, settings.execution, base=base)
    current = current_manifest(workspace)
    release_id = new_release_id(now)
    seed = int(fingerprint(release_id)[:8], 16)
    night = Night(
        settings=settings,
        base=base,
        workspace=workspace,
        release_id=release_id,
        before=None if current is None else _built_upon(current, workspace, settings, embedder, reranker),
        seed=seed,
        answered=None if current is None else _answered(current, workspace, settings),
    )
    night.staging.mkdir(parents=True)
    try:
        with sharding(settings.execution, night.shards) as cut:
            yield Build(
                night=night,
                embedder=LazyEmbedder(embedder, settings, seed=seed, sharding=cut),
                reranker=None if reranker is None else LazyReranker(reranker, settings, sharding=cut),
                analyser=Analyser.of(settings.bm25),
                current=current,
                now=now,
                started=started,
            )
    finally:
        shutil.rmtree(night.staging, ignore_errors=True)


def nothing_to_do(build: Build, read: InputsRead) -> Summary:
    """The summary of a run that found the current release up to date."""
    assert build.current is not None
    nothing = dict.fromkeys(COUNTS_OF_WORK, 0)
    bad = {"documents_bad": read.documents_bad, "queries_bad": read.queries_bad}
    counts = build.current.counts.model_copy(update={**nothing, **bad})
    shown = (ReleaseFiles.depths, ReleaseFiles.timings)
    files = ReleaseFiles.of(build.night.workspace, build.current.release_id, only=shown)
    exported = build.export(build.current.release_id)
    summary = Summary(
        manifest=build.current,
        published=False,
        changed=False,
        counts=counts,
        seconds=build.total_seconds(),
        warnings=(*_much_screened(read), *_of_external_runs(read), *_stale_source(build), *exported),
        coverage=read.coverage,
        dropped=read.dropped,
        ladder=tuple(ladder(build.current.measures, read_timings(files.timings))),
        depths=tuple(read_depths(files.depths)),
    )
    build.report(summary)
    return summary


def finish(
    build: Build, read: InputsRead, work: Work, *, measures: dict[str, dict[str, float]], asked: GateOutcome
) -> Summary:
    """Commit the release, publish it where its gates let it through, prune what no kept one reaches, export, tell.

    Raises:
        Refused: A gate does not let it through; the release is kept, marked rejected.
    """
    night = build.night
    before = None if night.before is None else night.before.files.documents.path
    changes = changes_between(before, night.files.documents.path)
    embedded, queries, pairs = work.embedded, work.queries, work.pairs
    manifest = Manifest(
        release_id=night.release_id,
        created_at=build.now,
        status="accepted" if all(gate.lets_through for gate in asked.gates) else "rejected",
        previous=None if build.current is None else build.current.release_id,
        nightrank=version("nightrank"),
        inputs=build.inputs_of(read),
        settings=settings_as_json(without_key_place(portable(night.settings, night.workspace))),
        chunk_table=embedded.table,
        counts=Counts(
            documents=read.documents,
            documents_added=changes.added,
            documents_edited=changes.edited,
            documents_metadata=changes.metadata,
            documents_removed=changes.removed,
            documents_bad=read.documents_bad,
            chunks=work.chunks,
            texts=embedded.texts,
            chunks_embedded=embedded.embedded,
            vectors_checked=queries.checked,
            postings_written=work.postings,
            queries=read.queries,
            queries_bad=read.queries_bad,
            queries_judged=read.queries_judged,
            queries_embedded=queries.embedded,
            queries_scanned=work.scanned,
            pairs=pairs.pairs,
            pairs_scored=pairs.scored,
            scores_checked=pairs.checked,
            pairs_left=pairs.left,
            queries_left=pairs.queries_left,
            searches=pairs.searches,
        ),
        seconds=build.total_seconds(),
        measures=measures,
        gates=asked.gates,
        files={},
    )
    not_reported = build.stage(report_night, night, manifest, current=build.current)
    build.stage(making_release(publish, night, manifest), night, manifest, now=build.now)
    files = ReleaseFiles.of(night.workspace, night.release_id)
    not_pruned = build.stage(prune_unreachable, night, now=build.now)
    exported = build.export(night.release_id) if manifest.status == "accepted" else ()
    summary = Summary(
        manifest=manifest,
        published=manifest.status == "accepted",
        changed=True,
        counts=manifest.counts,
        seconds=build.total_seconds(),
        coverage=read.coverage,
        dropped=read.dropped,
        ladder=tuple(ladder(measures, read_timings(files.timings))),
        depths=tuple(read_depths(files.depths)),
        warnings=_warnings(read, spending_cap(manifest.counts), *asked.warnings, not_reported, not_pruned, *exported),
    )
    build.report(summary)
    with if_reachable():
        show_in_prefect(summary, workspace=night.workspace)
    if summary.refused:
        raise Refused(summary)
    return summary


def _built_upon(
    current: Manifest,
    workspace: Workspace,
    settings: Settings,
    embedder: EmbedderPlan,
    reranker: RerankerPlan | HostedPlan | None,
) -> Before | None:
    inputs = current.inputs
    measured = None
    if reranker is not None and settings.queries.budget_seconds is not None:
        manifests, _ = readable_and_damaged(workspace)
        measured = measured_pairs_per_second(manifests, reranker=reranker.fingerprint)
    before = Before(
        files=ReleaseFiles.of(workspace, current.release_id, only=BUILT_UPON),
        same_chunking=inputs.chunking == chunking_fingerprint(settings.chunking, embedder),
        same_embedder=inputs.embedder == embedder.fingerprint,
        pairs_per_second=measured,
    )
    return before if inputs.pipeline == PIPELINE and before.is_whole(current.files) else None


def _answered(current: Manifest, workspace: Workspace, settings: Settings) -> Queries | None:
    """What is live stays answered whatever a run builds upon, so this asks for no model and no release before."""
    if settings.queries.budget_seconds is None:
        return None
    return whole_file(ReleaseFiles.of(workspace, current.release_id, only=[ReleaseFiles.queries]).queries, current)


def _warnings(read: InputsRead, *others: str | None) -> tuple[str, ...]:
    unknown = f"{read.judgments_unknown} judged queries are not among the queries of the release; each scores 0."
    warnings = (
        unknown if read.judgments_unknown else None,
        *_much_screened(read),
        *_of_external_runs(read),
        *others,
    )
    return tuple(warning for warning in warnings if warning is not None)


def _much_screened(read: InputsRead) -> tuple[str, ...]:
    if read.screened <= MOST_SCREENED:
        return ()
    rules = "[queries].max_per_minute, robot_agents and drop_list"
    return (f"{read.screened:.0%} of the log's traffic was taken for robots' or was on the drop list: check {rules}.",)


def _of_external_runs(read: InputsRead) -> tuple[str, ...]:
    return tuple(warning for run in read.runs for warning in run.warnings(queries=read.queries))


def _stale_source(build: Build) -> tuple[str, ...]:
    """A night that finds nothing to do asks no gate, and is what a source that is never delivered looks like."""
    settings = build.night.settings
    if settings.gates.max_source_age_days is None:
        return ()
    days = source_age_days(settings.documents.source, base=build.night.base, now=build.now)
    if days is None:
        return ()
    gate = source_age_gate(days, max_days=settings.gates.max_source_age_days)
    return () if gate.passed else (f"The source may be stale: {gate.reason}.",)
