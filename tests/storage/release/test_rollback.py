from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import lancedb
import numpy as np
import pytest

from nightrank.storage.errors import InputError, MachineError, WorkspaceBusy
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.release.manifest import (
    ChunkTableVersion,
    Counts,
    Gate,
    Inputs,
    Manifest,
    commit_release,
    digests_of,
)
from nightrank.storage.release.rollback import RolledBack, roll_back
from nightrank.storage.workspace.base import Workspace
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.support.published import pointer, snapshot

if TYPE_CHECKING:
    from pathlib import Path


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PASSED = Gate(name="integrity", passed=True, value=0.0, threshold=0.0, reason="all agree")
REFUSED = Gate(name="quality", passed=False, value=-0.2, threshold=-0.01, reason="nDCG@10 fell by 0.2")


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    """A workspace with the releases r1, r2, r3 (rejected) and r4, of which r4 is current."""
    workspace = FolderWorkspace(tmp_path / "workspace")
    workspace.root.mkdir()
    for release_id in ("r1", "r2", "r3", "r4"):
        release(workspace, release_id, status="rejected" if release_id == "r3" else "accepted")
    workspace.publish("r4", now=NOW)
    return workspace


def release(workspace: Workspace, release_id: str, *, status: Literal["accepted", "rejected"]) -> None:
    table = ChunkTable.create(workspace.lance, embedder="e", dimensions=2)
    table.add([release_id], [release_id], [1], np.array([[1.0, 0.0]], dtype=np.float32))
    table.tag(release_id)
    staging = workspace.staging(release_id)
    staging.mkdir(parents=True)
    for name in ("bm25.duckdb", "candidates.parquet", "results.sqlite"):
        (staging / name).write_text(f"{name} of {release_id}")
    manifest = Manifest(
        release_id=release_id,
        created_at=NOW,
        status=status,
        previous=None,
        nightrank="0.1.0",
        inputs=Inputs.model_validate(dict.fromkeys(Inputs.model_fields, "x")),
        settings={},
        chunk_table=ChunkTableVersion(name=table.name, version=table.version),
        counts=Counts.model_validate(dict.fromkeys(Counts.model_fields, 1)),
        seconds={},
        measures={},
        gates=[PASSED, REFUSED] if status == "rejected" else [PASSED],
        files=digests_of(staging),
    )
    commit_release(workspace, manifest, staging=staging)


def test_without_a_name_the_newest_accepted_release_before_the_current_one_becomes_current(place: Workspace) -> None:
    assert roll_back(place, None, now=NOW, publish=Workspace.publish) == RolledBack(current="r2", before="r4")
    assert roll_back(place, None, now=NOW, publish=Workspace.publish) == RolledBack(current="r1", before="r2")
    assert place.current_release_id() == "r1"


def test_a_named_release_becomes_current_also_a_newer_one(place: Workspace) -> None:
    assert roll_back(place, "r1", now=NOW, publish=Workspace.publish) == RolledBack(current="r1", before="r4")
    assert roll_back(place, "r4", now=NOW, publish=Workspace.publish) == RolledBack(current="r4", before="r1")


def test_only_the_pointer_changes(place: Workspace) -> None:
    before = snapshot(place.root)
    roll_back(place, None, now=NOW, publish=Workspace.publish)
    after = snapshot(place.root)
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] != after[name]] == ["current.json"]
    assert pointer(place.root) == {"release_id": "r2", "published_at": "2026-01-02T03:04:05+00:00"}


@pytest.mark.parametrize(
    ("release_id", "says"),
    [
        ("r9", "There is no release 'r9'"),
        ("../r1", "There is no release"),
        ("r4", "The release r4 is the current one already"),
        ("r3", "The release r3 was rejected. quality: nDCG@10 fell by 0.2."),
    ],
)
def test_a_release_that_cannot_become_current_is_the_users_mistake(
    place: Workspace, release_id: str, says: str
) -> None:
    before = snapshot(place.root)
    with pytest.raises(InputError) as caught:
        roll_back(place, release_id, now=NOW, publish=Workspace.publish)
    assert caught.value.message.startswith(says)
    assert caught.value.remedy
    assert snapshot(place.root) == before


def test_before_the_first_accepted_release_there_is_nothing_to_go_back_to(place: Workspace) -> None:
    place.publish("r1", now=NOW)
    with pytest.raises(InputError, match="no accepted release before r1"):
        roll_back(place, None, now=NOW, publish=Workspace.publish)


def test_where_nothing_was_published_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no published release"):
        roll_back(FolderWorkspace(tmp_path / "workspace"), None, now=NOW, publish=Workspace.publish)
    assert not (tmp_path / "workspace").exists()


def test_a_damaged_manifest_in_between_is_passed_over(place: Workspace) -> None:
    (place.release("r2") / "manifest.json").write_text("{}")
    assert roll_back(place, None, now=NOW, publish=Workspace.publish).current == "r1"


@pytest.mark.parametrize("content", [None, "{", '{"release_id": "../r1"}'])
def test_naming_a_release_mends_a_pointer_that_is_lost(place: Workspace, content: str | None) -> None:
    path = place.root / "current.json"
    path.unlink() if content is None else path.write_text(content)
    assert roll_back(place, "r2", now=NOW, publish=Workspace.publish) == RolledBack(current="r2", before=None)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "files that are missing (1): results.sqlite"),
        (b"", "files that are empty (1): results.sqlite"),
        (b"other", "files whose SHA-256 is not the manifest's (1): results.sqlite"),
    ],
)
def test_a_release_with_a_damaged_file_does_not_become_current(
    place: Workspace, content: bytes | None, says: str
) -> None:
    path = place.release("r2") / "results.sqlite"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(MachineError) as caught:
        roll_back(place, None, now=NOW, publish=Workspace.publish)
    assert caught.value.message == f"The release r2 is damaged: {says}."
    assert place.current_release_id() == "r4"


def test_a_release_whose_results_an_earlier_version_made_does_not_become_current(place: Workspace) -> None:
    path = place.release("r2") / "manifest.json"
    path.write_text(path.read_text().replace("results.sqlite", "results.duckdb"))
    with pytest.raises(InputError, match="An earlier version made the release r2") as caught:
        roll_back(place, None, now=NOW, publish=Workspace.publish)
    assert caught.value.remedy == "Choose a later release, or roll back with that version."
    assert place.current_release_id() == "r4"


def test_a_release_whose_vectors_are_gone_does_not_become_current(place: Workspace) -> None:
    lancedb.connect(str(place.lance)).open_table("chunks_e").tags.delete("r2")
    with pytest.raises(MachineError, match="has no tag of the release r2"):
        roll_back(place, None, now=NOW, publish=Workspace.publish)
    assert place.current_release_id() == "r4"


def test_nothing_is_rolled_back_while_a_run_is_at_work(place: Workspace) -> None:
    with place.writing(now=NOW), pytest.raises(WorkspaceBusy):
        roll_back(place, None, now=NOW, publish=Workspace.publish)
    assert place.current_release_id() == "r4"
