"""The last stages: results are cut and written, the release is committed and published."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from nightrank.storage.errors import reason_of
from nightrank.storage.records import asked_by_people
from nightrank.storage.release.manifest import commit_release, digests_of
from nightrank.storage.release.prune import is_pruned, prune
from nightrank.tasks.evaluate.gaps import SIGNALS, find_gaps
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.snippets.answers import write_answers
from nightrank.tasks.takedown.retract import publish_without_retracted

if TYPE_CHECKING:
    from nightrank.storage.release.files import Candidates, Gaps, Queries, Results, Watched
    from nightrank.storage.release.manifest import Manifest
    from nightrank.storage.workspace.base import Workspace
    from nightrank.tasks.night import Night
    from nightrank.tasks.stages.index import Index
    from nightrank.tasks.stages.report import Reported


@dataclass(frozen=True, slots=True)
class ResultsWritten:
    """The search cache.

    Attributes:
        results: It.
        queries: How many it answers.
        snippets_made: Snippets that were not taken over from the release before.
        gaps: Queries that nothing answers well.
    """

    results: Results
    queries: int
    snippets_made: int
    gaps: Gaps


@stage_task("results")
def write_results(
    night: Night, candidates: Candidates, queries: Queries, index: Index, watched: Watched
) -> ResultsWritten:
    """Cut the candidates to the results and write the search cache, and which queries nothing answers well."""
    table = night.open_chunks(index.vectors.table)
    before = None if night.before is None else night.before.files.snippets
    written = write_answers(night.settings, night.files, candidates, queries, table, before=before)
    scores = candidates.read(["query_key", "rank", *SIGNALS])
    asked = queries.read()
    of_people = asked.filter(pa.array(asked_by_people(asked)))
    gaps = find_gaps(scores, of_people, watched.read(), depth=night.settings.results.depth)
    return ResultsWritten(
        night.files.results, written.queries, written.snippets_made, gaps=night.files.gaps.write(gaps)
    )


@dataclass(frozen=True, slots=True)
class Published:
    """A release that was committed.

    Attributes:
        workspace: Where it is.
        manifest: Its own.
        live_id: Its id where it was made the one that readers see; None where its gates do not let it through.
        warning: What the user should know of that.
    """

    workspace: Workspace
    manifest: Manifest
    live_id: str | None
    warning: str | None = None


@stage_task("publish")
def publish(night: Night, reported: Reported) -> Published:
    """Commit the release and, where every gate lets it through, make it the one that readers see."""
    shutil.rmtree(night.scratch.folder)
    manifest = reported.manifest
    night.open_chunks(manifest.chunk_table).tag(night.release_id)
    commit_release(
        night.workspace, manifest.model_copy(update={"files": digests_of(night.staging)}), staging=night.staging
    )
    if manifest.status != "accepted":
        return Published(night.workspace, manifest, None)
    unfilled = publish_without_retracted(night.workspace, night.release_id, now=night.now)
    warning = f"Answers without documents that were taken down are shorter: {unfilled}" if unfilled else None
    return Published(night.workspace, manifest, night.release_id, warning)


@stage_task("prune")
def prune_unreachable(night: Night, workspace: Workspace, *, only_releases: bool = False) -> str | None:
    """Remove what no kept release reaches.

    Args:
        night: The run.
        workspace: With the release that it has added to what is kept, if any.
        only_releases: Whether to look no further where a night before has left no release that is not kept.

    Returns:
        Why that was not finished, where it was not: what is published stays published, and the next night tries again.
    """
    keep = night.settings.retention.keep
    try:
        if only_releases and is_pruned(workspace, keep=keep, own=night.staging):
            return None
        prune(workspace, keep=keep, now=night.now)
    except Exception as error:  # an old release may be damaged in as many ways as there are stores
        return f"The collection was not finished. {reason_of(error)}"
    return None
