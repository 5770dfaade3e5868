"""The log of what people judged: a line a key that was pressed, brought to the disk before anything else happens.

Nothing in it is ever changed: to undo is a line, too. It ends in a whole line; what a crash of the machine left of one
is cut off when it is next opened, and a whole one that only lacks its end, as editors leave it, gets that.
One process writes it at a time.

    {"at": "2026-05-01T12:00:00+00:00", "judge": "Ann", "query_id": "q1", "document_id": "d7", "act": "grade",
     "grade": 2, "query": "wild yeast"}
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Literal

import msgspec
from typing_extensions import override

from nightrank.storage.closing import Closing
from nightrank.storage.errors import InputError, WorkspaceBusy
from nightrank.storage.files.text import plain_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FILE = "people.jsonl"


class Act(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key that a judge pressed.

    Attributes:
        at: When, ISO 8601.
        judge: Their name.
        query_id: What was judged.
        document_id: Likewise.
        act: What became of it.
        grade: 0 to 3; None of what is no grade.
        query: Its text, for whoever reads the log.
    """

    at: str
    judge: str
    query_id: str
    document_id: str
    act: Literal["grade", "skip", "undo"]
    grade: int | None = None
    query: str = ""


_DECODER, _ENCODER = msgspec.json.Decoder(Act), msgspec.json.Encoder()


class GradeLog(Closing):
    """The log, open for writing; a context manager.

    Args:
        folder: Where it lies; made where it is missing.

    Raises:
        InputError: It cannot be written, or a line of it is none of ours.
        WorkspaceBusy: Another process writes it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        except OSError as error:
            message = f"{self.path} cannot be written: {error.strerror}."
            raise InputError(message, remedy="Name another folder as [judge].folder.") from error
        try:
            self._hold()
            self.acts: list[Act] = self._read()
        except OSError as error:
            os.close(self._file)
            message = f"{self.path} cannot be read or mended: {error.strerror}."
            raise InputError(message, remedy="See whether its disk is whole, and has room.") from error
        except BaseException:
            os.close(self._file)
            raise

    @override
    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def add(self, act: Act) -> None:
        """Add a line; when this returns, it is on the disk.

        Raises:
            OSError: The disk does not take it; what of the line was written is taken back.
        """
        line = _ENCODER.encode(act) + b"\n"
        end = os.fstat(self._file).st_size
        try:
            left = memoryview(line)
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except BaseException:
            os.ftruncate(self._file, end)
            raise
        self.acts.append(act)

    def take_back(self) -> None:
        """Have the line that was added last never said, where what had to follow it failed."""
        line = _ENCODER.encode(self.acts[-1]) + b"\n"
        os.ftruncate(self._file, os.fstat(self._file).st_size - len(line))
        self.acts.pop()

    def _hold(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"Another process is writing {self.path}."
            raise WorkspaceBusy(message, remedy="Judge in its page, or end it first.") from error

    def _read(self) -> list[Act]:
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        acts = read_acts(data[:whole], name=str(self.path))
        if whole < len(data):
            try:
                acts += read_acts(data[whole:], name=str(self.path))
            except InputError:
                os.ftruncate(self._file, whole)
            else:
                os.write(self._file, b"\n")
        return acts


def read_acts(data: bytes, *, name: str) -> list[Act]:
    """The lines of a log.

    Args:
        data: Of the file.
        name: Its own, for people.

    Raises:
        InputError: A line is none of ours.
    """
    acts = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            act = _DECODER.decode(line)
            if act.grade not in (range(4) if act.act == "grade" else (None,)):
                raise ValueError(f"the grade {act.grade!r} of what is called {act.act}")
        except (ValueError, RecursionError) as error:
            message = f"{name}, row {number}: {plain_text(str(error))[:200]}."
            raise InputError(message, remedy="Mend or remove that line; others stand for themselves.") from error
        acts.append(act)
    return acts


def standing(acts: Sequence[Act]) -> dict[str, dict[tuple[str, str], int | None]]:
    """What each judge says in the end, by their name: of each pair a grade, or None where it was skipped."""
    found: dict[str, dict[tuple[str, str], int | None]] = {}
    for act in acts:
        of_judge = found.setdefault(act.judge, {})
        of_judge.pop((act.query_id, act.document_id), None)  # what comes again comes last
        if act.act != "undo":
            of_judge[act.query_id, act.document_id] = act.grade
    return found


def grades_of(acts: Sequence[Act]) -> dict[str, dict[tuple[str, str], int]]:
    """The grades of each judge by their name, without what was skipped; judges without any are not there."""
    found = {
        judge: {pair: grade for pair, grade in said.items() if grade is not None}
        for judge, said in standing(acts).items()
    }
    return {judge: grades for judge, grades in found.items() if grades}
