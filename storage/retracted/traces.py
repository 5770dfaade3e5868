"""Traces: whether files of a workspace still hold something of a document, in their bytes or in what these stand for.

Bytes alone prove little where a file is compressed. So tables (Parquet, DuckDB) are read as well, column by column;
SQLite, JSON, HTML and LanceDB's vectors lie as they are. What a search finds before an erasure shows that it can find.
"""

from __future__ import annotations

import html
import json
import mmap
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightrank.storage.files.database import connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

Kind: TypeAlias = Literal["text", "id", "key", "vector"]

SNIPPET = 48  # characters of a text that are looked for
SHORTEST = 16  # shorter ones may stand anywhere
VECTOR_BYTES = 64  # the first of a vector: sixteen numbers

_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' ORDER BY table_name"
_COLUMNS = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = $name"


@dataclass(frozen=True, slots=True)
class Needles:
    """What is looked for.

    Attributes:
        ids: Of documents.
        texts: Parts of their texts.
        keys: Of their chunks' texts, 32 hexadecimal digits, as tables have them.
        vectors: The first bytes of their vectors.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    vectors: tuple[bytes, ...] = field(default=(), repr=False)

    def raw(self) -> Iterator[tuple[Kind, bytes]]:
        """The bytes that files which are not compressed would hold."""
        for one in self.ids:
            for written in {json.dumps(one), json.dumps(one, ensure_ascii=False)}:
                yield from (("id", f'"document_id":{space}{written}'.encode()) for space in ("", " "))
            yield "id", f"{one}#0".encode()
        for text in self.texts:
            escaped = json.dumps(text, ensure_ascii=False)[1:-1]
            for written in {text, escaped, json.dumps(text)[1:-1], html.escape(text)}:
                yield "text", written.encode()
        for key in self.keys:
            yield "key", key.encode()
            yield "key", (int(key, 16) ^ 1 << 127).to_bytes(16, "little")  # as DuckDB has a UUID
        for vector in self.vectors:
            yield "vector", vector


def snippets_of(text: str) -> tuple[str, ...]:
    """Parts of a text by which it is known: of its beginning, its middle and its end; none of a short one.

    >>> snippets_of("tea"), len(snippets_of("a" * 40)), len(snippets_of("a long text " * 20))
    ((), 1, 3)
    """
    text = text.strip()
    if len(text) < SHORTEST:
        return ()
    if len(text) <= SNIPPET:
        return (text,)
    middle = (len(text) - SNIPPET) // 2
    return (text[:SNIPPET], text[middle : middle + SNIPPET], text[-SNIPPET:])


def still_said(needles: Iterable[str], texts: Iterable[pa.Array]) -> frozenset[str]:
    """Those parts of texts that other texts say as well.

    Args:
        needles: Parts of texts.
        texts: Other texts, string (n,) each.
    """
    wanted = {needle: needle.encode() for needle in needles}
    found: set[str] = set()
    for some in texts:
        held = _bytes_of(some)
        found |= {needle for needle, raw in wanted.items() if raw in held}
    return frozenset(found)


def traces_in(path: Path, needles: Needles) -> frozenset[Kind]:
    """What of a document a file holds.

    Args:
        path: The file; it may be gone by then.
        needles: What is looked for.
    """
    found: set[Kind] = set()
    with (
        suppress(FileNotFoundError, ValueError),  # nothing can be mapped of an empty one
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held,
    ):
        found |= {kind for kind, raw in needles.raw() if held.find(raw) >= 0}
    columns: Iterable[pa.Array] = ()
    if path.suffix == ".parquet":
        columns = _parquet(path)
    elif path.suffix == ".duckdb":
        columns = _duckdb(path)
    for column in columns:
        found.update(_kinds_in(column, needles))
    return frozenset(found)


def _kinds_in(column: pa.Array, needles: Needles) -> Iterator[Kind]:
    if pc.any(pc.is_in(column, value_set=pa.array(needles.ids, pa.string()))).as_py():
        yield "id"
    held = _bytes_of(column)
    yield from {kind for kind, raw in needles.raw() if kind != "vector" and raw in held}


def _bytes_of(column: pa.Array) -> bytes:
    """All texts of a column, one behind the other."""
    return "\n".join(column.drop_null().to_pylist()).encode()


def _parquet(path: Path) -> Iterator[pa.Array]:
    with suppress(FileNotFoundError, pa.ArrowInvalid), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=8192):
            yield from _texts_of(batch)


def _duckdb(path: Path) -> Iterator[pa.Array]:
    try:
        opened = connect(path, read_only=True)
    except duckdb.Error:  # it is none, or gone
        return
    with closing(opened) as connection:
        for (name,) in connection.execute(_TABLES).fetchall():
            columns = connection.execute(_COLUMNS, {"name": name}).fetchall()
            chosen = [
                duckdb.FunctionExpression(
                    "replace",
                    duckdb.ColumnExpression(column).cast(duckdb.sqltype("VARCHAR")),
                    duckdb.ConstantExpression("-" if kind == "UUID" else ""),
                    duckdb.ConstantExpression(""),
                ).alias(column)
                for column, kind in columns
                if kind in {"VARCHAR", "UUID"}
            ]
            if chosen:
                for batch in connection.table(name).select(*chosen).to_arrow_reader(8192):
                    yield from _texts_of(batch)


def _texts_of(batch: pa.RecordBatch) -> Iterator[pa.Array]:
    for column in batch.columns:
        flat = column.flatten() if pa.types.is_list(column.type) else column
        if pa.types.is_string(flat.type) or pa.types.is_large_string(flat.type):
            yield flat.cast(pa.string())
