"""The static leg: the judged queries against every text by static embeddings, the lowest stage of the ladder.

It is kept from night to night as the dense leg is (``tasks.dense.lists``), so that a night embeds the texts that came,
and a release's leg can be read again without its collection. Nothing that is published is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.release.dense_lists import read_dense_lists, write_dense_lists
from nightrank.tasks.dense.carried import ListedQueries, leg_from_lists, lists_by_key, lists_by_number
from nightrank.tasks.dense.filtered import CarriedOver, update_filtered
from nightrank.tasks.dense.lists import DenseLists
from nightrank.tasks.dense.retrieve import SCORES_HELD, retrieve_dense
from nightrank.tasks.dense.texts import Texts
from nightrank.tasks.evaluate.measures import RANKED
from nightrank.tasks.filters.queries import QueryFilters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from nightrank.storage.lance.table import ChunkTable
    from nightrank.storage.release.files import ReleaseFiles
    from nightrank.tasks.dense.retrieve import Block
    from nightrank.tasks.evaluate.token_vectors import StaticEmbedder
    from nightrank.tasks.night import Night

TEXTS_HELD = 2048  # embedded at one time: some 20 MB of tokens


def retrieve_static(
    night: Night, table: ChunkTable, queries: pa.Table, embedder: StaticEmbedder | None
) -> pa.Table | None:
    """Tonight's static leg, and its lists for the next night.

    Args:
        night: The run.
        table: The texts.
        queries: The judged ones, schema QUERIES.
        embedder: None where the dual encoder has no token vectors.

    Returns:
        A table of schema RANKED; None without an embedder.
    """
    if embedder is None or queries.num_rows == 0:
        write_dense_lists(night.files.static_lists.path, [])
        return None
    with Bm25Store.open(night.files.statistics.path) as store:
        texts = Texts.of(store.chunks(["chunk_hash"]).column(0))
    vectors = embedder.embed(queries.column("text").to_pylist())
    listed = ListedQueries.of(queries.column("query_key").combine_chunks(), vectors)
    lists, carried_over = DenseLists.unknown(len(listed)), CarriedOver.nothing()
    if night.before is not None and night.before.same_embedder and night.before.files.static_lists.path.is_file():
        lists = lists_by_number(read_dense_lists(night.before.files.static_lists.path), listed, texts)
        carried_over = CarriedOver.since(night, night.before)
    outcome = update_filtered(
        lists,
        vectors,
        texts=texts,
        filters=QueryFilters.of_night(night, queries),
        vectors=StaticVectors(table, embedder),
        carried_over=carried_over,
        depth=night.settings.retrieval.candidate_depth,
    )
    write_dense_lists(night.files.static_lists.path, lists_by_key(outcome.lists, listed, texts))
    with Bm25Store.open(night.files.statistics.path) as store:
        return _named(outcome.leg, queries, store)


def static_leg_of_release(
    files: ReleaseFiles,
    queries: pa.Table,
    table: ChunkTable,
    *,
    load: Callable[[], StaticEmbedder | None],
    depth: int,
) -> pa.Table | None:
    """The static leg of a stored release, from its lists where it has them; nothing is written.

    Args:
        files: Of the release.
        queries: Some of its own, schema QUERIES.
        table: Its texts.
        load: Gives its static embedder; called where a query must be embedded and meet the whole collection.
        depth: Chunks a query.

    Returns:
        A table of schema RANKED, or None where there is no static embedder and not every query has a list.
    """
    with Bm25Store.open(files.statistics.path) as store:
        texts = Texts.of(store.chunks(["chunk_hash"]).column(0))
        filters = QueryFilters.of_release(queries, store)
        found = []
        for condition, numbers in filters.groups():
            part = texts if condition is None else texts.only(filters.allowed.by(condition))[0]
            asked = queries.take(pa.array(numbers))
            lists = read_dense_lists(files.static_lists.path) if files.static_lists.is_there() else ()
            leg, answered = leg_from_lists(lists, asked.column("query_key").combine_chunks(), part, depth=depth)
            found.append(_named(leg, asked, store))
            rest = asked.filter(pa.array(~answered))
            if rest.num_rows:
                embedder = load()
                if embedder is None:
                    return None
                vectors = embedder.embed(rest.column("text").to_pylist())
                blocks = all_texts(table, part, embedder, queries=rest.num_rows)
                found.append(_named(retrieve_dense(vectors, blocks, part, depth=depth), rest, store))
        return pa.concat_tables([RANKED.empty_table(), *found])


@dataclass(frozen=True, slots=True)
class StaticVectors:
    """The static vectors of texts, made from what a chunk table says."""

    table: ChunkTable
    embedder: StaticEmbedder

    def everything(self, texts: Texts, *, queries: int) -> Iterator[Block]:
        """Those of all texts, in blocks whose scores with so many queries fit into memory."""
        return all_texts(self.table, texts, self.embedder, queries=queries)

    def some(self, texts: Texts, chunk_hashes: pa.Array, *, queries: int) -> Iterator[Block]:
        """Those of some texts, string (n,) hashes, in such blocks."""
        return some_texts(self.table, texts, chunk_hashes, self.embedder, queries=queries)


def all_texts(table: ChunkTable, texts: Texts, embedder: StaticEmbedder, *, queries: int) -> Iterator[Block]:
    """The static vectors of all texts, in blocks whose scores with so many queries fit into memory."""
    batches = table.stream(["chunk_hash", "text"], batch_rows=_rows_held(queries))
    return _embedded(batches, texts, embedder)


def some_texts(
    table: ChunkTable, texts: Texts, chunk_hashes: pa.Array, embedder: StaticEmbedder, *, queries: int
) -> Iterator[Block]:
    """The static vectors of some texts, string (n,) hashes, in such blocks."""
    return _embedded(table.batches(chunk_hashes, ["text"], rows=_rows_held(queries)), texts, embedder)


def _embedded(batches: Iterable[pa.RecordBatch], texts: Texts, embedder: StaticEmbedder) -> Iterator[Block]:
    """Batches of a chunk table as blocks; rows that are no text of the collection are passed over."""
    for batch in batches:
        numbers = texts.numbers_of(batch.column("chunk_hash"))
        known = numbers >= 0
        if known.any():
            yield numbers[known], embedder.embed(batch.column("text").filter(pa.array(known)).to_pylist())


def _named(leg: pa.Table, queries: pa.Table, store: Bm25Store) -> pa.Table:
    """A leg, schema LEG, by the keys of queries and the ids of documents: schema RANKED."""
    keys = queries.column("query_key").combine_chunks().take(leg.column("query_number").combine_chunks())
    documents = store.chunks_at(leg.column("chunk_number").to_numpy(), ["document_id"]).column(0)
    return pa.table([keys, documents, leg.column("rank")], schema=RANKED)


def _rows_held(queries: int) -> int:
    return min(max(1, SCORES_HELD // max(1, queries)), TEXTS_HELD)
