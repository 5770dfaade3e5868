"""Appends rows to a log by day: whole lines alone, from a thread of its own, so that no answer ever waits for a disk.

Several processes may write a log, each its own files. What is handed in is queued; where the queue is full, or the
disk, rows are lost, counted, and that is told once. A file ends in a whole line: what a crash of the machine left of
one is cut off when the file is next opened.
"""

from __future__ import annotations

import fcntl
import logging
import os
import queue
from datetime import UTC, date, datetime
from threading import Lock, Thread
from typing import TYPE_CHECKING, NamedTuple

from typing_extensions import override

from nightrank.storage.closing import Closing
from nightrank.storage.errors import InputError
from nightrank.storage.visits.days import file_of, remove_old, salt_of, salted
from nightrank.storage.visits.rows import line_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nightrank.storage.visits.rows import ClickRow, SearchRow

LINES_QUEUED = 10_000
LINES_AT_ONCE = 1_000
SECONDS_IDLE = 30.0  # after which it looks whether the day is over
LONGEST_LINE = 1 << 20
MOST_WRITERS = 64

_LOG = logging.getLogger(__name__)


class RowCounts(NamedTuple):
    """How many rows were written since the log was opened, and how many could not be."""

    written: int
    lost: int


class VisitLog(Closing):
    """A log that is open for writing. Threads may share one; nothing that they do waits or fails because of it.

    Args:
        folder: Its folder; it is made.
        keep_days: Days that files are kept; None: for ever.
        clock: What time it is, in UTC.

    Raises:
        InputError: The folder cannot be made or written.
    """

    def __init__(
        self, folder: Path, *, keep_days: int | None, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._folder, self._keep_days, self._clock = folder, keep_days, clock
        seat, self._writer = _seat(folder)
        self._seat: int | None = seat
        self._day: date | None = None
        self._file: int | None = None
        self._salting = Lock()
        self._salt: tuple[date, bytes] | None = None
        self._written = self._lost = 0
        self._is_failing = False
        self._lines: queue.Queue[tuple[date, bytes] | None] = queue.Queue(LINES_QUEUED)
        self._turn(clock().date())
        self._thread = Thread(target=self._work, name="query log", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> RowCounts:
        """What became of the rows so far."""
        return RowCounts(self._written, self._lost)

    def flush(self) -> None:
        """Wait until what was handed in so far is written, or lost."""
        self._lines.join()

    @override
    def close(self) -> None:
        """Write what is queued, and let go of the log."""
        if self._thread.is_alive():
            self._lines.put(None)
            self._thread.join()
        if self._seat is not None:
            os.close(self._seat)
            self._seat = None

    def write(self, row: SearchRow | ClickRow, *, at: datetime) -> None:
        """Hand in a row; it is lost where the queue is full.

        Args:
            row: As it is to be read.
            at: When it happened, in UTC: which day's file it goes to.
        """
        try:
            self._lines.put_nowait((at.date(), line_of(row)))
        except queue.Full:
            self._lose(1, "they come faster than they can be written")

    def user(self, session: str, *, at: datetime) -> str:
        """What stands for a session on a day, in UTC; nothing connects it with what stands for it on another."""
        day = at.date()
        with self._salting:
            if self._salt is None or self._salt[0] != day:
                self._salt = day, salt_of(self._folder, day)
            return salted(session, salt=self._salt[1])

    def _work(self) -> None:
        is_open = True
        while is_open:
            batch: list[tuple[date, bytes]] = []
            try:
                item = self._lines.get(timeout=SECONDS_IDLE)
                while item is not None:
                    batch.append(item)
                    if len(batch) == LINES_AT_ONCE:
                        break
                    item = self._lines.get_nowait()
                is_open = item is not None
            except queue.Empty:
                pass
            for day in sorted({day for day, _ in batch}):
                self._append(day, [line for of, line in batch if of == day])
            for _ in batch:
                self._lines.task_done()
            if not batch:
                self._turn(self._clock().date())
        self._let_go()

    def _append(self, day: date, lines: list[bytes]) -> None:
        try:
            _write_all(self._opened(day), b"".join(lines))
        except OSError as error:
            self._let_go()  # opened again, it is cut where its last whole line ends
            self._lose(len(lines), error.strerror or str(error))
            return
        self._written += len(lines)
        if self._is_failing:
            self._is_failing = False
            _LOG.warning("The query log %s is written again; %d rows were lost.", self._folder, self._lost)

    def _opened(self, day: date) -> int:
        """The file of a day, the one that has its name now."""
        path = file_of(self._folder, day, writer=self._writer)
        if self._file is not None:
            try:
                if self._day == day and os.path.samestat(path.stat(), os.fstat(self._file)):
                    return self._file
            except FileNotFoundError:  # somebody took it away, to keep it elsewhere
                pass
            self._let_go()
        self._turn(day)
        self._folder.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            _cut_torn_line(file, path)
        except BaseException:
            os.close(file)
            raise
        self._file = file
        return file

    def _let_go(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _turn(self, day: date) -> None:
        """Begin a day: what is too old goes, and the salt of the day before."""
        if day == self._day:
            return
        self._day = day
        try:
            remove_old(self._folder, today=self._clock().date(), keep_days=self._keep_days)
        except OSError as error:
            _LOG.warning("What is too old stays in the query log %s: %s", self._folder, error.strerror)

    def _lose(self, rows: int, why: str) -> None:
        self._lost += rows
        if not self._is_failing:
            self._is_failing = True
            _LOG.warning("Rows of the query log %s are lost: %s. Searches are answered as before.", self._folder, why)


def _seat(folder: Path) -> tuple[int, int]:
    """A lock that nobody else holds, which has to be kept open, and its number, from 1."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, MOST_WRITERS + 1):
            descriptor = os.open(folder / f".lock-{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            else:
                return descriptor, number
    except OSError as error:
        message = f"The query log {folder} cannot be written: {error.strerror}."
        raise InputError(message, remedy='Name another folder as [serve].log, or "none".') from error
    message = f"{MOST_WRITERS} processes write the query log {folder} already."
    raise InputError(message, remedy="Name another folder as [serve].log.")


def _write_all(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def _cut_torn_line(file: int, path: Path) -> None:
    """Cut off what a crash left of a line at a file's end."""
    size = os.fstat(file).st_size
    start = max(0, size - LONGEST_LINE)
    tail = os.pread(file, size - start, start)
    whole = tail.rfind(b"\n") + 1
    if whole < len(tail):
        os.ftruncate(file, start + whole)
        _LOG.warning("%s ended in the midst of a row, which was cut off.", path)
