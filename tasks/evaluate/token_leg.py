"""The static leg: judged queries against every text of a release by static embeddings, the lowest stage of the ladder.

An offline evaluation computes it anew; nothing that is published is made of it, and no release keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.wide import rows_at
from nightrank.tasks.dense.retrieve import SCORES_HELD
from nightrank.tasks.evaluate.measures import RANKED
from nightrank.tasks.filters.queries import QueryFilters
from nightrank.tasks.first_stage import FirstStage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.storage.lance.table import ChunkTable
    from nightrank.tasks.dense.scan import Block
    from nightrank.tasks.evaluate.token_vectors import StaticEmbedder
    from nightrank.tasks.legs.texts import Texts
    from nightrank.tasks.release import StoredRelease

TEXTS_HELD = 2048  # embedded at one time: some 20 MB of tokens


def static_leg(release: StoredRelease, queries: pa.Table, embedder: StaticEmbedder) -> pa.Table:
    """The static leg of a stored release: each query's nearest chunks, as deep as its candidates are.

    Args:
        release: Whose collection they meet; a query with a filter meets what that lets through.
        queries: Some of its own, schema QUERIES.
        embedder: Of queries and texts.

    Returns:
        A table of schema RANKED.
    """
    if queries.num_rows == 0:
        return RANKED.empty_table()
    vectors = embedder.embed(queries.column("text").to_pylist())
    settings = release.settings
    depth = settings.retrieval.candidate_depth
    with Bm25Store.open(release.files.statistics.path) as store:
        first_stage = FirstStage.over(store, StaticVectors(release.chunk_table(), embedder))
        leg = QueryFilters.of_release(queries, store).leg(
            lambda numbers, allowed: first_stage.dense(vectors[numbers], allowed, settings=settings, depth=depth)
        )
        keys = rows_at(queries.select(["query_key"]), leg.column("query_number")).column(0)
        documents = store.chunks_at(leg.column("chunk_number").to_numpy(), ["document_id"]).column(0)
    return pa.table([keys, documents, leg.column("rank")], schema=RANKED)


@dataclass(frozen=True, slots=True)
class StaticVectors:
    """The static vectors of texts, made from what a chunk table says."""

    table: ChunkTable
    embedder: StaticEmbedder

    def everything(self, texts: Texts, *, queries: int) -> Iterator[Block]:
        """The static vectors of all texts, in blocks whose scores with so many queries fit into memory."""
        rows = min(max(1, SCORES_HELD // queries), TEXTS_HELD)
        for batch in self.table.stream(["chunk_hash", "text"], batch_rows=rows):
            numbers = texts.numbers_of(batch.column("chunk_hash"))
            known = numbers >= 0  # other rows are no text of the collection
            if known.any():
                yield numbers[known], self.embedder.embed(batch.column("text").filter(pa.array(known)).to_pylist())
