from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.bucket.shards import FolderInBucket, FolderOnDisk
from nightrank.storage.errors import MachineError
from nightrank.storage.lance.place import LanceBucket

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.bucket.lent import LentFile
    from tests.support.object_store import Bucket

KEYS = "releases/.staging-r1/shards"


def sent(lent: LentFile) -> LentFile:
    received: LentFile = pickle.loads(pickle.dumps(lent))
    return received


def test_on_a_share_a_file_is_read_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "bm25.duckdb"
    path.write_bytes(b"postings")
    lent = sent(FolderOnDisk(tmp_path / "shards").lend(path))
    with lent.here() as here:
        assert here == path
    path.unlink()
    with pytest.raises(MachineError, match=r"finds no bm25\.duckdb in .* Put the workspace on a share"), lent.here():
        pytest.fail("it was found")


def test_through_a_bucket_a_file_has_its_name_and_is_brought_once(bucket: Bucket, tmp_path: Path) -> None:
    path, shared = tmp_path / "sparse-texts-e.duckdb", FolderInBucket(bucket.remote(), KEYS)
    path.write_bytes(b"vectors")
    lent = shared.lend(path)
    path.unlink()
    with sent(lent).here() as here:
        assert (here.name, here.read_bytes()) == (path.name, b"vectors")
    shared.clear()
    assert bucket.listed() == []
    with sent(lent).here() as again:
        assert again == here


def test_of_two_files_a_process_keeps_the_last(bucket: Bucket, tmp_path: Path) -> None:
    shared, found = FolderInBucket(bucket.remote(), KEYS), []
    for name in ("first", "second"):
        (tmp_path / name).write_text(name)
        with shared.lend(tmp_path / name).here() as here:
            assert here.read_text() == name
            found.append(here)
    assert [path.exists() for path in found] == [False, True]


def test_a_file_that_is_another_is_not_believed(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("as it was lent")
    lent = FolderInBucket(bucket.remote(), KEYS).lend(tmp_path / "file")
    bucket.remote().write(bucket.listed()[0], b"of another run")
    with pytest.raises(MachineError, match="finds no"), lent.here():
        pytest.fail("it was believed")


def test_tables_in_a_bucket_are_found_from_elsewhere_and_never_written_from_there(bucket: Bucket) -> None:
    place = LanceBucket(bucket.remote(), check_writer=lambda: None)
    place.check_writer()
    elsewhere: LanceBucket = pickle.loads(pickle.dumps(place))
    assert str(elsewhere) == str(place)
    with pytest.raises(MachineError, match="which alone may write"):
        elsewhere.check_writer()
