"""Results: candidates cut to what is published, and described as readers see them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.wide import codes_of, rows_at
from nightrank.tasks.rank.diversity import choose, cosines_of
from nightrank.tasks.rank.fusion import minmax_within
from nightrank.tasks.rank.order import best_of_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.storage.lance.rows import TextRows
    from nightrank.storage.serving.cache import Snippet
    from nightrank.tasks.rank.diversity import VectorSource
    from nightrank.tasks.settings.ranking import ResultsSettings

DESCRIPTION = ("title", "body_start", "metadata", "language")  # of a chunk, beside its text
ENTRIES_HELD = 50_000  # entries of pools whose vectors are in memory at one time


def cut_results(
    candidates: pa.Table, *, candidate_depth: int, settings: ResultsSettings, vectors: VectorSource | None
) -> pa.Table:
    """The entries of the final rankings: the one place that decides what is published.

    Args:
        candidates: Schema CANDIDATES, by query, then rank. ``chunk_hash`` and ``score`` are needed only where results
            are diversified.
        candidate_depth: Documents (or chunks, where these count) that are candidates.
        settings: Results a query, what may come once in them (a document or a chunk), and how different they must be.
        vectors: Of texts; asked, for pools alone, only where results are diversified.

    Returns:
        The rows that stay, by query, in the order in which they are published.

    Raises:
        ValueError: Results are diversified, and there are no vectors.
    """
    within = candidates.filter(pc.field("fused_rank") <= candidate_depth)
    queries = codes_of(within.column("query_key"))
    units = codes_of(within.column("document_id" if settings.unit == "document" else "chunk_id"))
    if not settings.diversifies:
        return rows_at(within, best_of_each(queries, units, depth=settings.depth))
    if vectors is None:
        raise ValueError("results that are diversified need the vectors of their texts")
    pools = best_of_each(queries, units, depth=max(settings.mmr_pool, settings.depth))
    pooled = rows_at(within, pools)
    return rows_at(pooled, _diverse(pooled, settings, vectors))


class SnippetMaker(Protocol):
    """Chooses what of the texts of results is shown."""

    def __call__(
        self, query_keys: Sequence[str], texts: Sequence[str], languages: Sequence[int], /
    ) -> Sequence[Snippet | None]:
        """The snippet of each result (n,), of its query, its text and the language that this is analysed in."""
        ...


def result_entries(
    results: pa.Table, chunks: pa.Table, table: TextRows, *, snippets: SnippetMaker
) -> dict[str, list[dict[str, object]]]:
    """Results as readers see them, by query key: fields of ``storage.serving.cache.Result``.

    Args:
        results: Rows of CANDIDATES, by query, then rank.
        chunks: Row for row with ``results``, the columns ``DESCRIPTION`` of their chunks.
        table: Where the texts are.
        snippets: Chooses what is shown of them.
    """
    rows = table.rows(pc.unique(results.column("chunk_hash")), ["text"])
    whole = dict(zip(rows.column("chunk_hash").to_pylist(), rows.column("text").to_pylist(), strict=True))
    starts = chunks.column("body_start").to_pylist()
    texts = [whole[of][start:] for of, start in zip(results.column("chunk_hash").to_pylist(), starts, strict=True)]
    shown = snippets(results.column("query_key").to_pylist(), texts, chunks.column("language").to_pylist())
    found: dict[str, list[dict[str, object]]] = {}
    for entry, chunk, text, snippet in zip(results.to_pylist(), chunks.to_pylist(), texts, shown, strict=True):
        ranking = found.setdefault(entry["query_key"], [])
        ranking.append(
            {
                "rank": len(ranking) + 1,
                "document_id": entry["document_id"],
                "chunk_id": entry["chunk_id"],
                "score": entry["score"],
                "title": chunk["title"],
                "text": text,
                "metadata": json.loads(chunk["metadata"]),
                "snippet": snippet,
            }
        )
    return found


def _diverse(pools: pa.Table, settings: ResultsSettings, vectors: VectorSource) -> NDArray[np.intp]:
    """Which entries of pools (n,), by query, then rank, are published; int (m,), by query, in their new order."""
    queries = codes_of(pools.column("query_key"))
    relevance = minmax_within(queries, pools.column("score").to_numpy())
    starts = np.flatnonzero(np.r_[True, queries[1:] != queries[:-1]]) if queries.size else queries
    ends = np.r_[starts[1:], queries.size]
    chosen = [np.zeros(0, dtype=np.intp)]
    queries_held = max(1, ENTRIES_HELD // max(settings.mmr_pool, settings.depth))
    for first in range(0, starts.size, queries_held):
        held = range(first, min(first + queries_held, starts.size))
        begin = starts[held[0]]
        of_texts = vectors(pools.column("chunk_hash").slice(begin, ends[held[-1]] - begin).combine_chunks())
        for query in held:
            pool = slice(starts[query], ends[query])
            places = choose(
                relevance[pool],
                cosines_of(of_texts[pool.start - begin : pool.stop - begin]),
                depth=settings.depth,
                mmr_lambda=settings.mmr_lambda,
                near_duplicate=settings.near_duplicate,
            )
            chosen.append(pool.start + places)
    return np.concatenate(chosen)
