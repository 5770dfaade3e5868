"""The files of a query log: one, or all tables of a folder or a glob, such as one a day."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.tasks.query_log.rows import EmptyLog, read_query_log
from nightrank.tasks.read.account import Kind
from nightrank.tasks.read.lines import unreadable
from nightrank.tasks.read.table_rows import TABLE_SUFFIXES, table_suffix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.storage.records import BadRow, LoggedQuery
    from nightrank.tasks.read.account import Account


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file of a log: where it is, and what the user calls it."""

    path: Path
    name: str


def log_files(log: str, *, base: Path, account: Account) -> list[LogFile]:
    """The files that a log consists of, sorted; of several ones hidden files and other formats are left out.

    Args:
        log: A file, a folder (those below it too) or a glob, as the settings name it.
        base: The folder that it is relative to.
        account: Told which files are read, and which are left out.

    Raises:
        InputError: There is none, or none that is a table.
    """
    path = base / log
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except OSError as error:
        raise unreadable(error, name=log) from error
    if not is_folder and (is_file or not glob.has_magic(log)):
        account.add("queries", Kind.FILE_READ, table_suffix(log) or Path(log).suffix, where=log)
        return [LogFile(path, log)]
    pattern = f"{glob.escape(log)}/**" if is_folder else log
    found = glob.glob(pattern, root_dir=base, recursive=True)  # noqa: PTH207  # pathlib's does not skip hidden files
    files: list[LogFile] = []
    for match in sorted(set(found)):
        file = LogFile(base / match, Path(match).as_posix())
        if not file.path.is_file():
            continue
        suffix = table_suffix(match)
        kind = Kind.FILE_READ if suffix else Kind.FILE_NOT_READ
        account.add("queries", kind, suffix or Path(match).suffix or "without a suffix", where=file.name)
        if suffix:
            files.append(file)
    if not files:
        raise InputError(
            f"{log} holds no table that can be read as a log.",
            remedy=f"Name a file, a folder or a glob of files ending in {', '.join(TABLE_SUFFIXES)} as [queries].log.",
        )
    return files


def read_log(log: str, *, base: Path, salt: bytes, account: Account) -> Iterator[LoggedQuery | BadRow]:
    """The rows of all files of a log, as ``read_query_log`` has them; of several files some may be empty.

    Args:
        log: As the settings name it.
        base: The folder that it is relative to.
        salt: As for ``read_query_log``.
        account: Told which files were read, and what was taken for what.

    Raises:
        InputError: There is no such file, one cannot be read as a whole, or none has a row.
    """
    files = log_files(log, base=base, account=account)
    is_empty = True
    for file in files:
        try:
            for row in read_query_log(file.path, name=file.name, salt=salt, account=account):
                is_empty = False
                yield row
        except EmptyLog:
            if len(files) == 1:
                raise
            account.add("queries", Kind.SKIPPED, "file without a row", where=file.name)
    if is_empty:
        raise EmptyLog(f"{log} holds no query.", remedy="Check [queries].log; a log has at least one row.")
