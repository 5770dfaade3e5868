"""Files and folders that are written whole, and that nothing else writes them in another way."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nightrank.storage.files import atomic
from nightrank.storage.files.atomic import (
    publish_folder,
    remove_folder,
    remove_unfinished,
    replacing,
    write_bytes,
    write_text,
)

ROOT = Path(__file__).parents[3]
FOLDERS = ("storage", "tasks", "flows", "recipes", "benchmarks", "examples")
RENAMES = {"rename", "renames", "replace"}  # of os and of a path
MOVES = {("shutil", "move"), ("os", "rename"), ("os", "renames"), ("os", "replace"), ("os", "link")}
THE_ONE = "storage/files/atomic.py"


def renaming(path: Path) -> list[str]:
    """The calls in a module that rename a file; texts, times and records are replaced in with other arguments."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            of_a_path = node.func.attr in RENAMES and len(node.args) == 1 and not node.keywords
            if of_a_path or (owner, node.func.attr) in MOVES:
                found.append(f"{path.relative_to(ROOT).as_posix()}:{node.lineno} {ast.unparse(node)}")
    return found


def test_nothing_else_renames_or_replaces_a_file() -> None:
    modules = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert len(modules) > 200
    found = [line for path in modules if path != ROOT / THE_ONE for line in renaming(path)]
    assert found == []
    assert len(renaming(ROOT / THE_ONE)) == 4


def write_and_fail(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("new")
        temporary.with_name(f"{temporary.name}.wal").write_text("what a database puts beside it")
        raise KeyboardInterrupt


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "old")
    with pytest.raises(KeyboardInterrupt):
        write_and_fail(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "old")
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "file"):
        pass
    assert (tmp_path / "file").read_text() == "old"


def test_the_new_file_is_on_the_disk_before_it_is_seen_and_its_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(tmp_path / "file", "old")
    seen, sync = [], os.fsync

    def watch(descriptor: int) -> None:
        seen.append((Path(f"/proc/self/fd/{descriptor}").resolve().is_dir(), (tmp_path / "file").read_text()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    write_text(tmp_path / "file", "new")
    assert seen == [(False, "old"), (True, "new")]


def test_of_many_who_write_one_file_at_once_each_writes_a_whole_one(tmp_path: Path) -> None:
    contents = [bytes([number]) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: write_bytes(tmp_path / "file", content), contents))
    assert (tmp_path / "file").read_bytes() in contents
    assert len(list(tmp_path.iterdir())) == 1


KILLED = f"""
import os, signal, sys
from pathlib import Path
from {atomic.__name__} import replacing

with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_leaves_goes_by_the_name_of_its_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_text(tmp_path / name, "old")
        ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / name)], cwd=ROOT, check=False)
        assert ended.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 4

    remove_unfinished(tmp_path, "one")
    assert len(list(tmp_path.iterdir())) == 3
    remove_unfinished(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"one": "old", "two": "old"}
    remove_unfinished(tmp_path / "nowhere")


def test_a_folder_has_its_name_when_all_in_it_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, target = tmp_path / "made", tmp_path / "there" / "target"
    (made / "deep").mkdir(parents=True)
    (made / "deep" / "file").write_text("a")
    target.parent.mkdir()
    synced, sync = [], os.fsync

    def watch(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        synced.append((path.relative_to(tmp_path).as_posix(), target.exists()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    publish_folder(made, target)
    before = {"made", "made/deep", "made/deep/file"}
    assert {name for name, is_there in synced if not is_there} == before
    assert [name for name, is_there in synced if is_there] == ["there", "."]
    assert (target / "deep" / "file").read_text() == "a"


def test_a_folder_that_is_removed_is_hidden_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("a")

    def killed(_folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_folder(tmp_path / "folder", tmp_path / ".hidden")
    assert [path.name for path in tmp_path.iterdir()] == [".hidden"]
    assert (tmp_path / ".hidden" / "file").read_text() == "a"
