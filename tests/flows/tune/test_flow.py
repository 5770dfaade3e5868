"""Tuning from the command line, and what it writes."""

from __future__ import annotations

import json
import shutil
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.settings_file import load_settings
from nightrank.flows.tune.flow import tune
from nightrank.flows.tune.write import write_tuned
from nightrank.storage.errors import InputError
from nightrank.storage.keys import fingerprint
from nightrank.tasks.evaluate.significance import Comparison
from nightrank.tasks.experiment.variants import varied
from nightrank.tasks.rank.order_file import read_order
from nightrank.tasks.settings.whole import Settings
from nightrank.tasks.tune.cross_validate import Tuned
from tests.support.collection import Collection
from tests.support.published import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.records import JsonValue
    from tests.conftest import Command

NOW = datetime(2026, 1, 2, tzinfo=UTC)
COMPARED = Comparison(300, 0.5, 0.6, 0.1, 0.05, 0.15, 0.001, 40, 250, 10)
CHANGES: dict[str, JsonValue] = {
    "retrieval.fusion": "minmax",
    "retrieval.weights": {"bm25": 0.8, "dense": 0.2},
    "reranker.weight": 0.7,
}
TUNED = Tuned("r1", 300, 5, 73, 0, {}, {}, CHANGES, [], 0.61, {"present": COMPARED}, COMPARED)

REQUIRED = '[documents]\nsource = "corpus.jsonl"\n\n[queries]\nlog = "queries.jsonl"\n'


def write(path: Path, text: str, tuned: Tuned = TUNED) -> str:
    path.write_text(text, encoding="utf-8")
    named = Settings.model_validate(tomllib.loads(text))
    write_tuned(path, tuned, named=named, now=NOW)
    edited = path.read_text(encoding="utf-8")
    assert Settings.model_validate(tomllib.loads(edited)) == varied(named, tuned.changes)
    return edited


@pytest.fixture
def weak_leg(collection: Collection) -> Collection:
    """A release that is ranked by random vectors alone."""
    collection.settings["reranker"]["model"] = "none"
    collection.settings["retrieval"] = {"weights": {"bm25": 0.0, "dense": 1.0}}
    collection.write()
    refresh_plainly(collection.settings_file)
    return collection


@pytest.mark.long
def test_what_is_told_is_written_only_where_that_is_asked_for(weak_leg: Collection, nightrank: Command) -> None:
    text, state = weak_leg.settings_file.read_text(), snapshot(weak_leg.workspace)

    reported = nightrank("tune", "-c", weak_leg.settings_file, "--json").json
    shown = nightrank("tune", "-c", weak_leg.settings_file)

    assert weak_leg.settings_file.read_text() == text
    assert reported["recommended"] is True
    assert reported["written"] is None
    assert set(reported["compared_with"]) == {"present", "bm25", "dense"}
    assert reported["compared_with"]["present"]["low"] > 0
    assert shown.code == 0
    assert "Recommended: " in shown.out
    assert max(len(line) for line in shown.out.splitlines() if "  " in line) <= 80

    written = nightrank("tune", "-c", weak_leg.settings_file, "--json", "--write").json
    assert written == {**reported, "written": str(weak_leg.settings_file)}
    named = load_settings(weak_leg.settings_file).settings
    assert named.results.order_model == reported["changes"]["results.order_model"] == reported["order"]["file"]
    model = weak_leg.folder / reported["order"]["file"]
    assert read_order(model).fingerprint == reported["order"]["fingerprint"]
    card = json.loads(model.read_text())["card"]
    assert card["queries"] == reported["order"]["queries"] == 6
    assert card["begun_from"] == read_order().fingerprint
    assert card["held_out"]["difference"] == reported["compared_with"]["present"]["difference"]
    assert card["date"] in weak_leg.settings_file.read_text()
    assert "tuned 2" in weak_leg.settings_file.read_text()
    assert snapshot(weak_leg.workspace) == state


@pytest.mark.long
def test_a_refresh_with_what_was_written_is_worth_what_was_told(weak_leg: Collection) -> None:
    reported = tune.fn(str(weak_leg.settings_file), write=True).tuned

    summary = refresh_plainly(weak_leg.settings_file)

    assert summary.manifest.measures["results"]["nDCG@10"] == pytest.approx(reported.optimistic, abs=1e-12)
    again = tune.fn(str(weak_leg.settings_file), write=True)
    assert again.tuned.present == reported.chosen
    assert again.written is None


def test_what_is_not_proved_is_not_written(published: Collection, nightrank: Command, tmp_path: Path) -> None:
    shutil.copytree(published.folder, tmp_path / "copy")
    copy = Collection(tmp_path / "copy", json.loads(json.dumps(published.settings)))
    copy.settings["retrieval"] = {"weights": {"bm25": 1.0, "dense": 0.0}}
    copy.settings["reranker"]["model"] = "none"
    copy.write()
    text = copy.settings_file.read_text()

    ended = nightrank("tune", "-c", copy.settings_file, "--write")

    assert ended.code == 0
    assert "Keep the settings" in ended.out
    assert copy.settings_file.read_text() == text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--folds", "1"), "--folds 1"),
        (("--max-depth", "0"), "--max-depth 0"),
        (("--release", "nothing"), "no release"),
        (("--qrels", "nothing.tsv"), "nothing.tsv"),
    ],
)
def test_what_cannot_be_tuned_is_the_users_mistake(
    options: tuple[str, str], says: str, published: Collection, nightrank: Command
) -> None:
    ended = nightrank("tune", "-c", published.settings_file, *options)

    assert ended.code == 2
    assert says in ended.err


def test_comments_and_order_stay_and_each_value_says_what_it_rests_on(tmp_path: Path) -> None:
    before = (
        "# ours\n"
        f"{REQUIRED}\n"
        "[reranker] # slow\n"
        "depth = 50 # enough\n"
        'weight = 0.3   # by hand\n\n[retrieval]\nfusion = "rrf"\n# last words\n'
    )

    edited = write(tmp_path / "nightrank.toml", before)

    evidence = (
        "tuned 2026-01-02 on 300 judged queries of the release r1: nDCG@10 0.5000 to 0.6000 "
        "(by +0.0500 to +0.1500, p 0.0010), cross-validated"
    )
    lines = edited.splitlines()
    assert any(line.startswith("weight = 0.7") and line.endswith(f"# by hand; {evidence}") for line in lines)
    assert any(line.startswith('fusion = "minmax"') and line.endswith(evidence) for line in lines)
    assert any(line.startswith("weights = {bm25 = 0.8, dense = 0.2}") and line.endswith(evidence) for line in lines)
    assert [line for line in before.splitlines() if "weight" not in line and "fusion" not in line] == [
        line for line in lines if "weight" not in line and "fusion" not in line
    ]


def test_later_evidence_takes_the_place_of_earlier(tmp_path: Path) -> None:
    path = tmp_path / "nightrank.toml"
    once = write(path, f"{REQUIRED}\n[reranker]\nweight = 0.3 # by hand\n")

    twice = write(path, once, replace(TUNED, changes={"reranker.weight": 0.9}))

    assert twice == once.replace("weight = 0.7", "weight = 0.9")


@pytest.mark.parametrize(
    "text",
    [
        REQUIRED,
        f"retrieval.rrf_k = 10\n{REQUIRED}",
        f'retrieval = {{ rrf_k = 10, fusion = "rrf" }} # inline\nreranker = {{}}\n{REQUIRED}',
        f"{REQUIRED}\n[retrieval]\n\n[judgments]\n",
        f"{REQUIRED}\n[retrieval.weights]\nbm25 = 1\ndense = 2\n\n[judgments]\n",
        f"{REQUIRED}\n[retrieval]\nweights = {{ bm25 = 1, dense = 2 }} # ours\nrrf_k = 10\n",
        f"{REQUIRED}\n[retrieval]\nrrf_k = 10\nweights.bm25 = 1\nweights.dense = 2\n",
    ],
    ids=[
        "no section",
        "dotted keys",
        "inline tables",
        "an empty section",
        "a table of weights",
        "weights on one line",
        "dotted weights",
    ],
)
def test_however_a_section_is_written_its_values_are_set(text: str, tmp_path: Path) -> None:
    edited = write(tmp_path / "nightrank.toml", text)

    assert "cross-validated" in edited


def test_the_digest_of_the_settings_sees_values_and_no_evidence(tmp_path: Path) -> None:
    path = tmp_path / "nightrank.toml"
    write(path, REQUIRED)
    plain = tmp_path / "plain.toml"
    plain.write_text(
        f'{REQUIRED}[retrieval]\nfusion = "minmax"\nweights = {{ bm25 = 0.8, dense = 0.2 }}\n'
        "[reranker]\nweight = 0.7\n",
        encoding="utf-8",
    )

    digests = [fingerprint(load_settings(file).settings.what()) for file in (path, plain)]

    assert digests[0] == digests[1]


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "nightrank.toml"
    path.write_text(REQUIRED, encoding="utf-8")
    named = load_settings(path).named
    path.write_text(f"{REQUIRED}[reranker]\ndepth = 20\n", encoding="utf-8")
    before = path.read_text()

    with pytest.raises(InputError, match="not what was tuned") as refused:
        write_tuned(path, TUNED, named=named, now=NOW)

    assert path.read_text() == before
    assert "reranker.weight = 0.7" in refused.value.remedy


def test_a_link_stays_a_link_and_the_file_keeps_its_mode(tmp_path: Path) -> None:
    target, link = tmp_path / "target.toml", tmp_path / "nightrank.toml"
    target.write_text(REQUIRED, encoding="utf-8")
    target.chmod(0o640)
    link.symlink_to(target)

    write(link, REQUIRED)

    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
