from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nightrank.tasks.read.account import Account
from nightrank.tasks.trec.qrels import read_judgments

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """Twenty visitors saw b below a, and nearly all who looked so far opened it."""
    rows = [
        {"query": "black tea", "shown": ["a", "b"], "clicked": ["b"] if number % 2 else [], "user": f"u{number}"}
        for number in range(40)
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "docs").mkdir()
    path = tmp_path / "nightrank.toml"
    path.write_text('[documents]\nsource = "docs"\n[queries]\nlog = "log.jsonl"\nmin_users = 5\n')
    return path


def test_what_was_opened_becomes_judgments_with_their_provenance(settings_file: Path, nightrank: Command) -> None:
    ended = nightrank(
        "judge", "--by", "clicks", "--config", settings_file, "--json", "--propensity", "1", "--propensity", "0.5"
    )
    assert ended.code == 0, ended.err
    told = ended.json
    assert (told["by"], told["searches"], told["clicks"], told["judged"]) == ("clicks", 40, 20, 2)
    assert (told["propensities"], told["estimated"]) == ([1.0, 0.5], False)
    path = settings_file.parent / "judgments" / "clicks.tsv"
    found = read_judgments(path, name="clicks.tsv", account=Account())
    assert {(one.query_id, one.document_id, one.judged_by) for one in found} == {
        ("black tea", "a", "clicks"),
        ("black tea", "b", "clicks"),
    }
    grades = {one.document_id: one.grade for one in found}
    assert grades["b"] > 8 > 1 > grades["a"] - 1
    beside = json.loads(path.with_suffix(".json").read_text())
    assert (beside["click_model"], beside["min_users"], beside["least_looks"]) == ("position", 5, 10.0)


def test_words_that_no_file_of_judgments_can_name_are_not_judged(settings_file: Path, nightrank: Command) -> None:
    log = settings_file.parent / "log.jsonl"
    rows = [
        {"query": query, "shown": shown, "clicked": shown[:1], "user": f"u{number}"}
        for number in range(40)
        for query, shown in (("a pasted text " * 60, ["a"]), ("salt", ["x\ty", "a"]))
    ]
    log.write_text(log.read_text() + "".join(json.dumps(row) + "\n" for row in rows))
    assert nightrank("judge", "--by", "clicks", "--config", settings_file).code == 0
    path = settings_file.parent / "judgments" / "clicks.tsv"
    assert {one.query_id for one in read_judgments(path, name="clicks.tsv", account=Account())} == {"black tea"}


@pytest.mark.parametrize(
    "options",
    [
        ("--least-looks", "nan"),
        ("--least-looks", "0"),
        ("--least-looks", "inf"),
        ("--propensity", "nan"),
        ("--propensity", "0"),
        ("--propensity", "1.5"),
        ("--propensity", "0.5", "--click-model", "expected"),
    ],
)
def test_numbers_that_say_nothing_of_looks_are_refused(
    settings_file: Path, nightrank: Command, options: tuple[str, ...]
) -> None:
    ended = nightrank("judge", "--by", "clicks", "--config", settings_file, *options)
    assert ended.code == 2
    assert options[0] in ended.err
    assert not (settings_file.parent / "judgments").exists()


def test_options_of_others_are_refused(settings_file: Path, nightrank: Command) -> None:
    for arguments in (("--by", "clicks", "--port", "1"), ("--by", "model", "--log", "x")):
        assert nightrank("judge", *arguments, "--config", settings_file).code == 2
