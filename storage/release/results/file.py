"""The file of a release that holds its results: one SQLite file, made once and only ever read after that.

SQLite, because what a reader of a release does is find one row by its key, hundreds of thousands of times over, from
many threads and processes at once; and because front ends in any language can read it:

    SELECT query, results FROM results WHERE query_key = ?

where the key is ``storage.keys.query_key`` and ``results`` is a JSON list, best first. Beside them lie the queries as
completions of what is being typed (``storage.release.results.suggestions``).
"""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from weakref import finalize

from typing_extensions import override

from nightrank.storage.closing import Closing
from nightrank.storage.errors import MachineError
from nightrank.storage.files.own import remove_with
from nightrank.storage.foreign import machine_error, placed
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.results.suggestions import (
    find_suggestions,
    has_suggestions,
    typed_form,
    write_suggestions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CLOSED = "the results have been closed"
COPIED_BYTES = 1 << 20  # at a time
_HALVES = re.compile("[\ud800-\udfff]")  # of a character, which no stored text has
MAPPED_BYTES = 1 << 40  # SQLite maps as much of it into memory as it was built to, and reads what lies beyond

_NO_RESULTS = "[]"
_CREATE = "CREATE TABLE results (query_key TEXT PRIMARY KEY, query TEXT NOT NULL, results TEXT NOT NULL)"
_INSERT = "INSERT INTO results VALUES (?, ?, ?)"
_CREATE_ALIASES = "CREATE TABLE aliases (alias_key TEXT PRIMARY KEY, query_key TEXT NOT NULL) WITHOUT ROWID"
_INSERT_ALIAS = "INSERT INTO aliases VALUES (?, ?)"
_COUNT = "SELECT count(*) FROM results"
_GET = "SELECT query, CAST(results AS BLOB) FROM results WHERE query_key = ?"
_GET_ALIAS = (
    "SELECT query, CAST(results AS BLOB) FROM aliases JOIN results ON results.query_key = aliases.query_key "
    "WHERE alias_key = ?"
)
_ROWS = "SELECT query_key, query, CAST(results AS BLOB) FROM results ORDER BY query_key"
_ALIASES = "SELECT alias_key, query_key FROM aliases ORDER BY alias_key"


def write_results_file(
    path: Path,
    rows: Iterable[tuple[str, str, str]],
    *,
    aliases: Iterable[tuple[str, str]] = (),
    suggests: Callable[[str], bool] | None = None,
) -> int:
    """Write the results of a release.

    Args:
        path: The file to make; it must not exist.
        rows: Query key, normalised text and results as JSON, each query once, those most in demand first.
        aliases: Keys of near-identical texts of a query with that query's key; none of them is a query of its own.
        suggests: Whether a text is suggested while it is typed; those without results never are. None: there are no
            suggestions.

    Returns:
        How many queries it holds, aliases not counted.

    Raises:
        FileExistsError: The file is there already.
        sqlite3.IntegrityError: A query or an alias comes twice.
    """
    path.touch(exist_ok=False)
    suggested: dict[str, None] = {}  # once, whatever filters it is asked with

    def noted() -> Iterator[tuple[str, str, str]]:
        for row in rows:
            _, text, results = row
            if suggests is not None and results != _NO_RESULTS and suggests(text):
                suggested[text] = None
            yield row

    with placed(path), closing(sqlite3.connect(path)) as connection:
        # Nobody reads the file before it is whole, and whoever commits the release brings it to the disk.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        with connection:
            connection.execute(_CREATE)
            connection.execute(_CREATE_ALIASES)
            connection.executemany(_INSERT, noted())
            connection.executemany(_INSERT_ALIAS, aliases)
            if suggests is not None:
                write_suggestions(connection, list(suggested))
        [count] = connection.execute(_COUNT).fetchone()
        return int(count)


class ResultsFile(Closing):
    """A reader of such a file. Threads may share one, and processes that are forked from its own.

    A connection serves one look-up at a time; as many are opened as there are look-ups at one moment. The file is held
    open, so that it goes on being read after its release was removed: SQLite opens files by their names alone, so
    connections that are wanted then are to a copy in the folder for temporary files.

    Args:
        path: The file, in its release's folder; it must never change.

    Attributes:
        has_suggestions: Whether it has any: those of earlier versions, and of settings without them, have none.

    Raises:
        MachineError: The file is not there, or is none.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            why = ", for an earlier version made it" if ReleaseFiles(path.parent).former_results.is_there() else ""
            message = f"The release {path.parent.name} has no file {path.name}{why}."
            raise MachineError(message, remedy="Run `nightrank refresh` to build a new release.")
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._process = os.getpid()
        self._is_closed = False
        self._connecting = Lock()
        self._copy: Path | None = None
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._unreadable(error) from error
        self._let_go = finalize(self, os.close, self._descriptor)
        with self.reading() as connection:
            connection.execute(_GET, ("",)).fetchone()
            self.has_suggestions = has_suggestions(connection)

    def __len__(self) -> int:
        """How many queries it holds, aliases not counted."""
        with self.reading() as connection:
            [count] = connection.execute(_COUNT).fetchone()
            return int(count)

    @override
    def close(self) -> None:
        with self._connecting:
            self._is_closed = True
            while self._idle:
                self._idle.pop().close()
            self._let_go()
            if self._copy is not None and self._process == os.getpid():
                self._copy.unlink(missing_ok=True)

    def get(self, key: str) -> tuple[str, bytes] | None:
        """The text of a query and its results as JSON, by its key or an alias; None where it has none.

        Raises:
            MachineError: The file is damaged.
            ValueError: It has been closed.
        """
        with self.reading() as connection:
            row: tuple[str, bytes] | None = connection.execute(_GET, (key,)).fetchone()
            return connection.execute(_GET_ALIAS, (key,)).fetchone() if row is None else row

    def suggest(self, typed: str, *, limit: int) -> tuple[str, ...]:
        """The queries that what is being typed may become, those most in demand first.

        Args:
            typed: As it is; the first of all where it is empty.
            limit: How many, ``storage.release.results.suggestions.MOST`` at most.

        Raises:
            MachineError: The file is damaged.
            ValueError: It has been closed.
        """
        form = typed_form(typed)
        if not self.has_suggestions or (not form.isascii() and _HALVES.search(form)):
            return ()
        with self.reading() as connection:
            return find_suggestions(connection, form, limit=limit)

    def rows(self) -> Iterator[tuple[str, str, bytes]]:
        """Every query's key, text and results as JSON, by key, aliases not among them; a row in memory at a time.

        Raises:
            MachineError: The file is damaged.
        """
        with self.reading() as connection:
            yield from connection.execute(_ROWS)

    def aliases(self) -> Iterator[tuple[str, str]]:
        """The key of every alias, by that key, and the key of the query whose results it gets.

        Raises:
            MachineError: The file is damaged.
        """
        with self.reading() as connection:
            yield from connection.execute(_ALIASES)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that nobody else uses meanwhile."""
        if self._is_closed:
            raise ValueError(CLOSED)
        if self._process != os.getpid():  # SQLite's connections must not be used behind a fork
            self._idle, self._process, self._connecting, self._copy = [], os.getpid(), Lock(), None
        idle = self._idle
        try:
            connection = idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        except sqlite3.DatabaseError as error:
            raise self._unreadable(error) from error
        finally:
            self._give_back(connection, idle)

    def _unreadable(self, error: Exception) -> MachineError:
        message = f"{self._path} cannot be read: {error}."
        told = machine_error(error)
        if told is not None:
            return MachineError(message, remedy=told.remedy)
        remedy = "Roll back to another release, or remove this one and run `nightrank refresh`."
        return MachineError(message, remedy=remedy)

    def _give_back(self, connection: sqlite3.Connection, idle: list[sqlite3.Connection]) -> None:
        if self._is_closed:  # by another thread, meanwhile
            connection.close()
        else:
            idle.append(connection)

    def _connect(self) -> sqlite3.Connection:
        with self._connecting:
            if self._is_closed:  # by another thread, meanwhile
                raise ValueError(CLOSED)
            try:
                return _connected(self._path if self._is_where_it_was() else self._copied())
            except (OSError, sqlite3.Error) as error:
                raise self._unreadable(error) from error

    def _is_where_it_was(self) -> bool:
        """Whether the file that is held open is still the one of its name."""
        with suppress(OSError):
            return os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        return False

    def _copied(self) -> Path:
        """The copy of what is held open, made at first need."""
        if self._copy is None:
            descriptor, name = tempfile.mkstemp(prefix="nightrank-results-", suffix=self._path.suffix)
            try:
                with open(descriptor, "wb") as copy:  # noqa: PTH123 (a descriptor)
                    while piece := os.pread(self._descriptor, COPIED_BYTES, copy.tell()):
                        copy.write(piece)
            except BaseException:
                Path(name).unlink()
                raise
            self._copy = Path(name)
            remove_with(self, self._copy)
        return self._copy


def _connected(path: Path) -> sqlite3.Connection:
    # Immutable: neither locks nor journals are looked for, so that the folder may be read-only.
    address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    connection = sqlite3.connect(address, uri=True, check_same_thread=False)
    connection.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")
    return connection
