"""The last stages: results are cut and written, stages are measured, gates are asked, the release is sealed."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from prefect import task
from prefect.cache_policies import NO_CACHE

from storage.bm25_store import Bm25Store
from storage.chunk_files import MissingChunks
from storage.chunk_table import ChunkTable
from storage.releases import digests_of, seal
from storage.search_cache import RESULTS, write_search_cache
from storage.tables import read_table, row_count, write_table
from tasks.analysis import Analyser
from tasks.bm25_audit import audit_bm25
from tasks.gates import bm25_gate, integrity_gate
from tasks.measures import evaluate_stages, means
from tasks.ranking import best_of_each
from tasks.reading import judgments_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from storage.releases import ChunkTableVersion, Gate, Manifest
    from tasks.night import Night

QUERIES_HELD = 2000  # queries whose results are in memory at one time
AUDITED_SCORES = 200


@task(name="results", cache_policy=NO_CACHE)
def write_results(night: Night, version: ChunkTableVersion) -> int:
    """Cut the candidates to the results and write the search cache.

    Returns:
        How many queries it answers.
    """
    table = ChunkTable.open(night.workspace.lance, name=version.name, version=version.version)
    with Bm25Store.open(night.bm25) as store:
        chunks = store.chunks()
    return write_search_cache(night.results, _result_blocks(night, chunks, table))


@task(name="measure", cache_policy=NO_CACHE)
def measure_stages(night: Night) -> dict[str, dict[str, float]]:
    """Measure every stage on the judged queries and keep the figures of each query.

    Returns:
        Means by stage and measure; empty where there are no judgments.
    """
    settings = night.settings
    evaluation = evaluate_stages(
        read_table(night.candidates),
        read_table(night.queries),
        judgments_of(night),
        candidate_depth=settings.retrieval.candidate_depth,
        result_depth=settings.results.depth,
        ignore_identical_ids=settings.judgments.ignore_identical_ids,
    )
    write_table(night.evaluation, evaluation)
    return means(evaluation)


@task(name="gates", cache_policy=NO_CACHE)
def ask_gates(night: Night, version: ChunkTableVersion, *, answered: int, seed: int) -> list[Gate]:
    """Ask every gate.

    Args:
        night: The run.
        version: Where the vectors are.
        answered: Queries in the search cache.
        seed: Of the audit's sample.
    """
    settings = night.settings
    table = ChunkTable.open(night.workspace.lance, name=version.name, version=version.version)
    with MissingChunks(night.chunks, table.hashes()) as missing:
        without_vector = len(missing)
    with Bm25Store.open(night.bm25) as store:
        chunked = pc.count_distinct(store.chunks().column("document_id")).as_py()
        faults = {
            "chunks without a vector": without_vector,
            "chunks that BM25 lacks": row_count(night.chunks) - store.chunk_count,
            "documents without a chunk": row_count(night.documents) - chunked,
            "queries without an entry in the cache": row_count(night.queries) - answered,
        }
        audit = audit_bm25(
            store,
            read_table(night.queries, columns=["text"]).column(0).to_pylist(),
            read_table(night.leg_bm25),
            settings=settings.bm25,
            analyser=Analyser.of(settings.bm25),
            sample=AUDITED_SCORES,
            generator=np.random.default_rng(seed),
        )
    return [integrity_gate(faults), bm25_gate(audit)]


@task(name="publish", cache_policy=NO_CACHE)
def publish(night: Night, manifest: Manifest, *, now: datetime) -> None:
    """Seal the release and, where every gate passed, make it the one that readers see."""
    shutil.rmtree(night.scratch)
    version = manifest.chunk_table
    ChunkTable.open(night.workspace.lance, name=version.name, version=version.version).pin(night.release_id)
    seal(night.workspace, manifest.model_copy(update={"files": digests_of(night.staging)}), staging=night.staging)
    if manifest.status == "accepted":
        night.workspace.point_at(night.release_id, now=now)


def cut_results(candidates: pa.Table, *, candidate_depth: int, depth: int, unit: str) -> pa.Table:
    """The entries of the final rankings.

    Args:
        candidates: Schema CANDIDATES, by query, then rank.
        candidate_depth: Chunks that count as candidates.
        depth: Results a query.
        unit: ``document`` or ``chunk``: what may come once a query.

    Returns:
        The rows that stay, by query, then rank.
    """
    within = candidates.filter(pc.field("fused_rank") <= candidate_depth)
    queries = _codes(within.column("query_key"))
    units = _codes(within.column("document_id" if unit == "document" else "chunk_id"))
    kept = best_of_each(queries, units, within.column("rank").to_numpy(), depth=depth)
    return within.take(pa.array(kept))


def _result_blocks(night: Night, chunks: pa.Table, table: ChunkTable) -> Iterator[pa.Table]:
    settings = night.settings
    queries = read_table(night.queries, columns=["query_key", "text"])
    results = cut_results(
        read_table(night.candidates),
        candidate_depth=settings.retrieval.candidate_depth,
        depth=settings.results.depth,
        unit=settings.results.unit,
    )
    for start in range(0, queries.num_rows, QUERIES_HELD):
        block = queries.slice(start, QUERIES_HELD)
        entries = results.filter(
            pc.is_in(results.column("query_key"), value_set=block.column("query_key").combine_chunks())
        )
        by_query = result_entries(entries, chunks, table)
        keys = block.column("query_key").to_pylist()
        rows = [json.dumps(by_query.get(key, []), ensure_ascii=False) for key in keys]
        yield pa.table([keys, block.column("text"), rows], schema=RESULTS)


def result_entries(results: pa.Table, chunks: pa.Table, table: ChunkTable) -> dict[str, list[dict[str, object]]]:
    """Results as readers see them, by query key.

    Args:
        results: Rows of CANDIDATES, by query, then rank.
        chunks: By chunk number, with ``title``, ``body_start``, ``metadata``.
        table: Where the texts are.
    """
    rows = table.rows(pc.unique(results.column("chunk_hash")), ["text"])
    texts = dict(zip(rows.column("chunk_hash").to_pylist(), rows.column("text").to_pylist(), strict=True))
    described = chunks.select(["title", "body_start", "metadata"]).take(results.column("chunk_number")).to_pylist()
    found: dict[str, list[dict[str, object]]] = {}
    for entry, chunk in zip(results.to_pylist(), described, strict=True):
        ranking = found.setdefault(entry["query_key"], [])
        ranking.append(
            {
                "rank": len(ranking) + 1,
                "document_id": entry["document_id"],
                "chunk_id": entry["chunk_id"],
                "score": entry["score"],
                "title": chunk["title"],
                "text": texts[entry["chunk_hash"]][chunk["body_start"] :],
                "metadata": json.loads(chunk["metadata"]),
            }
        )
    return found


def _codes(column: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """Numbers that stand for the distinct values of a column, in order of their first coming."""
    codes: np.ndarray[tuple[int], np.dtype[np.int32]] = (
        column.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    )
    return codes
