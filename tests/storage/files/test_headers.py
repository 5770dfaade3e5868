"""What is in a DuckDB file stays in it, whatever fails as it is opened: real failures of the system's calls."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from nightrank.storage.errors import MachineError
from nightrank.storage.files.database import connect, connect_for_writing, only_row
from nightrank.storage.files.headers import log_of
from nightrank.storage.foreign import machine_error
from tests.faults.system_calls import is_possible, watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.system_calls import Operation

pytestmark = pytest.mark.skipif(not is_possible(), reason="system calls are watched on Linux alone")

ROWS = 50_001  # the last of them in the log
KILLED = """
import os, sys
from pathlib import Path
from nightrank.storage.files.database import connect

memo = connect(Path(sys.argv[1]))
memo.execute("CREATE TABLE rows AS SELECT range AS row FROM range(50000)")
memo.execute("CHECKPOINT")
memo.execute("INSERT INTO rows VALUES (-1)")
os._exit(0)
"""
HOLDER = """
import sys
from pathlib import Path
from nightrank.storage.files.database import connect

held = connect(Path(sys.argv[1]), read_only=True)
print("held", flush=True)
sys.stdin.readline()
"""
WRITER = """
import sys
from pathlib import Path
from nightrank.storage.errors import WorkspaceBusy
from nightrank.storage.files.database import connect_for_writing

try:
    connect_for_writing(Path(sys.argv[1]), patience_seconds=0.0).close()
except WorkspaceBusy:
    print("busy")
"""


def python(code: str, path: Path) -> str:
    root = Path(__file__).parents[3]
    return subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=root, check=True, capture_output=True
    ).stdout.decode()


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    """A file whose last row is in its log alone, as of a process that was killed."""
    path = tmp_path / "seed" / "memo.duckdb"
    path.parent.mkdir()
    python(KILLED, path)
    assert log_of(path).stat().st_size > 0
    return path


@pytest.fixture
def memo(seed: Path, tmp_path: Path) -> Path:
    (tmp_path / "memo").mkdir()
    return copied(seed, tmp_path / "memo" / "memo.duckdb")


def copied(seed: Path, path: Path) -> Path:
    for source, target in ((seed, path), (log_of(seed), log_of(path))):
        target.write_bytes(source.read_bytes())
    return path


def rows(path: Path) -> int:
    with closing(connect(path)) as connection:
        return int(only_row(connection, "SELECT count(*) FROM rows")[0])


def opening(path: Path) -> int:
    """Opens it, as a child; whether all rows were there, or it failed with a message."""
    try:
        with closing(connect_for_writing(path, patience_seconds=0.0)) as connection:
            return 0 if only_row(connection, "SELECT count(*) FROM rows") == (ROWS,) else 3
    except (MachineError, duckdb.Error, OSError) as error:
        told = machine_error(error)
        return 1 if isinstance(error, MachineError) or (told is not None and told.remedy) else 4


def test_a_file_is_whole_after_any_failure_as_it_is_opened(seed: Path, memo: Path) -> None:
    operations: list[Operation] = []
    assert watched(lambda: opening(memo), memo.parent, decide=operations.append) == 0
    failed = 0
    for place, operation in enumerate(operations):
        copied(seed, memo)
        waits = iter(range(len(operations)))

        def decide(_: Operation, place: int = place, waits: Iterator[int] = waits) -> str | None:
            return "EIO" if next(waits, None) == place else None

        code = watched(lambda: opening(memo), memo.parent, decide=decide)

        assert code in {0, 1}, operation
        assert rows(memo) == ROWS, operation
        assert [path for path in memo.parent.iterdir() if path not in {memo, log_of(memo)}] == []
        failed += code
    assert failed > 10


@pytest.mark.parametrize("then", ["openat+", "pwrite64", "fdatasync"])
def test_a_disk_that_goes_on_failing_while_an_empty_database_is_written_loses_nothing(memo: Path, then: str) -> None:
    """Not looked at, so taken for missing; then what would be written in its place fails too, once."""
    met: list[str] = []

    def decide(operation: Operation) -> str | None:
        told = str(operation).partition(" ")[0]
        # The file is looked at first by us, and once more by DuckDB after it has read how it begins.
        if not met and told == "stat" and "pread64" in seen and operation.path == memo.name:
            met.append(told)
            return "EIO"
        seen.add(told)
        if len(met) == 1 and told == then and operation.path == memo.name:
            met.append(told)
            return "EIO"
        return None

    seen: set[str] = set()
    assert watched(lambda: opening(memo), memo.parent, decide=decide) == 1
    assert met == ["stat", then]
    assert rows(memo) == ROWS


def test_a_log_that_readers_rely_on_is_there_still_after_a_writer_did_not_see_the_file(memo: Path) -> None:
    seen: set[str] = set()

    def decide(operation: Operation) -> str | None:
        is_it = operation.call == "stat" and operation.path == memo.name and "pread64" in seen
        seen.add(operation.call)
        return "EACCES" if is_it else None

    command = [sys.executable, "-c", HOLDER, str(memo)]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with suppress(MachineError):
            watched(lambda: opening(memo), memo.parent, decide=decide)
        assert log_of(memo).stat().st_size > 0
        process.communicate("")
    assert rows(memo) == ROWS


def test_who_opens_a_file_that_this_process_has_open_leaves_it_locked(memo: Path) -> None:
    with closing(connect_for_writing(memo)):
        connect_for_writing(memo).close()
        assert python(WRITER, memo) == "busy\n"
    assert python(WRITER, memo) == ""


def test_a_file_that_holds_no_table_yet_is_opened_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "memo.duckdb"
    connect_for_writing(path).close()
    before = path.read_bytes()
    connect_for_writing(path).close()
    assert path.read_bytes() == before
    descriptors = len(os.listdir("/dev/fd"))  # noqa: PTH208 (numbers)
    connect_for_writing(path).close()
    assert len(os.listdir("/dev/fd")) == descriptors  # noqa: PTH208
