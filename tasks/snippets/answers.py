"""Answers as the search cache holds them: results as readers see them, with their snippets, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.rank.results import DESCRIPTION, result_entries
from nightrank.tasks.snippets.results import Snippets, query_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.storage.lance.table import ChunkTable
    from nightrank.tasks.settings.whole import Settings


def answer_rows(
    settings: Settings, results: pa.Table, queries: pa.Table, store: Bm25Store, table: ChunkTable
) -> Iterator[tuple[str, str, str]]:
    """Each query's key, text and results as JSON.

    Args:
        settings: How texts were analysed, and how long snippets are.
        results: Rows of CANDIDATES, by query, then rank; those of other queries are passed over.
        queries: With ``query_key`` and ``text``; their results are in memory at one time.
        store: Where the chunks are described.
        table: Where the texts are.
    """
    analyser = Analyser.of(settings.bm25)
    snippets = Snippets(analyser, characters=settings.results.snippet_characters)
    keys, texts = (queries.column(name).to_pylist() for name in ("query_key", "text"))
    wanted = queries.column("query_key").combine_chunks()
    entries = results.filter(pc.is_in(results.column("query_key"), value_set=wanted))
    chunks = store.chunks_at(entries.column("chunk_number").to_numpy(), DESCRIPTION)
    weights = dict(zip(keys, query_weights(store, texts, analyse=analyser), strict=True))
    by_query = result_entries(entries, chunks, table, snippets=snippets.of(weights))
    for key, text in zip(keys, texts, strict=True):
        yield key, text, json.dumps(by_query.get(key, []), ensure_ascii=False, default=asdict)
