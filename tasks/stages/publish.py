"""The last stages: results are cut and written, the release is committed and published."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.errors import reason_of
from nightrank.storage.keys import query_key
from nightrank.storage.records import asked_by_people
from nightrank.storage.release.manifest import commit_release, digests_of
from nightrank.storage.release.prune import prune
from nightrank.storage.release.results_file import write_results_file
from nightrank.tasks.evaluate.gaps import SIGNALS, find_gaps
from nightrank.tasks.query_log.suggest import may_suggest
from nightrank.tasks.rank.diversity import stored_vectors
from nightrank.tasks.rank.results import cut_results
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.snippets.answers import answer_rows
from nightrank.tasks.takedown.retract import publish_without_retracted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nightrank.storage.lance.table import ChunkTable
    from nightrank.storage.release.files import Candidates, Gaps, Queries, Results, Watched
    from nightrank.storage.release.manifest import Manifest
    from nightrank.storage.workspace.base import Workspace
    from nightrank.tasks.night import Night
    from nightrank.tasks.settings.whole import Settings
    from nightrank.tasks.stages.index import Index
    from nightrank.tasks.stages.report import Reported

QUERIES_HELD = 2000  # queries whose results are in memory at one time


@dataclass(frozen=True, slots=True)
class ResultsWritten:
    """The search cache.

    Attributes:
        results: It.
        queries: How many it answers.
        gaps: Those of them that nothing answers well.
    """

    results: Results
    queries: int
    gaps: Gaps


@stage_task("results")
def write_results(
    night: Night, candidates: Candidates, queries: Queries, index: Index, watched: Watched
) -> ResultsWritten:
    """Cut the candidates to the results and write the search cache, and which queries nothing answers well."""
    table, results, asked = night.open_chunks(index.vectors.table), night.files.results, queries.read()
    with Bm25Store.open(index.statistics.path) as store:
        rows = _rows(night.settings, candidates, queries, store, table)
        suggests = _suggests(asked) if night.settings.results.suggestions else None
        count = write_results_file(results.path, rows, aliases=_aliases(queries), suggests=suggests)
    scores = candidates.read(["query_key", "rank", *SIGNALS])
    of_people = asked.filter(pa.array(asked_by_people(asked)))
    gaps = find_gaps(scores, of_people, watched.read(), depth=night.settings.results.depth)
    return ResultsWritten(results, count, night.files.gaps.write(gaps))


def _suggests(asked: pa.Table) -> Callable[[str], bool]:
    """Says whether a text is suggested: one that people asked, where that may be told."""
    unasked = frozenset(asked.filter(pa.array(~asked_by_people(asked))).column("text").to_pylist())
    return lambda text: text not in unasked and may_suggest(text)


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
def prune_unreachable(night: Night, published: Published) -> str | None:
    """Remove what no kept release reaches.

    Args:
        night: The run.
        published: The release that it has added to what is kept.

    Returns:
        Why that was not finished, where it was not: what is published stays published, and the next night tries again.
    """
    try:
        prune(published.workspace, keep=night.settings.retention.keep, now=night.now)
    except Exception as error:  # an old release may be damaged in as many ways as there are stores
        return f"The collection was not finished. {reason_of(error)}"
    return None


def _aliases(asked: Queries) -> Iterator[tuple[str, str]]:
    """The keys of aliases, which the cache answers too, with those of their queries."""
    queries = asked.read(["query_key", "aliases", "filter"])
    for key, aliases, condition in zip(*(column.to_pylist() for column in queries.columns), strict=True):
        for form in aliases:
            yield query_key(form, condition), key


def _rows(
    settings: Settings, candidates: Candidates, asked: Queries, store: Bm25Store, table: ChunkTable
) -> Iterator[tuple[str, str, str]]:
    """Every query's key, text and results as JSON."""
    queries = asked.read(["query_key", "text"])
    results = cut_results(
        candidates.read(),
        candidate_depth=settings.retrieval.candidate_depth,
        settings=settings.results,
        vectors=stored_vectors(table),
    )
    for start in range(0, queries.num_rows, QUERIES_HELD):
        yield from answer_rows(settings, results, queries.slice(start, QUERIES_HELD), store, table)
