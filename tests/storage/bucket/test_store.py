from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import lancedb
import pytest

from nightrank.storage.bucket.store import Remote, StoreOptions
from nightrank.storage.errors import InputError, MachineError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.object_store import Bucket


def test_what_is_written_is_read_and_what_is_not_there_is_none(bucket: Bucket) -> None:
    remote = bucket.remote()
    remote.write("a/b.json", b"one")
    remote.write("a/b.json", b"two")

    found = remote.read("a/b.json")

    assert found is not None
    assert found[0] == b"two"
    assert remote.read("a/c.json") is None
    assert remote.sizes() == {"a/b.json": 3}
    assert bucket.remote().sizes("a") == {"a/b.json": 3}


def test_of_all_who_write_where_nothing_is_exactly_one_succeeds(bucket: Bucket) -> None:
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda n: bucket.remote().write_if("key", f"{n}".encode(), seen=None), range(8)))

    winners = [number for number, version in enumerate(written) if version is not None]

    assert len(winners) == 1
    found = bucket.remote().read("key")
    assert found is not None
    assert found[0] == f"{winners[0]}".encode()


def test_of_all_who_replace_what_they_saw_exactly_one_succeeds(bucket: Bucket) -> None:
    seen = bucket.remote().write_if("key", b"old", seen=None)
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda n: bucket.remote().write_if("key", f"{n}".encode(), seen=seen), range(8)))

    assert sum(version is not None for version in written) == 1


def test_a_write_that_was_answered_for_the_first_time_counts_as_ours(bucket: Bucket) -> None:
    """Where a request is tried again because its answer was lost, the store says that somebody was first."""
    first = bucket.remote().write_if("key", b"mine, by a number of my own", seen=None)

    again = bucket.remote().write_if("key", b"mine, by a number of my own", seen=None)

    assert again == first


def test_a_file_comes_back_as_it_went_in_parts_too(bucket: Bucket, tmp_path: Path) -> None:
    data = bytes(range(256)) * 80_000  # 20 MB: more than one part
    (tmp_path / "file").write_bytes(data)
    bucket.remote().upload(tmp_path / "file", "folder/file")

    bucket.remote().download("folder/file", tmp_path / "deep" / "copy")

    assert (tmp_path / "deep" / "copy").read_bytes() == data
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["copy"]


def test_a_file_that_is_not_what_was_expected_never_appears(bucket: Bucket, tmp_path: Path) -> None:
    bucket.remote().write("file", b"other")

    assert not bucket.remote().download("file", tmp_path / "copy", sha256="0" * 64)
    assert not bucket.remote().download("no file", tmp_path / "copy")

    assert list(tmp_path.iterdir()) == []


def test_deleting_what_is_not_there_is_no_error(bucket: Bucket) -> None:
    bucket.remote().write("a", b"1")

    bucket.remote().delete(["b", "a", "a"])

    assert bucket.listed() == []


def test_a_missing_bucket_is_the_users_to_create(bucket: Bucket) -> None:
    remote = Remote("s3://nobody-made-this/prefix", bucket.options())

    for ask in (lambda: remote.read("a"), remote.sizes, lambda: remote.write("a", b"1")):
        with pytest.raises(InputError, match="no bucket for s3://nobody-made-this/prefix"):
            ask()


def test_a_store_that_cannot_be_reached_is_told_in_time_with_a_remedy(bucket: Bucket) -> None:
    options = replace(bucket.options(), endpoint="http://127.0.0.1:9", retry_seconds=0.5)

    with pytest.raises(MachineError, match="cannot be reached") as caught:
        Remote(bucket.url, options).read("a")

    assert "endpoint" in caught.value.remedy
    assert "\n" not in caught.value.message


def test_http_must_be_allowed(bucket: Bucket) -> None:
    with pytest.raises(MachineError, match="cannot be reached"):
        Remote(bucket.url, replace(bucket.options(), allow_http=False, retry_seconds=0.5)).read("a")


def test_what_travels_to_another_process_is_the_address_alone(bucket: Bucket) -> None:
    remote = bucket.remote()
    remote.write("a", b"1")

    again = pickle.loads(pickle.dumps(remote))

    assert again == remote
    assert again.sizes() == {"a": 1}


def test_lancedb_is_told_no_more_than_it_must_know() -> None:
    assert StoreOptions().endpoint is None
    assert Remote("s3://bucket/prefix").lance_options() == {"client_retry_timeout": "60"}


def test_what_the_settings_leave_open_the_environment_says(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT", bucket.endpoint)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    remote = Remote(bucket.url)
    remote.write("a", b"1")
    tables = lancedb.connect(f"{bucket.url}/lance", storage_options=remote.lance_options())
    tables.create_table("t", data=[{"a": 1}])

    assert tables.list_tables().tables == ["t"]
    assert bucket.listed()[0] == "a"
    assert any(key.startswith("lance/t.lance/") for key in bucket.listed())
