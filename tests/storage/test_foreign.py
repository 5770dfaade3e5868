from __future__ import annotations

import errno
import os
import sqlite3
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.foreign import machine_error, passing_failure, placed

if TYPE_CHECKING:
    from pathlib import Path

FULL = "No space left on device"


def raised_from(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def listed_by_lance(status: str, code: str) -> Exception:
    """A store's answer as LanceDB quotes it: between names of settings that are words of other failures."""
    return ValueError(
        "Invalid input, Failed to connect to namespace: IO { source: Generic { RetryError { max_retries: 3, "
        f"retry_timeout: 1s, inner: Status {{ status: {status}, body: <Error><Code>{code}</Code> }} }} }}, "
        "/rust/lance-io-13.0.0/src/object_store.rs"
    )


@pytest.mark.parametrize(
    ("error", "says", "remedy"),
    [
        (OSError(errno.ENOSPC, FULL, "/data/w"), "/data/w: No space left on device.", "Make room"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "Disk quota exceeded.", "quota"),
        (PermissionError(errno.EACCES, "Permission denied", "/data/w"), "/data/w: Permission denied.", "may read"),
        (OSError(errno.ENOLCK, "No locks available"), "No locks available.", "locks"),
        (duckdb.IOException(f"IO Error: Could not write file: {FULL}"), "IO Error", "Make room"),
        (duckdb.FatalException("FATAL Error: fsync failed!"), "fsync failed", "system's log"),
        (
            duckdb.IOException('Cannot open database "/a" in read-only mode: database does not exist'),
            "/a",
            "is mounted",
        ),
        (sqlite3.OperationalError("database or disk is full"), "database or disk is full.", "Make room"),
        (pa.ArrowException(f"Error writing bytes to file. Detail: [errno 28] {FULL}"), "Error writing", "Make room"),
        (RuntimeError(f"lance error: LanceError(IO): {FULL}, /rust/lance/src/io.rs:1"), "lance error", "Make room"),
        (RuntimeError("LanceError(IO): Generic S3 error: ExpiredToken: the token has expired"), "LanceError", "Renew"),
        (listed_by_lance("400", "ExpiredToken"), "Failed to connect", "Renew"),
        (listed_by_lance("403", "AccessDenied"), "Failed to connect", "may read and write"),
        (listed_by_lance("500", "InternalError"), "Failed to connect", "is reached"),
        (
            RuntimeError(
                "lance error: LanceError(IO): The operation lacked the necessary privileges to complete for a"
            ),
            "privileges",
            "may read and write",
        ),
        (
            RuntimeError("LanceError(IO): Error performing HEAD http://s/a in 1 ms - status code: 400 Bad Request"),
            "LanceError",
            "Renew",
        ),
        (
            raised_from(RuntimeError("wrapped"), OSError(errno.EIO, "Input/output error")),
            "Input/output",
            "system's log",
        ),
        (MemoryError(), "not enough memory", "more memory"),
    ],
)
def test_a_failure_is_told_with_what_to_do(error: Exception, says: str, remedy: str) -> None:
    told = machine_error(error)
    assert told is not None
    assert says in told.message
    assert remedy in told.remedy
    assert told.exit_code == 1


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        ValueError("timeout is not a number"),
        RuntimeError("no space left"),
        ValueError("the balance timed out"),
        FileExistsError(errno.EEXIST, "File exists", "/data/timeouts"),
        duckdb.BinderException('Binder Error: Referenced column "timeout_s" not found'),
        InputError("ours"),
    ],
)
def test_what_may_be_a_fault_of_ours_stays_what_it_is(error: Exception) -> None:
    assert machine_error(error) is None


def test_what_happened_before_and_was_dealt_with_does_not_count() -> None:
    error = KeyError("bug")
    error.__context__ = OSError(errno.ENOSPC, FULL)
    assert machine_error(error) is None


def test_a_long_message_is_cut_and_is_one_line() -> None:
    told = machine_error(duckdb.IOException(f"IO Error: {FULL}\n" + "x" * 5000))
    assert told is not None
    assert "\n" not in told.message
    assert len(told.message) < 400


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_real_failure_names_its_file(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OSError) as caught:  # noqa: PT011
        (tmp_path / "file").write_text("")
    told = machine_error(caught.value)
    assert told is not None
    assert str(tmp_path) in told.message


def test_a_table_that_is_gone_is_told_by_its_path_without_the_statement_that_asked_for_it(tmp_path: Path) -> None:
    path = tmp_path / "chunks.parquet"
    with duckdb.connect() as connection, pytest.raises(duckdb.IOException) as gone:
        connection.execute("SELECT count(*) FROM read_parquet($path, hive_partitioning = false)", {"path": str(path)})
    told = machine_error(gone.value)
    assert told is not None
    assert str(path) in told.message
    assert "SELECT" not in told.message
    assert "its disk is mounted" in told.remedy


def test_what_a_library_tells_without_a_place_says_where_it_was_and_no_line_of_its_source(tmp_path: Path) -> None:
    said = "lance error: LanceError(IO): Permission denied (os error 13), /registry/src/commit.rs:1663:50"
    with pytest.raises(MachineError) as caught, placed(tmp_path):
        raise RuntimeError(said)
    assert caught.value.message == f"{tmp_path}: lance error: LanceError(IO): Permission denied (os error 13)."
    with pytest.raises(KeyError), placed(tmp_path):
        raise KeyError("a fault of ours")


@pytest.mark.parametrize("number", [errno.EIO, errno.ETIMEDOUT, errno.ENOSPC])
def test_a_file_that_the_machine_does_not_give_is_no_fault_of_the_file(number: int) -> None:
    found = passing_failure(OSError(number, "it", "corpus.jsonl"))
    assert found is not None
    assert found.message == "corpus.jsonl: it."
    assert passing_failure(FileNotFoundError(errno.ENOENT, "it", "corpus.jsonl")) is None


def test_a_failure_without_a_place_is_told_with_what_was_read() -> None:
    nameless, named = OSError(errno.EIO, "Input/output error"), OSError(errno.EIO, "Input/output error", "/models/a")

    assert str(passing_failure(nameless, where="/models/b")).startswith("/models/b: Input/output error.")
    assert str(passing_failure(named, where="/models/a")).startswith("/models/a: Input/output error.")
    assert passing_failure(FileNotFoundError(errno.ENOENT, "No such file"), where="/models/a") is None
