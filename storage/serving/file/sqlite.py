"""Results as one SQLite file, which programs in any language can read.

    SELECT alias_of, query, filter, results FROM answers WHERE key = ?

An alias has ``alias_of`` alone, the key of the query whose results it gets.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from threading import Lock
from typing import TYPE_CHECKING

from nightrank.storage.errors import MachineError
from nightrank.storage.serving.file.target import NotOurs
from nightrank.storage.serving.reader import FileReader, Row, Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.storage.serving.entries import Entry

_CREATE = 'CREATE TABLE answers (key TEXT PRIMARY KEY, alias_of TEXT, query TEXT, "filter" TEXT, results TEXT)'
_CREATE_RELEASE = (
    "CREATE TABLE nightrank_release (release_id TEXT NOT NULL, queries INTEGER NOT NULL, aliases INTEGER NOT NULL, "
    "answers TEXT NOT NULL)"
)
_INSERT = "INSERT INTO answers VALUES (?, ?, ?, ?, ?)"
_INSERT_RELEASE = "INSERT INTO nightrank_release VALUES (?, ?, ?, ?)"
_RELEASE = "SELECT * FROM nightrank_release"  # of earlier versions without its last column
# What SQLite says of a file that is not its own, and of one without our table; all else is the disk's, or damage.
_OTHERS = ("SQLITE_NOTADB", "SQLITE_ERROR")
_DAMAGED = "See the system's log about that disk; a damaged file may be removed and exported again."
_GET = "SELECT alias_of, query, results FROM answers WHERE key = ?"


def write(path: Path, served: Served, entries: Iterator[Entry]) -> None:
    """Write the entries of a release."""
    with closing(sqlite3.connect(path)) as connection:
        # Nobody reads the file before it is whole, and whoever puts it in place brings it to the disk.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        with connection:
            connection.execute(_CREATE)
            connection.execute(_CREATE_RELEASE)
            connection.executemany(_INSERT, entries)
            connection.execute(_INSERT_RELEASE, served)


class SqliteReader(FileReader):
    """A reader of such a file. Threads may share one; a process that is forked opens its own.

    Raises:
        NotOurs: The file was not written by an export.
        FileNotFoundError: It is not there.
        MachineError: It is damaged, or its disk fails.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise FileNotFoundError(path)
        self._lock = Lock()
        # Immutable: neither locks nor journals are looked for, so that the folder may be read-only.
        address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        self._connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        try:
            [row] = self._connection.execute(_RELEASE).fetchall()
            self._served = Served(*row)
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            self._connection.close()
            if isinstance(error, sqlite3.DatabaseError) and error.sqlite_errorname not in _OTHERS:
                message = f"{path} cannot be read: {error}."
                raise MachineError(message, remedy=_DAMAGED) from error
            raise NotOurs(str(path)) from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _row(self, key: str) -> Row | None:
        with self._lock:
            found = self._connection.execute(_GET, (key,)).fetchone()
        return None if found is None else Row(*found)
