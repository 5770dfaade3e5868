"""How a refresh ends: with a new release, or with nothing to do, and what it reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from nightrank.flows.engine.names import name_flow_run, workspace_name
from nightrank.flows.night.artifacts import show_in_prefect
from nightrank.flows.night.export import export
from nightrank.flows.night.notes import note_on_best_stage, notes_on_nothing, notes_on_release
from nightrank.flows.night.summary import Refused, Summary
from nightrank.storage.release.files import ReleaseFiles
from nightrank.tasks.evaluate.ladder import ladder, read_depths, read_timings
from nightrank.tasks.evaluate.single_stages import read_best_stage
from nightrank.tasks.stages.publish import prune_unreachable

if TYPE_CHECKING:
    from collections.abc import Collection

    from nightrank.flows.night.build import Build
    from nightrank.storage.release.manifest import Manifest
    from nightrank.tasks.stages.built import Built
    from nightrank.tasks.stages.publish import Published
    from nightrank.tasks.stages.read import InputsRead

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
    "snippets_made",
    "sparse_texts_encoded",
    "sparse_queries_encoded",
    "sparse_queries_scanned",
    "searches",
)


def nothing_to_do(build: Build, inputs: InputsRead) -> Summary:
    """The summary of a run that found the current release up to date."""
    current = build.night.current
    assert current is not None
    night = build.night
    not_pruned = build.stage(prune_unreachable, night, night.workspace, only_releases=True)
    told = (*notes_on_nothing(build, inputs), *([] if not_pruned is None else [not_pruned]))
    exported = export(build, current.release_id)
    summary = _summary_of_nothing(build, inputs, current, warnings=(*told, *exported))
    _tell(build, summary)
    return summary


def refuse_again(build: Build, inputs: InputsRead, refused: Manifest, *, accept: Collection[str]) -> NoReturn:
    """End a run whose release was made and refused before.

    Args:
        build: The run.
        inputs: What it has read.
        refused: The release that was made from it.
        accept: Names of gates that may fail: not all of those that did.

    Raises:
        Refused: Always.
    """
    gates = [gate.model_copy(update={"accepted": not gate.passed and gate.name in accept}) for gate in refused.gates]
    refused = refused.model_copy(update={"gates": gates})
    summary = _summary_of_nothing(build, inputs, refused, warnings=notes_on_nothing(build, inputs))
    _tell(build, summary)
    raise Refused(summary)


def _summary_of_nothing(build: Build, inputs: InputsRead, manifest: Manifest, *, warnings: tuple[str, ...]) -> Summary:
    """The summary of a run that made no release, for there is one of the very same inputs."""
    nothing, read = dict.fromkeys(COUNTS_OF_WORK, 0), inputs.counts
    bad = {
        "documents_bad": read.documents_bad,
        "documents_retracted": read.documents_retracted,
        "queries_bad": read.queries_bad,
    }
    shown = (ReleaseFiles.depths, ReleaseFiles.single_stages, ReleaseFiles.timings)
    files = ReleaseFiles.of(build.night.workspace, manifest.release_id, only=shown)
    best_stage = read_best_stage(files.single_stages)
    return Summary(
        manifest=manifest,
        published=False,
        changed=False,
        counts=manifest.counts.model_copy(update={**nothing, **bad}),
        seconds=build.total_seconds(),
        warnings=(*warnings, *note_on_best_stage(manifest, best_stage)),
        coverage=inputs.coverage,
        dropped=inputs.dropped,
        account=inputs.account,
        ladder=tuple(ladder(manifest.measures, read_timings(files.timings))),
        depths=tuple(read_depths(files.depths)),
        best_stage=best_stage,
    )


def finish(build: Build, built: Built, published: Published, *, warnings: tuple[str | None, ...]) -> Summary:
    """Tell what came of a new release.

    Args:
        build: The run.
        built: What its stages made.
        published: The release.
        warnings: Of the stages; None where one has nothing to say.

    Raises:
        Refused: A gate does not let it through; the release is kept, marked rejected.
    """
    manifest, files = published.manifest, ReleaseFiles.of(build.night.workspace, published.manifest.release_id)
    best_stage = read_best_stage(files.single_stages)
    inputs = built.inputs
    notes = notes_on_release(inputs, built.account, manifest, best_stage)
    summary = Summary(
        manifest=manifest,
        published=published.live_id is not None,
        changed=True,
        counts=manifest.counts,
        seconds=build.total_seconds(),
        coverage=inputs.coverage,
        dropped=inputs.dropped,
        account=built.account,
        ladder=tuple(ladder(manifest.measures, read_timings(files.timings))),
        depths=tuple(read_depths(files.depths)),
        best_stage=best_stage,
        warnings=(*notes, *(warning for warning in warnings if warning is not None)),
    )
    _tell(build, summary)
    show_in_prefect(summary, workspace=build.night.workspace)
    if summary.refused:
        raise Refused(summary)
    return summary


def _tell(build: Build, summary: Summary) -> None:
    """Say on Prefect's pages what came of the run, in its name and in one line of its log."""
    release_id, counts = summary.manifest.release_id, summary.counts
    outcome = "refused" if summary.refused else "published" if summary.published else "unchanged"
    workspace = workspace_name(build.night.settings.workspace, base=build.night.base)
    name_flow_run(
        workspace,
        release_id,
        outcome,
        log=f"Release {release_id} {outcome}: {counts.documents:,} documents, {counts.chunks:,} chunks "
        f"({counts.chunks_embedded:,} embedded now), {counts.queries:,} queries, {counts.pairs:,} pairs "
        f"({counts.pairs_scored:,} scored now).",
    )
