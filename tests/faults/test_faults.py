"""Failures of the disk and of the store, one by one: samples of what ``make test-faults`` tries all of."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import MachineError
from nightrank.storage.files.atomic import remove_unfinished
from nightrank.storage.foreign import machine_error
from nightrank.storage.workspace.base import POINTER
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.faults.store_process import told
from tests.faults.system_calls import Operation, is_possible, watched

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 1, 2, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not is_possible(), reason="system calls are watched on Linux alone")


@pytest.fixture
def workspace(tmp_path: Path) -> FolderWorkspace:
    made = FolderWorkspace(tmp_path / "workspace")
    made.root.mkdir()
    made.publish("first", now=NOW)
    return made


def publishing(workspace: FolderWorkspace) -> Callable[[], int]:
    """Publishes in a child; its exit code is 1 where it failed and the failure is told with its place and a remedy."""

    def publish() -> int:
        try:
            workspace.publish("second", now=NOW)
        except OSError as error:
            found = machine_error(error)
            return 1 if found is not None and str(workspace.root) in found.message and found.remedy else 3
        return 0

    return publish


def test_after_any_failure_while_publishing_readers_see_a_release_and_publishing_again_mends(
    workspace: FolderWorkspace,
) -> None:
    operations: list[Operation] = []
    assert watched(publishing(workspace), workspace.root, decide=operations.append) == 0
    assert {operation.call for operation in operations} >= {"openat", "write", "fsync"}
    before = list(workspace.root.iterdir())
    tried = Counter[str]()
    for place, operation in enumerate(operations):
        for failure in (*operation.errors, "SIGKILL"):
            workspace.publish("first", now=NOW)

            def decide(_: Operation, failure: str = failure, waits: list[int] = [place]) -> str | None:  # noqa: B006
                waits[0] -= 1
                return failure if waits[0] == -1 else None

            code = watched(publishing(workspace), workspace.root, decide=decide)

            assert code in ({-9} if failure == "SIGKILL" else {0, 1}), (operation, failure)
            assert workspace.current_release_id() in ({"second"} if code == 0 else {"first", "second"})
            workspace.publish("second", now=NOW)
            assert workspace.current_release_id() == "second"
            remove_unfinished(workspace.root, POINTER)
            assert list(workspace.root.iterdir()) == before
            tried[failure] += 1
    assert min(tried[failure] for failure in ("ENOSPC", "EIO", "ETIMEDOUT", "SIGKILL")) >= 4


def test_a_pointer_that_the_disk_does_not_give_is_no_reason_to_remove_it(workspace: FolderWorkspace) -> None:
    def read() -> int:
        try:
            workspace.current_release_id()
        except MachineError as error:
            return 1 if "Input/output error" in error.message and "remove" not in error.remedy else 3
        return 0

    def decide(operation: Operation) -> str | None:
        return "EIO" if operation.call == "read" else None

    assert watched(read, workspace.root, decide=decide) == 1


def test_requests_of_two_runs_are_told_by_the_same_names() -> None:
    first = told("PUT", "/trial/nights/releases/20260102T030405-678Z/manifest.json?x-id=PutObject")
    assert first == told("PUT", "/trial/nights/releases/20260102T030406-001Z/manifest.json")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("on", "case"),
    [
        *(("files", case) for case in ("first night", "night", "prune", "rollback", "export", "train promote")),
        ("files", "tune --write"),
        *(("store", case) for case in ("night", "prune", "rollback", "train promote")),
    ],
)
def test_a_sample_of_all_places_of_a_command(on: str, case: str, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    command = [sys.executable, "-m", "tests.faults", "--on", on, "--case", case, "--sample", "8"]
    ended = subprocess.run(
        [*command, "--journal", str(journal)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert sum(json.loads(line)["met"] for line in journal.read_text().splitlines()) >= 4
