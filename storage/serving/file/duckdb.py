"""Results as one DuckDB file: one row a key, as the SQLite file has it, for analysis beside other tables."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from nightrank.storage.files.database import connect, only_row
from nightrank.storage.serving.file.target import NotOurs
from nightrank.storage.serving.reader import FileReader, Row, Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.storage.serving.entries import Entry

BLOCK_ROWS = 1000  # in memory at one time

_CREATE = """
CREATE TABLE answers (key VARCHAR PRIMARY KEY, alias_of VARCHAR, query VARCHAR, "filter" VARCHAR, results VARCHAR)
"""
_CREATE_RELEASE = """
CREATE TABLE nightrank_release (release_id VARCHAR NOT NULL, queries BIGINT NOT NULL, aliases BIGINT NOT NULL)
"""
_INSERT = 'INSERT INTO answers SELECT key, alias_of, query, "filter", results FROM block'
_INSERT_RELEASE = "INSERT INTO nightrank_release VALUES (?, ?, ?)"
_ATTACH = "ATTACH $path AS served (READ_ONLY)"
_RELEASE = "SELECT release_id, queries, aliases FROM served.nightrank_release"
_GET = "SELECT alias_of, query, results FROM served.answers WHERE key = ?"
_COLUMNS = pa.schema([(name, pa.string()) for name in ("key", "alias_of", "query", "filter", "results")])


def write(path: Path, served: Served, entries: Iterator[Entry]) -> None:
    """Write the entries of a release."""
    with connect(path) as connection:
        connection.execute(_CREATE)
        connection.execute(_CREATE_RELEASE)
        while rows := list(islice(entries, BLOCK_ROWS)):
            columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
            connection.register("block", pa.table(columns, schema=_COLUMNS))
            connection.execute(_INSERT)
            connection.unregister("block")
        connection.execute(_INSERT_RELEASE, list(served))
        connection.execute("CHECKPOINT")


class DuckdbReader(FileReader):
    """A reader of such a file. Threads may share one: each look-up has a cursor of its own.

    Raises:
        NotOurs: The file was not written by an export.
        FileNotFoundError: It is not there.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise FileNotFoundError(path)
        # Attached to a database of its own: DuckDB opens a path only once in a process, and would go on with the file
        # that was replaced as long as anyone has it open.
        self._connection = connect()
        try:
            self._connection.execute(_ATTACH, {"path": str(path)})
            self._served = Served(*only_row(self._connection, _RELEASE))
        except duckdb.Error as error:
            self._connection.close()
            raise NotOurs(str(path)) from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _row(self, key: str) -> Row | None:
        with self._connection.cursor() as cursor:
            found = cursor.execute(_GET, [key]).fetchone()
        return None if found is None else Row(*found)
