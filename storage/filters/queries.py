"""Queries with a filter: the same text with another filter is another query, and the same to a model.

So a query goes by its ``query_key``, of text and filter, wherever rankings are kept, and what models said of it by the
key of its text alone. Without filters both are one. Releases of earlier versions have no column ``filter``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightrank.storage.keys import query_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TEXT_KEYS = pa.schema(
    [
        pa.field("query_key", pa.string(), nullable=False),
        pa.field("text_key", pa.string(), nullable=False),
    ]
)


def conditions_of(queries: pa.Table) -> list[str | None]:
    """The canonical text of each query's filter (n,); None where it has none.

    Args:
        queries: Schema QUERIES, or an earlier version's.
    """
    if "filter" not in queries.schema.names:
        return [None] * queries.num_rows
    conditions: list[str | None] = queries.column("filter").to_pylist()
    return conditions


def text_keys(queries: pa.Table) -> pa.Table:
    """The queries with a filter by their keys, and the keys of their texts: schema TEXT_KEYS.

    Args:
        queries: ``query_key`` and ``text``, and ``filter`` unless it is an earlier version's.
    """
    if "filter" not in queries.schema.names:
        return TEXT_KEYS.empty_table()
    filtered = queries.filter(pc.is_valid(queries.column("filter")))
    keys = [query_key(text) for text in filtered.column("text").to_pylist()]
    return pa.table([filtered.column("query_key"), pa.array(keys, pa.string())], schema=TEXT_KEYS)


def text_keys_in(files: Iterable[Path]) -> pa.Table:
    """The same of releases' ``queries.parquet``, each query once."""
    found: dict[str, str] = {}
    for path in files:
        with pq.ParquetFile(path) as file:
            if "filter" in file.schema_arrow.names:
                table = text_keys(file.read(columns=["query_key", "text", "filter"]))
                found |= dict(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return pa.table([list(found), list(found.values())], schema=TEXT_KEYS)


def by_text(rows: pa.Table, queries: pa.Table) -> pa.Table:
    """Rows whose ``query_key`` becomes the key of the query's text, as models and their memos know it.

    Args:
        rows: With ``query_key``.
        queries: Those that it names: ``query_key``, ``text`` and ``filter``.
    """
    known = text_keys(queries)
    if known.num_rows == 0:
        return rows
    of_texts = keys_of_texts(rows.column("query_key"), known)
    return rows.set_column(rows.schema.get_field_index("query_key"), "query_key", of_texts)


def keys_of_texts(keys: pa.Array | pa.ChunkedArray, known: pa.Table) -> pa.Array | pa.ChunkedArray:
    """The keys of the texts of some queries (n,), by the keys of these.

    Args:
        keys: Of the queries (n,).
        known: Those of them that have a filter, schema TEXT_KEYS.
    """
    if known.num_rows == 0:
        return keys
    filtered, of_texts = (known.column(name).combine_chunks() for name in TEXT_KEYS.names)

    def of_block(block: pa.Array) -> pa.Array:
        return pc.coalesce(of_texts.take(pc.index_in(block, value_set=filtered)), block)

    if isinstance(keys, pa.Array):
        return of_block(keys)
    return pa.chunked_array([of_block(block) for block in keys.chunks], type=keys.type)
