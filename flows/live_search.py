"""Live search: both stages now, for any query, on the collection of the current release. Slow, exact, unstored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.bm25_store import Bm25Store
from storage.chunk_table import ChunkTable
from storage.errors import InputError
from storage.keys import normalise_query, query_key
from storage.releases import read_manifest
from storage.search_cache import CachedResults, Result, condition_of
from storage.workspace import reading
from tasks.analysis import Analyser
from tasks.diversity import stored_vectors
from tasks.embedder import Embedder, plan_embedder
from tasks.live import LiveSearch
from tasks.on_demand import RerankerOnDemand
from tasks.reranker import plan_reranker
from tasks.results import cut_results, result_entries

if TYPE_CHECKING:
    from flows.settings import Configuration
    from storage.records import JsonValue


def search_live(configuration: Configuration, query: str, *, filter_by: JsonValue = None) -> CachedResults:
    """The results that a refresh would publish for this query.

    Args:
        configuration: Settings; what they compute must be what the release was made with.
        query: As typed.
        filter_by: Its filter, as ``storage.filters`` has it.

    Raises:
        InputError: Nothing is published, the settings have changed since, or the filter cannot be applied.
    """
    condition = condition_of(filter_by)
    with reading(configuration.workspace):
        return _search(configuration, query, condition)


def _search(configuration: Configuration, query: str, condition: str | None) -> CachedResults:
    settings, base, workspace = configuration.settings, configuration.base, configuration.workspace
    release_id = workspace.require_current()
    manifest = read_manifest(workspace, release_id)
    embedder_plan = plan_embedder(settings.embedder, settings.execution, base=base)
    analysis = Analyser.of(settings.bm25).fingerprint()
    if (embedder_plan.fingerprint, analysis) != (manifest.inputs.embedder, manifest.inputs.analysis):
        message = f"The embedder or the analysis in the settings is not what the release {release_id} was made with."
        raise InputError(message, remedy="Run `nightrank refresh` first.")
    reranker_plan = plan_reranker(settings.reranker, settings.execution, base=base)
    table = ChunkTable.of_release(workspace.lance, name=manifest.chunk_table.name, release_id=release_id)
    batch_tokens, threads = settings.execution.batch_tokens, settings.execution.threads
    embedder = Embedder(embedder_plan, batch_tokens=batch_tokens, threads=threads)
    reranker = None if reranker_plan is None else RerankerOnDemand(reranker_plan, settings).load()
    text, key = normalise_query(query), query_key(query)
    with Bm25Store.open(workspace.release(release_id) / "bm25.duckdb") as store:
        live = LiveSearch.of(settings, store, table, embedder=embedder, reranker=reranker)
        allowed = live.allowed(condition)
        ranked = live.reranked(text, live.fused(live.bm25(text, allowed), live.dense(text, allowed)))
    results = cut_results(
        ranked,
        candidate_depth=settings.retrieval.candidate_depth,
        settings=settings.results,
        vectors=stored_vectors(table),
    )
    entries = result_entries(results, live.chunks, table).get(key, [])
    found = tuple(Result(**entry) for entry in entries)  # type: ignore[arg-type]  # fields of Result
    return CachedResults(text, release_id, found, condition)
