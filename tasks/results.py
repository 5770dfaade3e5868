"""Results: candidates cut to what is published, and described as readers see them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ranking import best_of_each

if TYPE_CHECKING:
    import numpy as np

    from storage.chunk_table import ChunkTable
    from tasks.settings import ResultsSettings


def cut_results(candidates: pa.Table, *, candidate_depth: int, settings: ResultsSettings) -> pa.Table:
    """The entries of the final rankings.

    Args:
        candidates: Schema CANDIDATES, by query, then rank.
        candidate_depth: Chunks that count as candidates.
        settings: Results a query, and what may come once in them: a document or a chunk.

    Returns:
        The rows that stay, by query, then rank.
    """
    within = candidates.filter(pc.field("fused_rank") <= candidate_depth)
    queries = _codes(within.column("query_key"))
    units = _codes(within.column("document_id" if settings.unit == "document" else "chunk_id"))
    kept = best_of_each(queries, units, depth=settings.depth)
    return within.take(pa.array(kept))


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
