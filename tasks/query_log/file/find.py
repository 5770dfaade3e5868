"""The files of a query log: one, or all tables of a folder or a glob, such as one a day."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.tasks.query_log.file.rows import EmptyLog, LogFile, read_query_log
from nightrank.tasks.read.account import UNREADABLE_FOLDER, Kind
from nightrank.tasks.read.folder.pattern import matching
from nightrank.tasks.read.input_file import InputFile
from nightrank.tasks.read.lines import unreadable
from nightrank.tasks.read.suffixes import TABLE_SUFFIXES, table_suffix
from nightrank.tasks.read.tables.columns import Columns
from nightrank.tasks.read.tables.names import QUERIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.storage.records import BadRow, LoggedQuery
    from nightrank.tasks.read.account import Account
    from nightrank.tasks.settings.inputs import QueriesSettings


def log_files(settings: QueriesSettings, *, base: Path, account: Account) -> list[LogFile]:
    """The files that a log consists of, sorted; of several ones hidden files and other formats are left out.

    Args:
        settings: They name a file, a folder (those below it count too) or a glob.
        base: The folder that it is relative to.
        account: Told which files are read, and which are left out.

    Raises:
        InputError: They name none, there is none, or none that is a table.
    """
    log = settings.log
    if log is None:
        raise InputError("[queries] names no log.", remedy="Name one as [queries].log.")
    path = base / log
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except OSError as error:
        raise unreadable(error, name=log) from error
    if not is_folder and (is_file or not glob.has_magic(log)):
        account.add("queries", Kind.FILE_READ, table_suffix(log) or Path(log).suffix, where=log)
        return [_log_file(path, log, settings, account)]
    pattern = f"{glob.escape(log)}/**" if is_folder else log
    files: list[LogFile] = []

    def unread(place: str) -> None:
        account.add("queries", Kind.FILE_NOT_READ, UNREADABLE_FOLDER, where=f"{place}/")

    for match in matching(base, pattern, on_unreadable=unread):
        path, name = base / match, Path(match).as_posix()
        if not path.is_file():
            continue
        suffix = table_suffix(match)
        kind = Kind.FILE_READ if suffix else Kind.FILE_NOT_READ
        account.add("queries", kind, suffix or Path(match).suffix or "without a suffix", where=name)
        if suffix:
            files.append(_log_file(path, name, settings, account))
    if not files:
        raise InputError(
            f"{log} holds no table that can be read as a log.",
            remedy=f"Name a file, a folder or a glob of files ending in {', '.join(TABLE_SUFFIXES)} as [queries].log.",
        )
    return files


def read_log(settings: QueriesSettings, *, base: Path, salt: bytes, account: Account) -> Iterator[LoggedQuery | BadRow]:
    """The rows of all files of a log, as ``read_query_log`` has them; of several files some may be empty.

    Args:
        settings: They name the log.
        base: The folder that it is relative to.
        salt: As for ``read_query_log``.
        account: Told which files were read, and what was taken for what.

    Raises:
        InputError: There is no such file, one cannot be read as a whole, or none has a row.
    """
    files = log_files(settings, base=base, account=account)
    is_empty = True
    for log in files:
        try:
            for row in read_query_log(log, salt=salt):
                is_empty = False
                yield row
        except EmptyLog:
            if len(files) == 1:
                raise
            log.file.tell(Kind.SKIPPED, "file without a row")
    if is_empty:
        raise EmptyLog(f"{settings.log} holds no query.", remedy="Check [queries].log; a log has at least one row.")


def _log_file(path: Path, name: str, settings: QueriesSettings, account: Account) -> LogFile:
    file = InputFile(path, name, "queries", account, settings.encoding)
    return LogFile(file, Columns(QUERIES, settings.columns.chosen))
