"""``nightrank retract``: what people type, and what they are told."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.serving.cache import SearchCache

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command
    from tests.support.collection import Collection


@pytest.fixture
def project(published: Collection, tmp_path: Path) -> Collection:
    shutil.copytree(published.folder, tmp_path / "project")
    return replace(published, folder=tmp_path / "project")


def test_ids_come_from_the_line_and_from_a_file_and_the_list_says_who_when_and_why(
    project: Collection, nightrank: Command, tmp_path: Path
) -> None:
    ids = tmp_path / "ids.txt"
    hostile = "'; DROP TABLE results; --\x1b[31m"
    ids.write_bytes(b"\xef\xbb\xbftea\r\n\r\n" + hostile.encode() + b"\n../../current.json\n")
    done = nightrank("retract", "bees", "--from", ids, "--reason", "a letter", "-c", project.settings_file, "--json")
    assert (done.code, done.err) == (0, "")
    said = {one["document_id"]: one["in_release"] for one in done.json["documents"]}
    assert said == {"bees": True, "tea": True, hostile: False, "../../current.json": False}
    assert done.json["answers_replaced"] > 0
    with SearchCache.open(project.workspace) as cache:
        for _, query, _ in project.log:
            found = cache.get(query)
            assert found is not None
            assert not {"bees", "tea"} & {result.document_id for result in found.results}
    listed = nightrank("retract", "--list", "-c", project.settings_file, "--json").json["documents"]
    assert {one["document_id"]: one["reason"] for one in listed} == dict.fromkeys(said, "a letter")
    assert all(one["at"] and one["by"] for one in listed)
    shown = nightrank("retract", "--list", "-c", project.settings_file)
    assert "DROP TABLE" in shown.out
    assert "\x1b" not in shown.out
    again = nightrank("retract", "bees", "-c", project.settings_file)
    assert (again.code, "On the list before: bees." in again.out) == (0, True)
    back = nightrank("retract", "bees", hostile, "--undo", "-c", project.settings_file)
    assert "Back in answers: bees." in back.out
    assert "Back with the next refresh that reads them: '; DROP TABLE" in back.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--undo",), "--undo needs the ids"),
        (("--list", "bees"), "--list changes nothing"),
        (("bees", "--undo", "--erase"), "--undo brings back and --erase removes"),
        (("bees", "--undo"), "were not taken down"),
        ((" ", ""), "An id is empty"),
        (("bees", "--reason", "x" * 1001), "has 1,001 characters"),
        (("x" * 10_001,), "has 10,001 characters"),
        (("--from", "nowhere.txt"), "nowhere.txt cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_changes_nothing(
    arguments: tuple[str, ...], told: str, project: Collection, nightrank: Command
) -> None:
    ended = nightrank("retract", *arguments, "-c", project.settings_file)
    assert ended.code == 2
    assert told in " ".join(ended.err.split())
    assert not (project.workspace / "retracted.json").exists()


def test_a_file_of_ids_that_is_no_utf_8_is_refused(project: Collection, nightrank: Command, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_bytes(b"tea\xff\n")
    ended = nightrank("retract", "--from", tmp_path / "ids.txt", "-c", project.settings_file)
    assert (ended.code, "is not UTF-8" in ended.err) == (2, True)


def test_an_export_that_fails_is_named_and_what_the_workspace_serves_is_without_it(
    project: Collection, nightrank: Command, tmp_path: Path
) -> None:
    (tmp_path / "served.sqlite").write_text("not ours")
    project.settings["export"] = {"to": [str(tmp_path / "served.sqlite"), str(tmp_path / "served.parquet")]}
    project.write()
    ended = nightrank("retract", "bees", "-c", project.settings_file)
    assert ended.code == 1
    assert "NOT DONE:" in ended.out
    assert "served.parquetservesitso." in "".join(ended.out.split())  # lines break anywhere in a path
    (tmp_path / "served.sqlite").unlink()
    assert nightrank("retract", "bees", "-c", project.settings_file).code == 0
