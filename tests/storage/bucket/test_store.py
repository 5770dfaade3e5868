from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import lancedb
import obstore
import pytest
from obstore.exceptions import InvalidPathError

from nightrank.storage.bucket.store import Remote, StoreOptions, Version
from nightrank.storage.errors import InputError, MachineError
from tests.support.listening import refusing_everything

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


class Careless(Remote):
    """A store that takes every conditional write, or every one of a kind."""

    def write_if(self, key: str, data: bytes, *, seen: Version | None) -> Version | None:
        if self.options.region == "creates" and seen is not None:
            return super().write_if(key, data, seen=seen)
        if self.options.region == "replaces" and seen is None:
            return super().write_if(key, data, seen=seen)
        self.write(key, data)
        found = self.read(key)
        assert found is not None
        return found[1]


@pytest.mark.parametrize(
    ("kind", "told"), [("all", "If-None-Match"), ("creates", "If-None-Match"), ("replaces", "If-Match")]
)
def test_a_store_that_keeps_no_conditions_is_noticed(kind: str, told: str, bucket: Bucket) -> None:
    careful = bucket.remote()
    replaced = careful.write_if("lock", b"before", seen=None)
    assert careful.write_if("lock", b"now", seen=replaced) is not None

    with pytest.raises(InputError, match=rf"does not keep conditional writes: .*\({told}\)"):
        Careless(bucket.url, replace(bucket.options(), region=kind)).require_conditions("lock", replaced=replaced)

    careful.require_conditions("lock", replaced=replaced)
    found = careful.read("lock")
    assert found is not None


def test_a_store_that_does_not_know_a_request_is_told_as_that() -> None:
    with refusing_everything(501) as endpoint:
        remote = Remote("s3://bucket/nights", StoreOptions(endpoint=endpoint, allow_http=True, retry_seconds=0.5))
        with pytest.raises(InputError, match="does not know a request that Nightrank makes") as told:
            remote.write_if("lock.json", b"{}", seen=None)
    assert "cannot be reached" not in str(told.value)


@pytest.mark.parametrize("odd", ["releases/%2E%2E/evil", "releases/a//b", "releases/%2E/c"])
def test_a_key_that_is_none_of_ours_ends_no_listing(odd: str, bucket: Bucket) -> None:
    remote = bucket.remote()
    remote.write("releases/r/manifest.json", b"{}")
    remote.write("memo/m/part", b"1")
    httpx.put(f"{bucket.endpoint}/{bucket.name}/search/nights/{odd}", content=b"x", timeout=60).raise_for_status()
    with pytest.raises(InvalidPathError):
        _ = [*obstore.list(remote.store, "releases")]

    assert remote.sizes("releases") == {"releases/r/manifest.json": 2}
    assert remote.sizes() == {"memo/m/part": 1, "releases/r/manifest.json": 2}
    assert remote.sizes("memo") == {"memo/m/part": 1}
    assert remote.sizes("readers") == {}
