from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.flows.command import one_command
from nightrank.flows.schedule.source import WatchedSource, root_of
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A settings file whose documents' folder holds the workspace, too."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.md").write_text("Bees.")
    (tmp_path / "pages" / "b.md").write_text("Wax.")
    settings = tmp_path / "nightrank.toml"
    settings.write_text('workspace = "pages/workspace"\n[documents]\nsource = "pages"\nexclude = ["drafts/**"]\n')
    return settings


def test_a_file_that_came_went_or_was_written_is_a_change_and_one_that_is_back_is_none(project: Path) -> None:
    source, pages = WatchedSource(project), project.parent / "pages"
    states = [source.state()]
    (pages / "new.md").write_text("Honey.")
    states.append(source.state())
    (pages / "new.md").unlink()
    assert source.state() == states[0]
    (pages / "a.md").rename(project.parent / "a.md")
    states.append(source.state())
    (project.parent / "a.md").rename(pages / "a.md")
    assert source.state() == states[0]
    (pages / "a.md").write_text("Bees and honey.")
    states.append(source.state())
    (pages / "b.md").rename(pages / "c.md")
    states.append(source.state())
    assert len({*states}) == len(states)


def test_what_no_refresh_reads_is_no_change(project: Path) -> None:
    source, pages = WatchedSource(project), project.parent / "pages"
    before = source.state()
    for name in ("workspace/releases/r1/report.html", "drafts/c.md", ".git/HEAD.md", "picture.png"):
        (pages / name).parent.mkdir(parents=True, exist_ok=True)
        (pages / name).write_text("x")
    assert source.state() == before
    assert (pages / "workspace").resolve() in source.left_out()


def test_settings_that_decide_a_release_are_a_change_and_others_are_none(project: Path) -> None:
    source, text = WatchedSource(project), project.read_text()
    before = source.state()
    project.write_text(text + "[retention]\nkeep = 9\n")
    assert source.state() == before
    project.write_text(text + "[bm25]\nk1 = 0.9\n")
    assert source.state() != before


def test_settings_are_read_again_within_a_command_that_goes_on(project: Path) -> None:
    with one_command():
        load_settings(project)
        source = WatchedSource(project)
        before, text = source.state(), project.read_text()
        project.write_text(text + "[bm25]\nk1 = 0.9\n")
        assert source.state() != before
        project.write_text(text.replace('source = "pages"', 'source = "others"'))
        assert source.folders() == [project.parent / "others"]
        project.write_text("[documents\n")
        with pytest.raises(InputError, match="not valid TOML"):
            source.state()


def test_a_source_that_is_not_there_or_holds_nothing_has_no_state(project: Path) -> None:
    source, pages = WatchedSource(project), project.parent / "pages"
    for path in pages.glob("*.md"):
        path.unlink()
    with pytest.raises(InputError, match="holds no file"):
        source.state()
    (pages).rename(project.parent / "elsewhere")
    with pytest.raises(InputError, match="does not exist"):
        source.state()


def test_the_folder_whose_events_tell_is_that_of_the_files_that_are_named(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "corpus.jsonl").touch()
    found = {
        source: root_of(source, base=tmp_path)
        for source in ("pages", "pages/", "corpus.jsonl", "pages/**/*.md", "*.md", "ir_datasets:x", "s3://bucket/p")
    }
    assert found == {
        "pages": tmp_path / "pages",
        "pages/": tmp_path / "pages",
        "corpus.jsonl": tmp_path,
        "pages/**/*.md": tmp_path / "pages",
        "*.md": tmp_path,
        "ir_datasets:x": None,
        "s3://bucket/p": None,
    }
