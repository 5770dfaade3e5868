from __future__ import annotations

import errno
import json
import os
import select
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError, MachineError, WorkspaceBusy
from nightrank.storage.files.atomic import write_text
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.faults.system_calls import is_possible, watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.storage.workspace.base import Workspace

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

# Holds the workspace named by its argument until it is killed.
HOLDER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from nightrank.storage.workspace.folder import FolderWorkspace

workspace = FolderWorkspace(Path(sys.argv[1]))
with workspace.writing(now=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)):
    workspace.staging("half").mkdir(parents=True)
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return FolderWorkspace(tmp_path / "workspace")


@pytest.fixture
def holder(place: Workspace) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the workspace."""
    command = [sys.executable, "-c", HOLDER, str(place.root)]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_writer_fails_at_once_and_is_told_who_holds_it(
    place: Workspace, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(WorkspaceBusy) as caught, place.writing(now=NOW):
        pass
    assert f'"pid": {holder.pid}' in caught.value.message
    assert "2026-01-02T03:04:05+00:00" in caught.value.message
    assert caught.value.remedy
    assert place.staging("half").is_dir()  # the other's work is left alone
    assert holder.poll() is None


def test_a_killed_writer_blocks_nobody_and_its_staging_is_removed(
    place: Workspace, holder: subprocess.Popen[str]
) -> None:
    holder.kill()
    holder.wait()
    assert (place.root / ".lock").is_file()
    assert place.staging("half").is_dir()
    with place.writing(now=NOW):
        assert not place.staging("half").exists()


def test_the_same_process_is_no_second_writer_either(place: Workspace) -> None:
    with place.writing(now=NOW), pytest.raises(WorkspaceBusy, match=f'"pid": {os.getpid()}'), place.writing(now=NOW):
        pass


def test_a_writer_leaves_releases_alone(place: Workspace) -> None:
    place.release("r1").mkdir(parents=True)
    with place.writing(now=NOW):
        pass
    assert place.release("r1").is_dir()


def fail_in(place: Workspace, *, leaving: Path | None = None) -> None:
    with place.writing(now=NOW):
        place.releases.mkdir(exist_ok=True)
        if leaving is not None:
            leaving.parent.mkdir()
            leaving.write_text("dear")
        raise RuntimeError("the run fails")


def test_the_lock_is_free_after_a_run_that_failed(place: Workspace) -> None:
    place.release("r1").mkdir(parents=True)
    with pytest.raises(RuntimeError, match="the run fails"):
        fail_in(place)
    with place.writing(now=NOW):
        pass


def test_a_workspace_made_by_a_run_that_failed_is_gone_again(place: Workspace) -> None:
    with pytest.raises(RuntimeError, match="the run fails"):
        fail_in(place)
    assert not place.root.exists()


def test_what_a_run_that_failed_left_behind_is_kept(place: Workspace) -> None:
    with pytest.raises(RuntimeError, match="the run fails"):
        fail_in(place, leaving=place.memo / "scores")
    assert (place.memo / "scores").read_text() == "dear"


def test_an_empty_folder_that_the_user_made_stays(place: Workspace) -> None:
    place.root.mkdir()
    with place.writing(now=NOW):
        pass
    assert list(place.root.iterdir()) == []


def test_a_workspace_that_cannot_be_made_is_the_users_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"), FolderWorkspace(tmp_path / "file").writing(now=NOW):
        pass


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="a folder in which nothing can be made, whoever asks")
def test_a_folder_that_cannot_be_made_is_told_and_not_tried_for_ever() -> None:
    with (
        pytest.raises(InputError, match=r"cannot be (made|written)"),
        FolderWorkspace(Path("/proc/nowhere/workspace")).writing(now=NOW),
    ):
        pass


def test_a_file_system_without_locks_stops_writers_and_not_readers(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with place.writing(now=NOW):
        (place.root / "lance").mkdir(parents=True)
        place.make_readers_lock()
    called: list[int] = []

    def no_locks(descriptor: int, operation: int) -> None:
        called.append(operation)
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_locks)
    with place.reading():
        pass
    with pytest.raises(MachineError, match="gives no locks"), place.writing(now=NOW):
        pass
    with place.without_readers() as alone:
        assert not alone
    assert len(called) == 3


def test_a_lock_file_that_cannot_be_removed_fails_no_run_that_is_done_and_names_none(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(path: Path, **_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    with monkeypatch.context() as patched, place.writing(now=NOW, run="f00"):
        (place.root / "kept").touch()
        patched.setattr(Path, "unlink", failing)
    assert (place.root / ".lock").read_bytes() == b""
    with place.writing(now=NOW, run="f01") as abandoned:
        assert abandoned is None
    assert not (place.root / ".lock").exists()


@pytest.mark.skipif(not is_possible(), reason="system calls are watched on Linux alone")
@pytest.mark.parametrize("call", ["pread64", "ftruncate", "pwrite64"])
def test_a_lock_file_that_the_disk_fails_is_named(place: Workspace, call: str) -> None:
    place.root.mkdir()

    def hold() -> int:
        try:
            with place.writing(now=NOW):
                return 0
        except OSError as error:
            return 1 if str(error.filename) == str(place.root / ".lock") else 3

    assert watched(hold, place.root, decide=lambda operation: "EIO" if operation.call == call else None) == 1


def test_nothing_is_current_before_the_first_release(place: Workspace) -> None:
    assert place.current_release_id() is None
    with pytest.raises(InputError, match="no published release"):
        place.require_current()


def test_the_pointer_names_the_last_release_it_was_pointed_at(place: Workspace) -> None:
    place.root.mkdir()
    place.publish("r1", now=NOW)
    place.publish("r2", now=NOW)
    assert place.current_release_id() == place.require_current() == "r2"
    assert [path.name for path in place.root.iterdir()] == ["current.json"]
    assert json.loads((place.root / "current.json").read_text()) == {
        "release_id": "r2",
        "published_at": "2026-01-02T03:04:05+00:00",
    }


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[]", b'"r1"', b"{}", b'{"release_id": null}', b'{"release_id": 7}']
)
def test_a_damaged_pointer_is_an_error_and_never_no_release(place: Workspace, content: bytes) -> None:
    place.root.mkdir()
    (place.root / "current.json").write_bytes(content)
    with pytest.raises(MachineError) as caught:
        place.current_release_id()
    assert "current.json" in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize(
    "release_id", ["", ".", "..", "../r1", "a/b", "/etc", ".staging-r1", "r1\n", "a\\b", "r 1", "\u00e9"]
)
def test_a_pointer_that_leaves_the_releases_is_refused(place: Workspace, release_id: str) -> None:
    place.root.mkdir()
    place.publish(release_id, now=NOW)
    with pytest.raises(MachineError, match="is not a release id"):
        place.current_release_id()


def test_a_pointer_that_cannot_be_read_is_an_error(place: Workspace) -> None:
    (place.root / "current.json").mkdir(parents=True)
    with pytest.raises(MachineError, match="does not name a release"):
        place.current_release_id()


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "current.json"
    write_text(path, "old")

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"


READER = """
import sys
from pathlib import Path
from nightrank.storage.workspace.folder import FolderWorkspace

with FolderWorkspace(Path(sys.argv[1])).reading():
    print("reading", flush=True)
    sys.stdin.read()
"""


def reader(place: Workspace) -> subprocess.Popen[str]:
    """Another process that reads, or waits until it may, until its input ends."""
    command = [sys.executable, "-c", READER, str(place.root)]
    root = Path(__file__).parents[3]
    return subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_readers_read_together_and_keep_their_files_until_the_last_has_ended(place: Workspace) -> None:
    (place.root / "lance").mkdir(parents=True)
    with reader(place) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "reading\n"
        with place.reading(), place.without_readers() as alone:
            assert not alone
        with place.without_readers() as alone:
            assert not alone
        other.kill()
        other.wait()
        with place.without_readers() as alone:
            assert alone


def test_a_reader_that_comes_while_files_are_removed_waits(place: Workspace) -> None:
    (place.root / "lance").mkdir(parents=True)
    with place.without_readers() as alone:
        assert alone
        other = reader(place)
        assert other.stdout is not None
        assert select.select([other.stdout], [], [], 0.5)[0] == []
    with other:
        assert other.stdout.readline() == "reading\n"
        other.communicate("")


def test_reading_where_there_is_nothing_makes_nothing(place: Workspace) -> None:
    with place.reading():
        pass
    assert not place.root.exists()


def test_readers_and_the_writer_do_not_wait_for_each_other(place: Workspace) -> None:
    (place.root / "lance").mkdir(parents=True)
    with place.reading(), place.writing(now=NOW):
        pass
    with place.writing(now=NOW), place.reading():
        pass
