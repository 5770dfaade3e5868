"""What is in a folder, and that a folder which cannot be listed is not an empty one."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from nightrank.storage.files.listing import entries, files_below

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.txt", "b/c.txt", "b/d/e.txt", ".hidden"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "b" / "again").symlink_to(tmp_path / "b", target_is_directory=True)
    return tmp_path


def test_all_files_are_found_once(tree: Path) -> None:
    for follow_links in (False, True):
        found = [path.relative_to(tree).as_posix() for path in files_below(tree, follow_links=follow_links)]
        assert sorted(found) == [".hidden", "a.txt", "b/c.txt", "b/d/e.txt"]


def test_entries_have_names_like_the_pattern(tree: Path) -> None:
    assert entries(tree) == [tree / ".hidden", tree / "a.txt", tree / "b"]
    assert entries(tree, "*.txt") == [tree / "a.txt"]
    assert entries(tree / "b", "[!a-c]*") == [tree / "b" / "d"]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert entries(tmp_path / "gone") == list(files_below(tmp_path / "gone")) == []


def test_a_folder_that_cannot_be_listed_is_an_error(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: Path | str) -> Any:  # noqa: ANN401 (what the system's own functions return)
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "scandir", failing)
    monkeypatch.setattr(os, "listdir", failing)

    with pytest.raises(PermissionError):
        entries(tree)
    with pytest.raises(PermissionError):
        list(files_below(tree))
