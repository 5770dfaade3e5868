from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.keys import query_key
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.prune import prune
from nightrank.storage.release.results.file import write_results_file
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.serving.follow import FollowingCache
from nightrank.storage.serving.open import open_results
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.support.object_store import in_bucket
from tests.support.stored_nights import NOW, add_night

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.workspace.base import Workspace
    from tests.support.object_store import Bucket


@pytest.fixture(params=["folder", "store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Workspace:
    """A workspace, in a folder and in an object store."""
    if request.param == "folder":
        return FolderWorkspace(tmp_path / "workspace")
    bucket: Bucket = request.getfixturevalue("bucket")
    return bucket.machine(tmp_path / "night")


def front_end(place: Workspace, tmp_path: Path) -> Workspace:
    """The workspace as another machine sees it."""
    if isinstance(place, FolderWorkspace):
        return place
    from nightrank.storage.workspace.open import open_workspace

    remote = in_bucket(place).remote
    return open_workspace(remote.url, cache=tmp_path / "front", options=remote.options)


def publish(place: Workspace, release_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that answers one query with its own id as the title."""
    entry = {
        "rank": 1, "document_id": "d", "chunk_id": "d#0", "score": 1.0, "title": release_id, "text": "", "metadata": {}
    }  # fmt: skip

    def commit_release(workspace: Workspace, manifest: object, *, staging: Path) -> None:
        write_results_file(ReleaseFiles(staging).results.path, [(query_key("tea"), "tea", json.dumps([entry]))])
        real_commit(workspace, manifest.model_copy(update={"files": digests_of(staging)}), staging=staging)  # type: ignore[attr-defined]

    from nightrank.storage.release.manifest import commit_release as real_commit
    from nightrank.storage.release.manifest import digests_of

    monkeypatch.setattr("tests.support.stored_nights.commit_release", commit_release)
    with place.writing(now=NOW):
        add_night(place, release_id, texts=["a1"], queries=["a"])


def title(cache: FollowingCache | SearchCache) -> str:
    found = cache.get("tea")
    assert found is not None
    assert found.results[0].title == found.release_id
    return found.release_id


def test_it_serves_what_is_published_while_it_is_open(
    place: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(place, "n1", monkeypatch)
    with FollowingCache(front_end(place, tmp_path), look_every_seconds=0.05) as cache:
        assert (title(cache), cache.release_id, len(cache)) == ("n1", "n1", 1)
        publish(place, "n2", monkeypatch)
        deadline = time.monotonic() + 30
        while cache.release_id == "n1" and time.monotonic() < deadline:
            time.sleep(0.05)
        assert title(cache) == "n2"


def test_what_was_opened_once_keeps_to_its_release(
    place: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(place, "n1", monkeypatch)
    with SearchCache.of(front_end(place, tmp_path)) as cache:
        publish(place, "n2", monkeypatch)
        assert title(cache) == "n1"


@pytest.mark.long
def test_no_lookup_fails_or_mixes_releases_while_they_change(
    place: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(place, "n1", monkeypatch)
    done = Event()
    with FollowingCache(front_end(place, tmp_path), look_every_seconds=1000.0) as cache, ThreadPoolExecutor(2) as pool:

        def ask() -> int:
            count = 0
            while not done.is_set():
                title(cache)
                count += 1
            return count

        asking = [pool.submit(ask) for _ in range(2)]
        for number in range(2, 5):
            publish(place, f"n{number}", monkeypatch)
            assert cache.look()
            assert not cache.look()
            assert cache.release_id == f"n{number}"
        done.set()
        assert all(each.result() > 0 for each in asking)


def test_while_the_store_is_away_it_serves_what_it_has_and_says_so(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = bucket.machine(tmp_path / "night")
    publish(place, "n1", monkeypatch)
    front = front_end(place, tmp_path)
    with caplog.at_level(logging.WARNING), FollowingCache(front, look_every_seconds=0.05) as cache:
        object.__setattr__(in_bucket(front).remote, "url", "s3://gone/prefix")
        in_bucket(front).remote.__dict__.pop("store", None)
        deadline = time.monotonic() + 30
        while "Still serving the release n1" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.05)
        assert title(cache) == "n1"
    assert "Still serving the release n1" in caplog.text


def test_a_workspace_that_has_lost_its_pointer_is_told_and_what_was_served_goes_on(
    place: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publish(place, "n1", monkeypatch)
    front = front_end(place, tmp_path)
    with caplog.at_level(logging.WARNING), FollowingCache(front, look_every_seconds=0.05) as cache:
        with monkeypatch.context() as lost:
            lost.setattr(type(front), "current_release_id", lambda _: None)
            with pytest.raises(MachineError, match="has no current release any more"):
                cache.look()
            looked = cache.seconds_since_look
            deadline = time.monotonic() + 30
            while "no current release any more" not in caplog.text and time.monotonic() < deadline:
                time.sleep(0.05)
            assert cache.seconds_since_look >= looked
            assert title(cache) == "n1"
        assert not cache.look()
        assert cache.seconds_since_look < looked + 30
    assert "Still serving the release n1" in caplog.text


@pytest.mark.parametrize("fault", [PermissionError(13, "Permission denied"), RecursionError("too deep")])
def test_no_passing_fault_ends_the_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    place = FolderWorkspace(tmp_path / "workspace")
    publish(place, "n1", monkeypatch)
    faults = iter([fault, fault])
    opened = SearchCache.of

    def opened_in_time(workspace: Workspace) -> SearchCache:
        for passing in faults:
            raise passing
        return opened(workspace)

    with caplog.at_level(logging.WARNING), FollowingCache(place, look_every_seconds=0.02) as cache:
        monkeypatch.setattr(SearchCache, "of", opened_in_time)
        publish(place, "n2", monkeypatch)
        deadline = time.monotonic() + 30
        while cache.release_id != "n2" and time.monotonic() < deadline:
            time.sleep(0.02)
        assert title(cache) == "n2"
        assert cache.seconds_since_look < 30
    assert caplog.text.count(type(fault).__name__) == 2


@pytest.mark.long
def test_copies_of_releases_that_are_gone_go(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = bucket.machine(tmp_path / "night")
    publish(place, "n1", monkeypatch)
    front = front_end(place, tmp_path)
    with FollowingCache(front, look_every_seconds=1000.0) as cache:
        publish(place, "n2", monkeypatch)
        with place.writing(now=datetime(2026, 1, 3, tzinfo=UTC)):
            prune(place, keep=1, now=NOW)
        assert cache.look()
        assert [path.name for path in front.releases.iterdir()] == ["n2"]
        assert title(cache) == "n2"


def test_results_are_opened_by_address_where_the_environment_says_how(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(bucket.machine(tmp_path / "night"), "n1", monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.endpoint)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))

    results = open_results(bucket.url)

    found = results.get("tea")
    assert found is not None
    assert (found.release_id, results.release_id) == ("n1", "n1")
    assert len(list((tmp_path / "user" / "nightrank").iterdir())) == 1
    results.close()


def test_there_must_be_something_to_serve(place: Workspace, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no published release"):
        FollowingCache(front_end(place, tmp_path))


def test_a_lookup_in_a_store_loads_nothing_heavy_and_one_in_a_folder_nothing_of_the_store(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = bucket.machine(tmp_path / "night")
    publish(place, "n1", monkeypatch)
    program = f"""
import sys
from pathlib import Path
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.serving.open import open_results
assert "obstore" not in sys.modules
from nightrank.storage.bucket.store import StoreOptions
options = StoreOptions(endpoint={bucket.endpoint!r}, allow_http=True)
with SearchCache.open({bucket.url!r}, cache={str(tmp_path / "front")!r}, options=options) as cache:
    print(cache.get("tea").release_id)
heavy = {{"torch", "prefect", "duckdb", "lancedb", "pyarrow", "numpy", "pydantic"}} & sys.modules.keys()
assert not heavy, heavy
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "n1\n", "")
