"""What a glob names is what Python's own glob names; what cannot be listed is told."""

from __future__ import annotations

import errno
import glob
import os
from pathlib import Path
from typing import Any

import pytest

from nightrank.tasks.read.folder.pattern import matching

FILES = ("a.md", "b.txt", "x/a.md", "x/y/a.md", "x/y/.hidden/a.md", ".git/a.md", "x[1]/a.md", "x/.a.md", "ü/é.md")
PATTERNS = ("*", "*.md", "**", "**/*.md", "x/**", "*/a.md", "*/*/*.md", "**/y/*", ".*", "x/.*", "x[[]1]/*", "**/.*")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "x", target_is_directory=True)
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    return tmp_path


@pytest.mark.parametrize("pattern", [*PATTERNS, *(f"x/../{pattern}" for pattern in PATTERNS), "nowhere/*", "a.md/*"])
@pytest.mark.parametrize("is_absolute", [False, True])
def test_it_names_what_glob_names(tree: Path, pattern: str, *, is_absolute: bool) -> None:
    told: list[str] = []
    asked = str(tree / pattern) if is_absolute else pattern

    found = matching(tree, asked, on_unreadable=told.append)

    theirs = {name.rstrip("/") for name in glob.glob(asked, root_dir=tree, recursive=True)} - {""}  # noqa: PTH207
    assert {Path(name) for name in found} - {tree} == {Path(name) for name in theirs} - {tree}
    assert found == sorted(set(found))
    assert told == []


@pytest.mark.parametrize(("pattern", "told"), [("**/*.md", ["x"]), ("x/*.md", ["x"]), ("*/y/*.md", []), ("ü/*", [])])
def test_a_folder_that_cannot_be_listed_is_told(
    tree: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, told: list[str]
) -> None:
    scandir = os.scandir

    def failing(path: Path) -> Any:  # noqa: ANN401 (what os.scandir returns)
        if Path(path).name == "x":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)
    unread: list[str] = []

    matching(tree, pattern, on_unreadable=unread.append)

    assert sorted(set(unread)) == told
