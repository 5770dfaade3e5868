"""Each file operation of a command, on a local disk, fails once with each error that it can have, or is the last one.

A recording run lists the operations. Then each (operation, failure) is tried on a fresh copy of the project: the
command meets the failure; readers are asked; the command is run once more, and the project compared with one in which
nothing failed. An operation is told by its call and its path, and by which of those that look the same it is, since
libraries with threads do not do everything in the same order each time.
"""

from __future__ import annotations

import shutil
import signal
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.faults.bench import Folders
from tests.faults.children import given_by, load, modules_after
from tests.faults.commands import CASES, PROJECT, Case, make_project, run
from tests.faults.left import STAGING, left_on_disk
from tests.faults.outcome import Tried, faults_of_message
from tests.faults.system_calls import Operation, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KILL = "SIGKILL"
INPUTS = ("nightrank.toml", "corpus.jsonl", "queries.jsonl", "qrels.tsv", "models")


class Point(NamedTuple):
    """A place at which something can fail.

    Attributes:
        operation: What is about to be done.
        time: Which of those that look the same, from 1.
        failure: The error's name, or SIGKILL.
    """

    operation: Operation
    time: int
    failure: str

    def __str__(self) -> str:
        return f"{self.failure} at {self.operation} ({self.time})"


class FilesBench:
    """A case with a project that is ready for it, one in which its command was not disturbed, and its points.

    Args:
        case: It.
        root: A folder of its own.
    """

    def __init__(self, case: Case, root: Path) -> None:
        self._folders = Folders(root)
        project = self._folders.trial / PROJECT
        load(given_by(lambda: modules_after(lambda: make_project(project, case)), root))
        shutil.copytree(self._folders.trial, self._folders.seed)
        self._arguments: list[str] = given_by(lambda: list(case.arguments(project)), root)
        self._operations: list[Operation] = []
        code = watched(lambda: self._folders.run_first(self._arguments), project, decide=self._operations.append)
        self._folders.require_undisturbed(case.name, code)
        self._folders.load_as_first()
        shutil.copytree(self._folders.trial, self._folders.undisturbed)

    @property
    def summary(self) -> str:
        """What an undisturbed run does."""
        return f"{len(self._operations)} file operations, {len(set(self._operations))} of them different"

    def points(self, *, every: bool) -> list[Point]:
        """All points, in the order in which their operations came first.

        Args:
            every: Of operations that look the same all, not the first and the last one alone.
        """
        return [
            Point(operation, time, failure)
            for operation, count in Counter(self._operations).items()
            for time in (range(1, count + 1) if every else sorted({1, count}))
            for failure in (*operation.errors, *([KILL] if operation.changes else []))
        ]

    def attempt(self, point: Point) -> Tried:
        """Have a command fail at a point, then see what holds."""
        shutil.rmtree(self._folders.trial)
        shutil.copytree(self._folders.seed, self._folders.trial)
        times = Counter[Operation]()

        def decide(operation: Operation) -> str | None:
            times[operation] += 1
            return point.failure if operation == point.operation and times[operation] == point.time else None

        code = self._disturbed(decide)
        met, told = times[point.operation] >= point.time, self._folders.told()
        if point.failure == KILL:
            faults = [] if code == -signal.SIGKILL or not met else [f"ended with {code}"]
        else:
            may_be = point.operation.path.startswith(INPUTS) or point.failure == "EACCES"
            faults = faults_of_message(code, told, may_be_the_users=may_be)
        faults += self._folders.faults_afterwards(self._arguments, left=self._left(point))
        return Tried(str(point), point.failure, met, told, faults)

    def _left(self, point: Point) -> str | None:
        """What a failure left; None where the file that it hit may hold half of something."""
        left = left_on_disk(self._folders.trial / PROJECT)
        is_read = not point.operation.changes and point.failure != KILL
        return left if is_read or STAGING in f"/{point.operation.path}" else None

    def _disturbed(self, decide: Callable[[Operation], str | None]) -> int:
        return watched(lambda: run(self._arguments, self._folders.trial), self._folders.trial / PROJECT, decide=decide)


@contextmanager
def opened() -> Iterator[Callable[[str, Path], FilesBench]]:
    """Makes cases ready, by name and folder."""
    yield lambda name, root: FilesBench(CASES[name], root)
