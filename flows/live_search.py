"""Live search: both stages now, for any query, on the collection of the current release. Slow, exact, unstored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from storage.bm25_store import Bm25Store
from storage.chunk_table import ChunkTable
from storage.errors import InputError
from storage.keys import normalise_query, query_key
from storage.releases import read_manifest
from storage.search_cache import CachedResults, Result
from storage.workspace import reading
from tasks.analysis import Analyser
from tasks.bm25 import retrieve_bm25
from tasks.dense import all_blocks, retrieve_dense
from tasks.diversity import stored_vectors
from tasks.embedder import Embedder, plan_embedder
from tasks.fusion import fuse
from tasks.reranker import Reranker, plan_reranker
from tasks.reranking import name_candidates, settle_order
from tasks.results import cut_results, result_entries
from tasks.texts import Texts

if TYPE_CHECKING:
    from flows.settings import Configuration


def search_live(configuration: Configuration, query: str) -> CachedResults:
    """The results that a refresh would publish for this query.

    Args:
        configuration: Settings; what they compute must be what the release was made with.
        query: As typed.

    Raises:
        InputError: Nothing is published, or the settings have changed since.
    """
    with reading(configuration.workspace):
        return _search(configuration, query)


def _search(configuration: Configuration, query: str) -> CachedResults:
    settings, base, workspace = configuration.settings, configuration.base, configuration.workspace
    release_id = workspace.require_current()
    manifest = read_manifest(workspace, release_id)
    embedder_plan = plan_embedder(settings.embedder, settings.execution, base=base)
    analyser = Analyser.of(settings.bm25)
    if (embedder_plan.fingerprint, analyser.fingerprint()) != (manifest.inputs.embedder, manifest.inputs.analysis):
        message = f"The embedder or the analysis in the settings is not what the release {release_id} was made with."
        raise InputError(message, remedy="Run `nightrank refresh` first.")
    reranker_plan = plan_reranker(settings.reranker, settings.execution, base=base)
    execution, depth = settings.execution, settings.retrieval.candidate_depth
    text, key = normalise_query(query), query_key(query)
    table = ChunkTable.of_release(workspace.lance, name=manifest.chunk_table.name, release_id=release_id)
    embedder = Embedder(embedder_plan, batch_tokens=execution.batch_tokens, threads=execution.threads)
    with Bm25Store.open(workspace.release(release_id) / "bm25.duckdb") as store:
        chunks = store.chunks(["chunk_id", "chunk_hash", "document_id", "title", "body_start", "metadata"])
        bm25 = retrieve_bm25(store, [text], settings=settings.bm25, analyser=analyser, depth=depth)
    said = Texts.of(chunks.column("chunk_hash"))
    dense = retrieve_dense(embedder.embed_queries([text]), all_blocks(table, said, queries=1), said, depth=depth)
    fused = fuse(bm25, dense, settings=settings.retrieval)
    candidates = name_candidates(fused, pa.table({"query_key": [key]}), chunks)
    pair_scores = np.full(candidates.num_rows, np.nan, dtype=np.float32)
    if reranker_plan is not None and candidates.num_rows:
        reranker = Reranker(reranker_plan, batch_tokens=execution.batch_tokens, threads=execution.threads)
        asked = np.flatnonzero(fused.column("fused_rank").to_numpy() <= min(settings.reranker.depth, depth))
        hashes = candidates.column("chunk_hash").take(pa.array(asked)).to_pylist()
        rows = table.rows(pa.array(sorted(set(hashes))), ["text", "tokens"]).to_pylist()
        found = {row["chunk_hash"]: row for row in rows}
        texts = [found[chunk_hash]["text"] for chunk_hash in hashes]
        tokens = np.array([found[chunk_hash]["tokens"] for chunk_hash in hashes])
        pair_scores[asked] = reranker.score([text] * len(texts), texts, tokens)
    weight = 0.0 if reranker_plan is None else reranker_plan.weight
    ranked = settle_order(candidates, fused, pair_scores, weight=weight)
    results = cut_results(ranked, candidate_depth=depth, settings=settings.results, vectors=stored_vectors(table))
    entries = result_entries(results, chunks, table).get(key, [])
    return CachedResults(text, release_id, tuple(Result(**entry) for entry in entries))  # type: ignore[arg-type]  # fields of Result
