from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from nightrank.storage.bucket.shards import FolderInBucket, FolderOnDisk, SharedFile
from nightrank.storage.errors import MachineError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.object_store import Bucket

TABLE = pa.table({"key": ["a", "b"], "number": pa.array([1, 2], pa.int32())})
KEYS = "releases/.staging-r1/shards"


@pytest.fixture
def folder(tmp_path: Path) -> FolderOnDisk:
    made = FolderOnDisk(tmp_path / "staging" / "shards")
    made.make()
    return made


def test_a_table_reads_as_it_was_written(folder: FolderOnDisk) -> None:
    written = folder.write("texts-000000", TABLE)

    assert written.read() == TABLE
    assert written.rows == 2


def test_what_was_removed_is_not_there(folder: FolderOnDisk) -> None:
    written = folder.write("texts-000000", TABLE)
    written.remove()
    written.remove()

    with pytest.raises(MachineError, match=r"finds no texts-000000-.* Put the workspace on a share"):
        written.read()
    assert list(folder.path.iterdir()) == []


def test_two_workers_at_the_same_shard_do_not_write_over_one_another(folder: FolderOnDisk) -> None:
    first, second = folder.write("texts-000000-done", TABLE), folder.write("texts-000000-done", TABLE.slice(1))
    first.remove()

    assert second.read() == TABLE.slice(1)


def test_a_file_that_was_torn_is_not_believed(folder: FolderOnDisk) -> None:
    written = folder.write("texts-000000", TABLE)
    path = folder.path / written.name
    data = path.read_bytes()
    for torn in (data[:10] + b"?" + data[11:], data[:-1], b""):  # the first one Parquet itself would not notice
        path.write_bytes(torn)
        with pytest.raises(MachineError, match="is not as it was written"):
            written.read()


def test_nothing_is_written_for_a_run_whose_folder_is_gone(folder: FolderOnDisk, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "staging")

    with pytest.raises(FileNotFoundError):
        folder.write("texts-000000-done", TABLE)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_no_half_file(folder: FolderOnDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="No space left"):
        folder.write("texts-000000", TABLE)
    assert list(folder.path.iterdir()) == []


def test_files_are_told_apart_by_what_they_hold(folder: FolderOnDisk) -> None:
    written = folder.write("texts-000000", TABLE)

    assert written == replace(written)
    assert written != folder.write("texts-000000", TABLE)


def test_in_a_bucket_whoever_has_the_reference_reads_the_table(bucket: Bucket, tmp_path: Path) -> None:
    there = FolderInBucket(bucket.remote(), KEYS)
    written: SharedFile = pickle.loads(pickle.dumps(there.write("texts-000000", TABLE)))

    assert written.read() == TABLE
    assert bucket.listed() == [f"{KEYS}/{written.name}"]
    assert list(tmp_path.iterdir()) == []
    written.remove()
    with pytest.raises(MachineError, match=r"finds no texts-000000-.* in s3://"):
        written.read()


def test_of_what_is_left_in_a_bucket_nothing_stays_and_no_more_is_removed(bucket: Bucket, tmp_path: Path) -> None:
    bucket.remote().write("releases/r0/manifest.json", b"{}")
    there = FolderInBucket(bucket.remote(), KEYS)
    there.write("texts-000000", TABLE)
    there.write("texts-000001", TABLE)

    there.clear()

    assert bucket.listed() == ["releases/r0/manifest.json"]


def test_an_object_that_is_another_is_not_believed(bucket: Bucket, tmp_path: Path) -> None:
    written = FolderInBucket(bucket.remote(), KEYS).write("texts-000000", TABLE)
    bucket.remote().write(f"{KEYS}/{written.name}", b"PAR1 of another run")

    with pytest.raises(MachineError, match="is not as it was written"):
        written.read()
