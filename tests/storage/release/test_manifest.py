from __future__ import annotations

import hashlib
import json
import math
import os
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.release import manifest as module
from nightrank.storage.release.manifest import (
    ChunkTableVersion,
    Counts,
    Gate,
    Inputs,
    Manifest,
    commit_release,
    current_manifest,
    digests_of,
    list_releases,
    new_release_id,
    read_manifest,
    readable_and_damaged,
    settings_as_json,
    size_bytes,
)
from nightrank.storage.workspace.folder import FolderWorkspace

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.workspace.base import Workspace

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)


def manifest_of(release_id: str, *, documents: str = "d") -> Manifest:
    inputs = dict.fromkeys(Inputs.model_fields, "x") | {"documents": documents}
    return Manifest(
        release_id=release_id,
        created_at=NOW,
        status="accepted",
        previous=None,
        nightrank="0.1.0",
        inputs=Inputs.model_validate(inputs),
        settings={"bm25": {"k1": 1.2, "stop_words": True}},
        chunk_table=ChunkTableVersion(name="chunks_e", version=3),
        counts=Counts.model_validate(dict.fromkeys(Counts.model_fields, 1)),
        seconds={"total": 1.5},
        measures={"results": {"nDCG@10": 1 / 3}},
        gates=[Gate(name="integrity", passed=True, value=0.0, threshold=0.0, reason="agree")],
        files={},
    )


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return FolderWorkspace(tmp_path)


def staged(place: Workspace, release_id: str) -> Path:
    staging = place.staging(release_id)
    staging.mkdir(parents=True)
    (staging / "results.sqlite").write_bytes(b"results")
    return staging


def test_a_sealed_release_has_its_name_its_files_and_its_manifest(place: Workspace) -> None:
    staging = staged(place, "r1")
    folder = commit_release(place, manifest_of("r1"), staging=staging)
    assert folder == place.release("r1")
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "results.sqlite"]
    assert not staging.exists()


def test_a_manifest_reads_back_as_it_was_written(place: Workspace) -> None:
    commit_release(place, manifest_of("r1"), staging=staged(place, "r1"))
    assert read_manifest(place, "r1") == manifest_of("r1")


def test_a_gate_whose_value_is_infinite_can_be_read_back_and_is_plain_json(place: Workspace) -> None:
    gate = Gate(name="bm25_audit", passed=False, value=math.inf, threshold=1e-5, reason="no common term")
    manifest = manifest_of("r1").model_copy(update={"gates": [gate]})
    folder = commit_release(place, manifest, staging=staged(place, "r1"))
    assert read_manifest(place, "r1").gates == [gate]
    json.loads((folder / "manifest.json").read_text(), parse_constant=pytest.fail)
    assert settings_as_json(gate)["value"] == "Infinity"


def test_the_manifest_is_written_after_every_other_file_is_on_disk(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    staging = staged(place, "r1")
    sync = os.fsync

    def watch(descriptor: int) -> None:
        synced.append((staging / "manifest.json").exists())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    commit_release(place, manifest_of("r1"), staging=staging)
    # results.sqlite and its folder, then the manifest under its temporary name, then the folder that now has it.
    assert synced[:4] == [False, False, False, True]


def test_a_run_that_dies_before_the_manifest_leaves_no_release(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_text", die)
    with pytest.raises(KeyboardInterrupt):
        commit_release(place, manifest_of("r1"), staging=staged(place, "r1"))
    assert list_releases(place) == []
    assert not place.release("r1").exists()


def test_a_folder_without_a_manifest_is_no_release(place: Workspace) -> None:
    place.release("r1").mkdir(parents=True)
    assert list_releases(place) == []
    with pytest.raises(InputError, match="no release 'r1'"):
        read_manifest(place, "r1")


def test_a_release_that_has_a_manifest_but_not_yet_its_name_is_not_listed(place: Workspace) -> None:
    staging = staged(place, "r1")
    (staging / "manifest.json").write_text(manifest_of("r1").model_dump_json())
    assert list_releases(place) == []


def test_releases_are_listed_oldest_first(place: Workspace) -> None:
    assert list_releases(place) == []
    for release_id in ("20260102T000000-000Z", "20251231T235959-999Z", "20260101T000000-000Z"):
        commit_release(place, manifest_of(release_id), staging=staged(place, release_id))
    assert [manifest.release_id[:8] for manifest in list_releases(place)] == ["20251231", "20260101", "20260102"]


@pytest.mark.parametrize("release_id", ["nine", "..", "", "../releases/r1", ".staging-r1", "r1/", "r1\0"])
def test_an_unknown_release_or_a_path_is_the_users_error(place: Workspace, release_id: str) -> None:
    commit_release(place, manifest_of("r1"), staging=staged(place, "r1"))
    with pytest.raises(InputError, match="There is no release") as caught:
        read_manifest(place, release_id)
    assert caught.value.remedy


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"release_id": "r1"}'])
def test_a_damaged_manifest_is_a_fault_of_the_machine(place: Workspace, content: str) -> None:
    place.release("r1").mkdir(parents=True)
    (place.release("r1") / "manifest.json").write_text(content)
    with pytest.raises(MachineError, match=r"manifest\.json is not a manifest"):
        read_manifest(place, "r1")


def test_a_manifest_in_a_folder_of_another_name_is_a_fault_of_the_machine(place: Workspace) -> None:
    commit_release(place, manifest_of("r1"), staging=staged(place, "r1")).rename(place.release("r2"))
    with pytest.raises(MachineError, match="is the manifest of another release, 'r1'"):
        read_manifest(place, "r2")


def test_a_manifest_that_cannot_be_read_hides_no_other(place: Workspace) -> None:
    for release_id in ("r1", "r2", "r3"):
        commit_release(place, manifest_of(release_id), staging=staged(place, release_id))
    (place.release("r2") / "manifest.json").write_text("{}")
    (place.release("r3") / "manifest.json").unlink()
    (place.release("r3") / "manifest.json").mkdir()
    manifests, damaged = readable_and_damaged(place)
    assert manifests == [manifest_of("r1")]
    assert list(damaged) == ["r2", "r3"]
    assert "is not a manifest that this version can read" in damaged["r2"]
    with pytest.raises(MachineError):
        list_releases(place)


def test_the_current_manifest_is_the_one_that_the_pointer_names(place: Workspace) -> None:
    assert current_manifest(place) is None
    for release_id in ("r1", "r2"):
        commit_release(place, manifest_of(release_id), staging=staged(place, release_id))
    place.publish("r1", now=NOW)
    assert current_manifest(place) == manifest_of("r1")


def test_a_release_id_sorts_by_time_and_is_in_utc() -> None:
    assert new_release_id(NOW) == "20260102T030405-678Z"
    east = timezone(timedelta(hours=2))
    assert new_release_id(NOW.astimezone(east)) == "20260102T030405-678Z"
    times = [NOW + timedelta(milliseconds=step) for step in (0, 1, 400, 70_000, 10**9)]
    assert [new_release_id(time) for time in times] == sorted(new_release_id(time) for time in times)


def test_every_file_but_the_manifest_is_named_with_its_digest(place: Workspace) -> None:
    folder = commit_release(place, manifest_of("r1"), staging=staged(place, "r1"))
    (folder / "deep").mkdir()
    (folder / "deep" / "x").write_bytes(b"x")
    expected = {"results.sqlite": b"results", "deep/x": b"x"}
    assert digests_of(folder) == {name: hashlib.sha256(content).hexdigest() for name, content in expected.items()}


def test_the_size_of_a_release_is_the_sum_of_its_files(place: Workspace) -> None:
    folder = commit_release(place, manifest_of("r1"), staging=staged(place, "r1"))
    assert size_bytes(place, "r1") == len(b"results") + (folder / "manifest.json").stat().st_size


def test_settings_become_plain_json() -> None:
    class Inner(BaseModel):
        k1: float = 1.2

    class Outer(BaseModel):
        inner: Inner = Inner()
        names: tuple[str, ...] = ("a",)

    assert settings_as_json(Outer()) == {"inner": {"k1": 1.2}, "names": ["a"]}
