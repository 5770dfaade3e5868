"""Opening a DuckDB file for writing such that nothing of it is ever lost by that.

DuckDB makes a database where it finds none, and takes a file that cannot be looked at for a moment, as on a disk that
fails, for one that is not there: it removes its log, and writes an empty database's headers over those of the file.
Nothing else of the file is touched by then, so both are kept until it is open, and brought back.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import duckdb

from nightrank.storage.errors import MachineError
from nightrank.storage.files.atomic import replacing
from nightrank.storage.places import naming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEADERS_BYTES = 3 * 4096  # that each file of DuckDB begins with
FIRST_BYTES = 4096  # of them: they are of one database, and stay as long as it does
DESCRIPTORS = Path("/dev/fd")  # of this process

_IS_EMPTY = "SELECT count(*) = 0 FROM duckdb_tables() WHERE database_name = current_database()"
_OPENING = Lock()  # a file that this process has open must not be closed by another of its threads: see ``_kept``


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a file was before it was opened.

    Attributes:
        path: Of the file.
        file: What the system knows it by.
        headers: Its own.
        log: A descriptor of what was committed and is not in the file; None where there was no log.
    """

    path: Path
    file: os.stat_result
    headers: bytes
    log: int | None

    def bring_back(self, *, opened: bool) -> bool:
        """Make the file what it was, where it was made anew; this process does not have it open.

        Args:
            opened: Whether DuckDB could open it: then it may have dropped a log that was torn before its first entry.

        Returns:
            Whether it was.
        """
        with naming(self.path), self.path.open("r+b") as file:
            if not os.path.samestat(os.fstat(file.fileno()), self.file):
                return False  # whoever writes a file anew took it away
            headers = file.read(HEADERS_BYTES)
            is_made_anew = headers[:FIRST_BYTES] != self.headers[:FIRST_BYTES]
            if is_made_anew:
                file.seek(0)
                file.write(self.headers)
                file.flush()
                os.fsync(file.fileno())
        if self.log is None or os.fstat(self.log).st_nlink > 0:
            return is_made_anew
        # With other headers another process took the log into the file.
        if is_made_anew or (not opened and headers == self.headers):
            self._bring_log_back(self.log)
            return True
        return False

    def _bring_log_back(self, log: int) -> None:
        with replacing(log_of(self.path)) as temporary, temporary.open("wb") as target:
            os.lseek(log, 0, os.SEEK_SET)
            with open(log, "rb", closefd=False) as source:
                shutil.copyfileobj(source, target)


def log_of(path: Path) -> Path:
    """Where DuckDB keeps what has been committed and is not in the file itself yet."""
    return path.with_name(f"{path.name}.wal")


def opened_whole(path: Path, connect: Callable[[], duckdb.DuckDBPyConnection]) -> duckdb.DuckDBPyConnection:
    """Open a file for writing, which is made where it is not there, and else holds all that it held.

    Args:
        path: The file.
        connect: Opens it.

    Raises:
        MachineError: DuckDB did not find it although it is there; it is as it was.
    """
    with _OPENING, _kept(path) as kept:
        try:
            connection = connect()
        except duckdb.Error:
            if kept is not None:
                kept.bring_back(opened=False)
            raise
        if kept is None or not connection.execute(_IS_EMPTY).fetchall()[0][0]:
            return connection
        connection.close()
        if not kept.bring_back(opened=True):
            return connect()
    message = f"{path} is there, and could not be looked at as it was opened; it is as it was."
    raise MachineError(message, remedy="See the system's log about that disk before you run anything again.")


@contextmanager
def _kept(path: Path) -> Iterator[_Kept | None]:
    """What a file is now; None where there is none, or none whole, or where this process may have it open.

    What a process has open is not opened by DuckDB once more, and to close it here would end the locks that the process
    has on it.
    """
    found = None if _may_be_open_here(path) else _beginning(path)
    if found is None:
        yield None
        return
    log = None
    with suppress(FileNotFoundError):
        log = os.open(log_of(path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield _Kept(path, *found, log)
    finally:
        if log is not None:
            os.close(log)


def _beginning(path: Path) -> tuple[os.stat_result, bytes] | None:
    """What the system knows a file by, and its headers; None where it has none."""
    try:
        with naming(path), path.open("rb") as file:
            headers = file.read(HEADERS_BYTES)
            return (os.fstat(file.fileno()), headers) if len(headers) == HEADERS_BYTES else None
    except FileNotFoundError:
        return None


def _may_be_open_here(path: Path) -> bool:
    """Whether this process has a file open; also where the system does not tell what it has open."""
    try:
        file = path.stat()
        names = os.listdir(DESCRIPTORS)  # noqa: PTH208 (numbers, and no paths)
    except FileNotFoundError:
        return path.exists()
    for name in names:
        with suppress(OSError):  # that of the listing itself is closed by now
            if os.path.samestat(file, os.fstat(int(name))):
                return True
    return False
