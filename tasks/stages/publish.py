"""The last stages: results are cut and written, the release is committed and published."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pyarrow.compute as pc
from prefect import task
from prefect.cache_policies import NO_CACHE

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.errors import reason_of
from nightrank.storage.keys import query_key
from nightrank.storage.release.manifest import commit_release, digests_of
from nightrank.storage.release.prune import prune
from nightrank.storage.release.results import write_results_file
from nightrank.tasks.rank.diversity import stored_vectors
from nightrank.tasks.rank.results import DESCRIPTION, cut_results, result_entries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from nightrank.storage.lance.table import ChunkTable
    from nightrank.storage.release.manifest import ChunkTableVersion, Manifest
    from nightrank.tasks.night import Night

QUERIES_HELD = 2000  # queries whose results are in memory at one time


@task(name="results", cache_policy=NO_CACHE)
def write_results(night: Night, version: ChunkTableVersion) -> int:
    """Cut the candidates to the results and write the search cache.

    Returns:
        How many queries it answers.
    """
    table = night.open_chunks(version)
    with Bm25Store.open(night.files.statistics.path) as store:
        return write_results_file(night.files.results.path, _rows(night, store, table), aliases=_aliases(night))


@task(name="publish", cache_policy=NO_CACHE)
def publish(night: Night, manifest: Manifest, *, now: datetime) -> None:
    """Commit the release and, where every gate lets it through, make it the one that readers see."""
    shutil.rmtree(night.scratch.folder)
    version = manifest.chunk_table
    night.open_chunks(version).tag(night.release_id)
    commit_release(
        night.workspace, manifest.model_copy(update={"files": digests_of(night.staging)}), staging=night.staging
    )
    if manifest.status == "accepted":
        night.workspace.publish(night.release_id, now=now)


@task(name="prune", cache_policy=NO_CACHE)
def prune_unreachable(night: Night, *, now: datetime) -> str | None:
    """Remove what no kept release reaches.

    Returns:
        Why that was not finished, where it was not: what is published stays published, and the next night tries again.
    """
    try:
        prune(night.workspace, keep=night.settings.retention.keep, now=now)
    except Exception as error:  # an old release may be damaged in as many ways as there are stores
        return f"The collection was not finished. {reason_of(error)}"
    return None


def _aliases(night: Night) -> Iterator[tuple[str, str]]:
    """The keys of aliases, which the cache answers too, with those of their queries."""
    queries = night.files.queries.read(["query_key", "aliases", "filter"])
    for key, aliases, condition in zip(*(column.to_pylist() for column in queries.columns), strict=True):
        for form in aliases:
            yield query_key(form, condition), key


def _rows(night: Night, store: Bm25Store, table: ChunkTable) -> Iterator[tuple[str, str, str]]:
    """Every query's key, text and results as JSON."""
    settings = night.settings
    queries = night.files.queries.read(["query_key", "text"])
    results = cut_results(
        night.files.candidates.read(),
        candidate_depth=settings.retrieval.candidate_depth,
        settings=settings.results,
        vectors=stored_vectors(table),
    )
    for start in range(0, queries.num_rows, QUERIES_HELD):
        block = queries.slice(start, QUERIES_HELD)
        entries = results.filter(
            pc.is_in(results.column("query_key"), value_set=block.column("query_key").combine_chunks())
        )
        chunks = store.chunks_at(entries.column("chunk_number").to_numpy(), DESCRIPTION)
        by_query = result_entries(entries, chunks, table)
        for key, text in zip(*(column.to_pylist() for column in block.columns), strict=True):
            yield key, text, json.dumps(by_query.get(key, []), ensure_ascii=False)
