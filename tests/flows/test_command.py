"""A command reads its settings file once, and asks once which models are promoted, however many need to know."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.cli.app import main
from nightrank.flows.command import one_command
from nightrank.flows.settings_file import load_settings, read_settings
from nightrank.storage.workspace.models import promotions

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.workspace.base import Workspace
    from nightrank.storage.workspace.models import ModelKind, Promotion


class Calls:
    """How often a settings file was read, and a workspace asked for its promotions."""

    def __init__(self) -> None:
        self.files = 0
        self.promotions = 0


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    counted, loads, ask = Calls(), tomllib.loads, promotions

    def counting_loads(text: str) -> dict[str, object]:
        counted.files += "corpus.jsonl" in text  # Prefect reads files of its own
        return loads(text)

    def counting_promotions(workspace: Workspace) -> dict[ModelKind, Promotion]:
        counted.promotions += 1
        return ask(workspace)

    monkeypatch.setattr(tomllib, "loads", counting_loads)
    monkeypatch.setattr("nightrank.flows.settings_file.promotions", counting_promotions)
    return counted


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "nightrank.toml"
    path.write_text('[documents]\nsource = "corpus.jsonl"\n\n[queries]\nlog = "queries.jsonl"\n', encoding="utf-8")
    return path


def test_a_command_reads_its_settings_once(settings_file: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(settings_file.parent)
    with one_command():
        first = load_settings(settings_file)
        assert load_settings(settings_file.relative_to(settings_file.parent)) is first  # the flow's own path of it
        assert read_settings(settings_file) is first.named
    assert (calls.files, calls.promotions) == (1, 1)


def test_what_was_promoted_meanwhile_is_seen_where_it_is_asked_for(settings_file: Path, calls: Calls) -> None:
    with one_command():
        load_settings(settings_file)
        anew = load_settings(settings_file, anew=True)
        assert load_settings(settings_file) is anew
    assert (calls.files, calls.promotions) == (2, 2)


def test_the_next_command_and_a_flow_without_one_read_again(settings_file: Path, calls: Calls) -> None:
    for _ in range(2):
        with one_command():
            load_settings(settings_file)
    load_settings(settings_file)
    load_settings(settings_file)
    assert calls.files == 4


def test_the_command_line_runs_each_command_as_one(settings_file: Path, calls: Calls) -> None:
    # Both the command and its flow load the settings, before the flow finds that nothing is published.
    with pytest.raises(SystemExit) as ended:
        main(["export", "-c", str(settings_file), "--to", str(settings_file.with_name("cache.sqlite"))])
    assert ended.value.code == 2
    assert (calls.files, calls.promotions) == (1, 1)
