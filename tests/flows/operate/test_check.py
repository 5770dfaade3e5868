"""``nightrank check``: what a refresh would begin with is read and judged, and nothing is left behind."""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.operate.check import Problem, check_inputs
from nightrank.flows.settings_file import load_settings
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.embed.encoder import plan_embedder
from nightrank.tasks.rank.order_file import order_file, read_order
from nightrank.tasks.rerank.find import plan_reranker
from tests.support.published import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.flows.operate.check import Checked
    from tests.conftest import Command
    from tests.support.collection import Collection


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, in which nothing may stay."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def checked(collection: Collection) -> Checked:
    collection.write()
    return check_inputs(load_settings(collection.settings_file))


def only_problem(found: Checked) -> Problem:
    [problem] = found.problems
    return problem


def test_sound_inputs_are_counted_and_nothing_is_written(
    collection: Collection, nightrank: Command, temporary: Path
) -> None:
    collection.qrels.append(("q-nobody", "bees", 1))
    with_fault = [*(json.dumps(one) for one in collection.documents), '{"_id": ""}']
    collection.write()
    collection.settings["documents"]["max_bad_row_share"] = 0.5
    collection.write()
    (collection.folder / "corpus.jsonl").write_text("\n".join(with_fault) + "\n", encoding="utf-8")
    before = snapshot(collection.folder)

    ended = nightrank("check", "-c", collection.settings_file, "--json")
    shown = nightrank("check", "-c", collection.settings_file)

    assert (ended.code, ended.err, shown.code) == (0, "", 0)
    assert snapshot(collection.folder) == before
    assert list(temporary.iterdir()) == []
    found = ended.json
    assert (found["ok"], found["problems"]) == (True, [])
    assert found["documents"] == {"files": 1, "documents": len(collection.documents), "documents_bad": 1} | {
        "documents_retracted": 0
    }
    assert (found["queries"]["queries"], found["queries"]["queries_bad"]) == (len(collection.log), 0)
    assert found["judgments"] == {"queries_judged": 6, "queries_unknown": 1}
    [bad] = found["bad_rows"]
    assert (bad["file"], bad["row"]) == ("corpus.jsonl", len(with_fault))
    settings = load_settings(collection.settings_file).settings
    embedder = plan_embedder(settings.embedder, settings.execution, base=collection.folder)
    reranker = plan_reranker(settings.reranker, settings.execution, base=collection.folder)
    assert reranker is not None
    assert {kind: model["fingerprint"] for kind, model in found["models"].items()} == {
        "embedder": embedder.fingerprint,
        "reranker": reranker.fingerprint,
        "order": read_order().fingerprint,
    }
    assert found["workspace"] == {
        "name": str(collection.workspace),
        "writable": True,
        "current": None,
        "created_at": None,
        "retracted": 0,
    }
    assert bad["reason"] in " ".join(shown.out.split())
    assert "A refresh can begin." in shown.out


def test_what_is_live_is_named_and_stays_as_it_is(published: Collection, nightrank: Command) -> None:
    before = snapshot(published.folder)

    found = nightrank("check", "-c", published.settings_file, "--json").json

    assert found["workspace"]["current"] == FolderWorkspace(published.workspace).require_current()
    assert datetime.fromisoformat(found["workspace"]["created_at"]) <= datetime.now(UTC)
    assert snapshot(published.folder) == before


def test_every_part_is_judged_whatever_is_wrong_with_the_others(collection: Collection, nightrank: Command) -> None:
    collection.settings["embedder"]["model"] = "nowhere/embedder-of-nobody"
    collection.settings["reranker"]["model"] = "nowhere/reranker-of-nobody"
    collection.settings["gates"]["measure"] = "Beauty@10"
    collection.write()
    (collection.folder / "queries.jsonl").unlink()
    collection.workspace.write_text("a file in its place")

    ended = nightrank("check", "-c", collection.settings_file, "--json")
    shown = nightrank("check", "-c", collection.settings_file)

    assert (ended.code, shown.code) == (2, 2)
    found = ended.json
    assert not found["ok"]
    assert [problem["part"] for problem in found["problems"]] == [
        "inputs",
        "measures",
        "embedder",
        "reranker",
        "workspace",
    ]
    assert all(problem["message"] and problem["remedy"] for problem in found["problems"])
    assert "queries.jsonl" in found["problems"][0]["message"]
    assert "A refresh would fail." in shown.out


def test_a_judgment_file_of_another_log_is_a_problem_of_the_inputs(collection: Collection, temporary: Path) -> None:
    collection.qrels = [("q-nobody", "bees", 1)]
    found = checked(collection)

    assert (found.inputs, found.exit_code) == (None, 2)
    assert "No query id of qrels.tsv" in only_problem(found).message
    assert list(temporary.iterdir()) == []


def test_too_many_bad_rows_are_a_problem_with_file_row_and_reason(collection: Collection) -> None:
    collection.documents += [{"_id": f"d{number}", "text": number} for number in range(30)]
    problem = only_problem(checked(collection))

    assert problem.part == "inputs"
    assert "documents.max_bad_row_share" in problem.message
    assert f"corpus.jsonl, row {len(collection.documents) - 29}: " in problem.message


def test_a_workspace_that_cannot_be_read_is_a_fault_of_the_machine(
    published: Collection, tmp_path: Path, nightrank: Command
) -> None:
    shutil.copytree(published.folder, tmp_path / "project")
    (tmp_path / "project" / "workspace" / "current.json").write_text("{}")

    ended = nightrank("check", "-c", tmp_path / "project" / "nightrank.toml", "--json")

    assert ended.code == 1
    [problem] = ended.json["problems"]
    assert (problem["part"], problem["exit_code"]) == ("workspace", 1)
    assert ended.json["workspace"] is None
    assert ended.json["documents"]["documents"] == len(published.documents)


def test_a_learned_order_that_cannot_be_read_is_a_problem(collection: Collection) -> None:
    collection.settings["results"] = {"order_model": "order.json"}
    (collection.folder / "order.json").write_text(order_file(read_order(), {}))
    found = checked(collection)
    assert (found.models["order"], found.problems) == (("order.json", read_order().fingerprint), ())
    (collection.folder / "order.json").write_text("{}")
    problem = only_problem(checked(collection))
    assert (problem.part, problem.exit_code) == ("order", 2)
    assert "order.json is no learned order" in problem.message
    collection.settings["results"] = {"order": "weighted"}
    assert checked(collection).models["order"] is None


def test_no_reranker_is_no_problem(collection: Collection) -> None:
    collection.settings["reranker"]["model"] = "none"
    found = checked(collection)
    assert (found.models["reranker"], found.problems) == (None, ())


def test_wrong_settings_end_as_they_do_everywhere(collection: Collection, nightrank: Command) -> None:
    collection.settings["queries"]["budgit"] = 3
    collection.write()
    ended = nightrank("check", "-c", collection.settings_file, "--json")
    assert (ended.code, ended.out) == (2, "")
    assert "Did you mean `budget`?" in ended.err


def test_before_the_first_release_it_says_how_long_that_will_take(collection: Collection, nightrank: Command) -> None:
    found = nightrank("check", "-c", collection.settings_file, "--json").json["first_night"]
    shown = " ".join(nightrank("check", "-c", collection.settings_file).out.split())

    documents = len(collection.documents)
    assert found["chunks"] >= documents
    assert found["pairs"] == len(collection.log) * documents  # fewer than the depth
    assert min(found["chunks_per_second"], found["pairs_per_second"], found["seconds"]) > 0
    assert "The first refresh takes about 1 minute here" in shown


def test_where_nothing_is_embedded_or_scored_there_is_nothing_to_measure(collection: Collection) -> None:
    collection.settings["retrieval"] = {"legs": ["bm25"]}
    collection.settings["reranker"] = {"model": "none"}
    found = checked(collection).first_night
    assert found is not None
    assert (found.chunks_per_second, found.pairs_per_second, found.pairs, found.seconds) == (None, None, 0, 0.0)
