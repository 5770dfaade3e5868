from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage.errors import MachineError
from storage.retention import kept_releases
from storage.workspace import Workspace
from tests.storage.nights import add_night

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
        ("r1 r2", None, 1, "r1 r2"),
        ("a1 a2 r3", None, 1, "a2 r3"),
        ("r1 a2", "r1", 1, "r1"),
        ("", None, 3, ""),
    ],
)
def test_the_current_the_newest_accepted_and_newer_rejected_releases_stay(
    tmp_path: Path, releases: str, current: str | None, keep: int, kept: str
) -> None:
    like = add_night(Workspace(tmp_path), "x", texts=["a"])
    manifests = [
        like.model_copy(update={"release_id": name[1:], "status": "accepted" if name.startswith("a") else "rejected"})
        for name in releases.split()
    ]
    found = kept_releases(manifests, current=None if current is None else current[1:], keep=keep)
    assert [manifest.release_id for manifest in found] == [name[1:] for name in kept.split()]


def test_a_current_release_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    releases = [add_night(Workspace(tmp_path), "n1", texts=["a"])]
    with pytest.raises(MachineError, match="current release n2 is not there"):
        kept_releases(releases, current="n2", keep=3)
