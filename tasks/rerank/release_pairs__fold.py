"""Pairs of a release as its reranker sees them: queries, and the texts of candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow.compute as pc

from nightrank.storage.files.parquet import read_table

if TYPE_CHECKING:
    import numpy as np

    from nightrank.tasks.release import StoredRelease


class QueryPairs(NamedTuple):
    """A query and the texts of its first candidates, in the fused order."""

    query: str
    texts: list[str]


def draw_pairs(release: StoredRelease, *, queries: int, depth: int, generator: np.random.Generator) -> list[QueryPairs]:
    """The pairs of some queries of a release.

    To be read while ``nightrank.storage.workspace.base.reading`` is held.

    Args:
        release: The release.
        queries: How many are drawn, at most.
        depth: Candidates of each.
        generator: Draws them.

    Returns:
        Those of them that have candidates, in the order in which they were drawn.
    """
    known = read_table(release.folder / "queries.parquet", columns=["query_key", "text"])
    drawn = known.take(generator.permutation(known.num_rows)[:queries])
    candidates = release.candidates(drawn).filter(pc.field("fused_rank") <= depth)
    candidates = candidates.select(["query_key", "chunk_hash", "fused_rank"]).sort_by("fused_rank")
    rows = release.chunk_table().rows(pc.unique(candidates.column("chunk_hash")), ["text"])
    says = dict(zip(rows.column("chunk_hash").to_pylist(), rows.column("text").to_pylist(), strict=True))
    texts: dict[str, list[str]] = {key: [] for key in drawn.column("query_key").to_pylist()}
    for row in candidates.to_pylist():
        texts[row["query_key"]].append(says[row["chunk_hash"]])
    named = zip(drawn.column("text").to_pylist(), texts.values(), strict=True)
    return [QueryPairs(query, found) for query, found in named if found]
