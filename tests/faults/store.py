"""Each request of a command to its object store fails, and all after it: a token that expired, access that was taken
away, a store that is faulty or does not answer; or it is the last thing that the process does.

Requests of LanceDB are among them. One failure passes: the store asks once to be asked more slowly.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.faults.bench import Folders
from tests.faults.children import ended, given_by, load, modules_after
from tests.faults.commands import CASES, PROJECT, Case, make_project, run
from tests.faults.outcome import Tried, faults_of_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMES = ("prune", "rollback", "export", "train promote", "first night", "night")
FAILURES = ("EXPIRED", "DENIED", "FAULTY", "SILENT", "SLOW", "SIGKILL")
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
RETRY_SECONDS = 1.0


class Request(NamedTuple):
    """A place at which something can fail: which request, which of those that look the same (from 1), and how."""

    request: str
    time: int
    failure: str

    def __str__(self) -> str:
        return f"{self.failure} at {self.request} ({self.time})"


class Store(NamedTuple):
    """An object store behind a door."""

    address: str

    def ask(self, what: str, order: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 (JSON)
        """Ask the door."""
        data = None if order is None else json.dumps(order).encode()
        with urllib.request.urlopen(f"{self.address}/-/{what}", data=data) as answer:
            return json.load(answer)


class StoreBench:
    """A case whose workspace is in the store, ready for it, and its points.

    Args:
        case: It.
        root: A folder of its own.
        store: The store.
    """

    def __init__(self, case: Case, root: Path, store: Store) -> None:
        self._store = store
        self._folders = Folders(root)
        project = self._folders.trial / PROJECT
        store.ask("begin", {})
        for bucket in ("trial", "seed", "whole"):
            store.ask("copy", {"from": "", "to": bucket})
        settings: dict[str, dict[str, Any]] = {"": {"workspace": "s3://trial/nights"}, "storage": self._storage()}
        load(given_by(lambda: modules_after(lambda: make_project(project, case, settings)), root))
        store.ask("copy", {"from": "trial", "to": "seed"})
        shutil.copytree(self._folders.trial, self._folders.seed)
        self._arguments: list[str] = given_by(lambda: list(case.arguments(project)), root)
        code = self._disturbed(None, first=True)
        self._folders.require_undisturbed(case.name, code)
        self._folders.load_as_first()
        self._requests: list[str] = store.ask("seen")
        store.ask("copy", {"from": "trial", "to": "whole"})
        shutil.copytree(self._folders.trial, self._folders.undisturbed)
        text = (self._folders.undisturbed / PROJECT / "nightrank.toml").read_text(encoding="utf-8")
        (self._folders.undisturbed / PROJECT / "nightrank.toml").write_text(text.replace("s3://trial/", "s3://whole/"))

    @property
    def summary(self) -> str:
        """What an undisturbed run does."""
        return f"{len(self._requests)} requests, {len(set(self._requests))} of them different"

    def points(self, *, every: bool) -> list[Request]:
        """All points, as of file operations."""
        return [
            Request(request, time, failure)
            for request, count in Counter(self._requests).items()
            for time in (range(1, count + 1) if every else sorted({1, count}))
            for failure in FAILURES
        ]

    def attempt(self, point: Request) -> Tried:
        """Have a command fail at a point, then see what holds."""
        self._store.ask("copy", {"from": "seed", "to": "trial"})
        shutil.rmtree(self._folders.trial)
        shutil.copytree(self._folders.seed, self._folders.trial)
        code = self._disturbed(point)
        met, told = Counter(self._store.ask("seen"))[point.request] >= point.time, self._folders.told()
        self._store.ask("begin", {})
        if point.failure == "SIGKILL":
            faults = [] if code == -signal.SIGKILL or not met else [f"ended with {code}"]
        elif point.failure == "SLOW":
            faults = [] if code == 0 else [f"ended with {code}"]
        else:
            faults = faults_of_message(code, told, may_be_the_users=point.failure == "DENIED")
            credentials = "credential" in told.lower()
            if not faults and code != 0 and point.failure == "EXPIRED" and not credentials:
                faults = ["it does not say that credentials are the cause"]
        return Tried(
            str(point), point.failure, met, told, faults + self._folders.faults_afterwards(self._arguments, left=None)
        )

    def _storage(self) -> dict[str, Any]:
        """No lease is renewed while a command runs, and a dead one's is over at once: its owner is this copy."""
        return {
            "endpoint": self._store.address,
            "allow_http": True,
            "cache": "../cache",
            "retry_seconds": RETRY_SECONDS,
            "lease_seconds": 12.0,
        }

    def _disturbed(self, point: Request | None, *, first: bool = False) -> int:
        at = None if point is None else [point.request, point.time]
        failure = None if point is None else point.failure

        def work() -> int:
            self._store.ask("begin", {"pid": os.getpid(), "at": at, "failure": failure})
            return self._folders.run_first(self._arguments) if first else run(self._arguments, self._folders.trial)

        return ended(work)


@contextmanager
def opened() -> Iterator[Callable[[str, Path], StoreBench]]:
    """Makes cases ready, by name and folder, in a store that is there as long as the block."""
    os.environ.update(CREDENTIALS)
    command = [sys.executable, "-m", "tests.faults.store_process"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        store = Store(process.stdout.readline().strip())
        yield lambda name, folder: StoreBench(CASES[name], folder, store)
