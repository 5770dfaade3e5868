"""``nightrank report``: where the report is, and when it is shown."""

from __future__ import annotations

import shutil
import webbrowser
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.operate.report import open_in_browser
from nightrank.storage.workspace.folder import FolderWorkspace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command
    from tests.support.collection import Collection


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a browser was asked for, instead of a browser."""
    asked: list[str] = []

    def note(url: str) -> bool:
        asked.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", note)
    return asked


def report_of(collection: Collection) -> Path:
    workspace = FolderWorkspace(collection.workspace)
    return workspace.release(workspace.require_current()).resolve() / "report.html"


def test_the_report_is_opened_and_its_path_is_printed(
    published: Collection, nightrank: Command, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")

    ended = nightrank("report", "-c", published.settings_file)

    assert (ended.code, ended.out) == (0, f"{report_of(published)}\n")
    assert opened == [report_of(published).as_uri()]


@pytest.mark.parametrize("flag", ["--no-open", "--json"])
def test_nothing_is_opened_where_the_path_is_all_that_is_wanted(
    published: Collection, nightrank: Command, opened: list[str], monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")

    ended = nightrank("report", "-c", published.settings_file, flag)

    assert ended.code == 0
    assert str(report_of(published)) in ended.out
    assert opened == []


def test_json_names_the_release_and_its_report(published: Collection, nightrank: Command) -> None:
    release_id = FolderWorkspace(published.workspace).require_current()

    reported = nightrank("report", "-c", published.settings_file, "--release", release_id, "--json").json

    path = report_of(published)
    assert reported == {"release_id": release_id, "path": str(path), "uri": path.as_uri(), "gaps": []}


def test_without_a_display_no_browser_is_asked(
    opened: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")

    assert not open_in_browser(tmp_path / "report.html")
    assert opened == []


def test_a_release_without_a_report_is_the_users_to_rebuild(
    published: Collection, tmp_path: Path, nightrank: Command
) -> None:
    shutil.copytree(published.folder, tmp_path / "copy")
    workspace = FolderWorkspace(tmp_path / "copy" / "workspace")
    (workspace.release(workspace.require_current()) / "report.html").unlink()

    ended = nightrank("report", "-c", tmp_path / "copy" / "nightrank.toml")

    assert ended.code == 2
    assert "has no report" in ended.err
    assert "nightrank refresh" in ended.err
