from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import MachineError
from nightrank.storage.release.retention import kept_releases
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.support.stored_nights import add_night

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("releases", "current", "keep", "kept"),
    [
        ("a1 a2 a3 a4", "a4", 1, "a4"),
        ("a1 a2 a3 a4", "a4", 3, "a2 a3 a4"),
        ("a1 a2 a3 a4", "a4", 9, "a1 a2 a3 a4"),
        ("a1 a2 a3 a4", "a2", 1, "a2"),  # rolled back
        ("a1 a2 a3 a4", "a1", 3, "a1 a3 a4"),
        ("a1 r2 a3 r4 r5", "a3", 2, "a1 a3 r4 r5"),
        ("a1 a2 r3", "a1", 1, "a1 r3"),
        ("r1 r2", None, 1, "r2"),
        ("a1 a2 r3", None, 1, "a2 r3"),
        ("r1 a2", "r1", 1, "r1"),
        ("", None, 3, ""),
    ],
)
def test_the_current_the_newest_accepted_and_newer_rejected_releases_stay(
    tmp_path: Path, releases: str, current: str | None, keep: int, kept: str
) -> None:
    like = add_night(FolderWorkspace(tmp_path), "x", texts=["a"])
    manifests = [
        like.model_copy(update={"release_id": name[1:], "status": "accepted" if name.startswith("a") else "rejected"})
        for name in releases.split()
    ]
    found = kept_releases(manifests, current=None if current is None else current[1:], keep=keep)
    assert [manifest.release_id for manifest in found] == [name[1:] for name in kept.split()]


def test_after_a_rollback_what_was_live_stays_and_what_was_rolled_away_goes_first(tmp_path: Path) -> None:
    like = add_night(FolderWorkspace(tmp_path), "x", texts=["a"])
    line = {"1": None, "2": "1", "3": "2", "4": "3"}
    manifests = [like.model_copy(update={"release_id": name, "previous": before}) for name, before in line.items()]
    rolled_back = kept_releases(manifests, current="2", keep=3)
    assert [manifest.release_id for manifest in rolled_back] == ["1", "2", "4"]
    night_after = [*manifests, like.model_copy(update={"release_id": "5", "previous": "2"})]
    assert [manifest.release_id for manifest in kept_releases(night_after, current="5", keep=3)] == ["1", "2", "5"]


def test_a_current_release_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    releases = [add_night(FolderWorkspace(tmp_path), "n1", texts=["a"])]
    with pytest.raises(MachineError, match="current release n2 is not there"):
        kept_releases(releases, current="n2", keep=3)
