"""Offline evaluation, from the command line."""

from __future__ import annotations

import json
import shutil
import statistics
from typing import TYPE_CHECKING

import ir_measures
import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from benchmarks.inputs.tiny_models import tiny_embedder
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.evaluate.flow import evaluate
from nightrank.storage.files.parquet import read_table
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.evaluate.diagnosis import totals
from nightrank.tasks.evaluate.ladder import read_depths
from nightrank.tasks.evaluate.significance import holm
from tests.support.collection import QRELS, Collection
from tests.support.published import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

MEASURES = ("nDCG@10", "RR@10", "R@100", "AP", "P@5", "Judged@10")


def release_folder(collection: Collection) -> Path:
    workspace = FolderWorkspace(collection.workspace)
    return workspace.release(workspace.require_current())


def copy_of(collection: Collection, folder: Path) -> Collection:
    """A collection that may be changed."""
    shutil.copytree(collection.folder, folder)
    return Collection(folder, json.loads(json.dumps(collection.settings)))


def test_the_run_files_of_all_stages_measure_to_what_is_told(
    published: Collection, nightrank: Command, tmp_path: Path
) -> None:
    chosen = [argument for name in MEASURES for argument in ("-m", name)]

    reported = nightrank(
        "evaluate", "-c", published.settings_file, "--json", *chosen, "--write-runs", tmp_path / "runs"
    ).json

    qrels = [ir_measures.Qrel(*row) for row in QRELS]
    assert list(reported["runs"]) == list(reported["measures"])
    assert set(reported["runs"]) >= {"bm25", "dense", "fused", "reranker", "reranked", "results"}
    for stage, path in reported["runs"].items():
        run = list(ir_measures.read_trec_run(path))  # type: ignore[no-untyped-call]  # it has no types
        for name in MEASURES:
            values = [metric.value for metric in ir_measures.iter_calc([ir_measures.parse_measure(name)], qrels, run)]
            assert reported["measures"][stage][name] == pytest.approx(statistics.fmean(values), abs=1e-12), (
                stage,
                name,
            )


def test_a_plain_evaluation_tells_what_the_release_keeps_and_changes_nothing(
    published: Collection, nightrank: Command
) -> None:
    before = snapshot(published.workspace)

    reported = nightrank("evaluate", "-c", published.settings_file, "--json").json

    folder = release_folder(published)
    assert [(row.pop("depth"), row) for row in reported["depths"]] == read_depths(ReleaseFiles(folder).depths)
    assert reported["diagnosis"] == totals(read_table(folder / "diagnosis.parquet"))
    assert [stage["stage"] for stage in reported["ladder"]] == ["static", "bm25", "dense", "fused", "reranked"]
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert {stage: values for stage, values in reported["measures"].items() if stage != "static"} == manifest[
        "measures"
    ]
    assert set(reported) == {
        "release_id",
        "queries",
        "judged_by",
        "measures",
        "ladder",
        "depths",
        "diagnosis",
        "best_stage",
    }
    assert reported["best_stage"] is None  # of six judged queries three stages cannot be told apart
    assert snapshot(published.workspace) == before


def test_static_embeddings_are_those_of_the_releases_own_embedder_and_are_left_out_without_it(
    published: Collection, nightrank: Command, tmp_path: Path
) -> None:
    collection = copy_of(published, tmp_path / "copied")
    for model in (str(tiny_embedder(tmp_path / "another", seed=8)), str(tmp_path / "lost")):
        collection.settings["embedder"] = {**collection.settings["embedder"], "model": model}
        collection.write()
        reported = nightrank("evaluate", "-c", collection.settings_file, "--json").json
        assert [stage["stage"] for stage in reported["ladder"]] == ["bm25", "dense", "fused", "reranked"]


def test_costs_that_cannot_be_read_are_not_told(published: Collection, nightrank: Command, tmp_path: Path) -> None:
    collection = copy_of(published, tmp_path / "copied")
    path = release_folder(collection) / "timings.json"
    path.write_bytes(path.read_bytes()[:-10])

    reported = nightrank("evaluate", "-c", collection.settings_file, "--json").json

    assert {stage["milliseconds"] for stage in reported["ladder"]} == {None}


def test_without_a_server_of_the_users_none_is_started(
    published: Collection, nightrank: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise AssertionError("Prefect's engine was asked")

    monkeypatch.setattr("prefect.flows.Flow.__call__", refuse)
    monkeypatch.setattr("prefect.tasks.Task.__call__", refuse)
    with temporary_settings({PREFECT_API_URL: None}):
        ended = nightrank("evaluate", "-c", published.settings_file)

    assert (ended.code, ended.err) == (0, "")
    assert "6 judged queries" in ended.out


def test_a_flow_run_leaves_its_tables_on_prefects_pages(published: Collection, prefect_api: str) -> None:
    evaluate(
        str(published.settings_file),
        measures=["RR@10"],
        baseline=str(published.settings_file),
        grid=["reranker.weight=0.0"],
    )

    with get_client(sync_client=True) as client:
        keys = ["nightrank-evaluation", "nightrank-comparison", "nightrank-grid"]
        wanted = {"artifacts": {"key": {"any_": keys}}, "sort": "CREATED_DESC"}
        found = client.request("POST", "/artifacts/filter", json=wanted).json()
    data = {artifact["key"]: artifact["data"] for artifact in reversed(found)}  # the newest of each
    assert set(data) == set(keys)
    assert [set(row) for row in json.loads(data["nightrank-grid"])] == [{"reranker.weight", "RR@10"}]


def test_a_run_file_is_measured_beside_the_stages_and_alone(
    published: Collection, nightrank: Command, tmp_path: Path
) -> None:
    run = tmp_path / "theirs.run"
    run.write_text("".join(f"{query_id} Q0 {document_id} 1 {grade} x\n" for query_id, document_id, grade in QRELS))

    beside = nightrank("evaluate", "-c", published.settings_file, "--json", "--run", run).json
    alone = nightrank("evaluate", "-c", published.settings_file, "--json", "--run", run, "--only-runs").json
    shown = nightrank("evaluate", "-c", published.settings_file, "--run", run)

    assert beside["measures"]["theirs"]["nDCG@10"] == 1.0
    assert "results" in beside["measures"]
    assert alone == {
        "release_id": None,
        "queries": 6,
        "judged_by": "people",
        "measures": {"theirs": beside["measures"]["theirs"]},
    }
    assert "theirs" in shown.out


def test_against_a_run_file_every_stage_is_held(published: Collection, nightrank: Command, tmp_path: Path) -> None:
    run = tmp_path / "theirs.run"
    run.write_text("".join(f"{query_id} Q0 {document_id} 1 {grade} x\n" for query_id, document_id, grade in QRELS))

    reported = nightrank("evaluate", "-c", published.settings_file, "--json", "-m", "nDCG@10", "--baseline", run).json

    assert [row["stage"] for row in reported["comparison"]] == list(reported["measures"])
    for row in reported["comparison"]:
        assert (row["before"], row["after"]) == (1.0, pytest.approx(reported["measures"][row["stage"]]["nDCG@10"]))
        assert row["wins"] == 0
        assert row["low"] <= row["difference"] <= row["high"]
        assert row["ties"] + row["losses"] == row["queries"] == 6


@pytest.mark.long
def test_a_run_file_is_held_against_the_results_of_a_release_or_of_a_variant(
    published: Collection, nightrank: Command, tmp_path: Path
) -> None:
    run = tmp_path / "theirs.run"
    run.write_text("".join(f"{query_id} Q0 {document_id} 1 {grade} x\n" for query_id, document_id, grade in QRELS))
    variant = published.folder / "minmax.toml"
    variant.write_text(published.settings_file.read_text() + '[retrieval]\nfusion = "minmax"\n')
    common = ("evaluate", "-c", published.settings_file, "--json", "-m", "nDCG@10", "--run", run)
    release_id = FolderWorkspace(published.workspace).require_current()

    reported = nightrank(*common).json["measures"]["results"]["nDCG@10"]
    tried = nightrank(*common, "--grid", "retrieval.fusion=minmax").json["grid"][0]["measures"]["results"]["nDCG@10"]
    baseline = {
        name: nightrank(*common, "--only-runs", "--baseline", name).json
        for name in (release_id, str(variant), str(run))
    }
    beside = nightrank(*common, "--baseline", release_id).json

    assert all(found["release_id"] is None for found in baseline.values())
    befores = [[(row["stage"], row["before"]) for row in found["comparison"]] for found in baseline.values()]
    assert befores == [[("theirs", pytest.approx(before))] for before in (reported, tried, 1.0)]
    compared = {row["stage"]: row for row in beside["comparison"]}
    assert set(compared) == set(beside["measures"])
    assert compared["theirs"]["before"] == pytest.approx(reported)


def test_run_files_alone_need_no_release(collection: Collection, nightrank: Command) -> None:
    run = collection.folder / "theirs.run"
    run.write_text("q-honey Q0 bees 1 1.0 x\n")

    ended = nightrank("evaluate", "-c", collection.settings_file, "--json", "--run", run, "--only-runs")
    held = nightrank(
        "evaluate", "-c", collection.settings_file, "--json", "--run", run, "--only-runs", "--baseline", run
    )

    assert (ended.code, held.code) == (0, 0)
    assert {row["difference"] for row in held.json["comparison"]} == {0.0}


@pytest.mark.parametrize("option", [("--grid", "retrieval.fusion=minmax"), ("--write-runs", "runs")])
def test_what_only_a_release_has_is_refused_where_run_files_are_evaluated_alone(
    option: tuple[str, str], published: Collection, nightrank: Command, tmp_path: Path
) -> None:
    run = tmp_path / "theirs.run"
    run.write_text("q-honey Q0 bees 1 1.0 x\n")

    ended = nightrank("evaluate", "-c", published.settings_file, "--run", run, "--only-runs", *option)

    assert (ended.code, ended.out) == (2, "")
    assert f"{option[0]} is about a release" in ended.err


def test_other_qrels_are_other_queries(published: Collection, nightrank: Command, tmp_path: Path) -> None:
    qrels = tmp_path / "other.qrels"
    qrels.write_text("q-honey 0 bees 1\nq-nobody 0 bees 1\n")

    reported = nightrank("evaluate", "-c", published.settings_file, "--json", "--per-query", "--qrels", qrels).json

    assert reported["queries"] == 2
    assert reported["diagnosis"]["no query"] == 1
    assert set(reported["per_query"]["bm25"]) == {"q-honey", "q-nobody"}
    assert reported["per_query"]["bm25"]["q-nobody"]["nDCG@10"] == 0.0
    assert reported["measures"]["bm25"]["RR@10"] == reported["per_query"]["bm25"]["q-honey"]["RR@10"] / 2


@pytest.mark.long
def test_an_older_release_is_compared_with_the_current_one(
    published: Collection, nightrank: Command, tmp_path: Path
) -> None:
    collection = copy_of(published, tmp_path / "copied")
    before = FolderWorkspace(collection.workspace).require_current()
    collection.settings["retrieval"] = {"fusion": "minmax"}
    collection.settings["reranker"]["model"] = "none"
    collection.write()
    refresh_plainly(collection.settings_file)

    reported = nightrank("evaluate", "-c", collection.settings_file, "--json", "--baseline", before).json
    back = nightrank("evaluate", "-c", collection.settings_file, "--json", "--release", before).json

    assert back["release_id"] == reported["baseline"] == before != reported["release_id"]
    compared = {(row["stage"], row["measure"]): row for row in reported["comparison"]}
    assert ("reranker", "nDCG@10") not in compared
    for (stage, measure), row in compared.items():
        assert row["before"] == pytest.approx(back["measures"][stage][measure])
        assert row["after"] == pytest.approx(reported["measures"][stage][measure])
    assert "ladder" in reported
    assert reported["depths"] == []


@pytest.mark.long
def test_a_settings_file_over_the_same_workspace_is_run_as_a_variant(
    published: Collection, nightrank: Command, tmp_path: Path
) -> None:
    collection = copy_of(published, tmp_path / "copied")
    there = tmp_path / "elsewhere"
    there.mkdir()
    other = there / "other.toml"
    text = collection.settings_file.read_text().replace('"workspace"', '"../copied/workspace"')
    for name in ("corpus.jsonl", "queries.jsonl"):
        text = text.replace(f'"{name}"', f'"../copied/{name}"')
    other.write_text(text + '[retrieval]\nfusion = "minmax"\n')

    reported = nightrank("evaluate", "-c", collection.settings_file, "--json", "--baseline", other).json
    collection.settings["retrieval"] = {"fusion": "minmax"}
    collection.write()
    refresh_plainly(collection.settings_file)
    minmax = nightrank("evaluate", "-c", collection.settings_file, "--json").json

    for row in reported["comparison"]:
        assert row["before"] == pytest.approx(minmax["measures"][row["stage"]][row["measure"]])
        assert row["after"] == pytest.approx(reported["measures"][row["stage"]][row["measure"]])
    assert {row["stage"] for row in reported["comparison"]} >= {"bm25", "dense", "fused", "results"}


@pytest.mark.long
def test_a_settings_file_with_another_workspace_is_its_current_release(
    published: Collection, nightrank: Command, tmp_path: Path
) -> None:
    other = copy_of(published, tmp_path / "other")
    other.settings["chunking"]["max_tokens"] = 60
    other.write()
    refresh_plainly(other.settings_file)
    theirs = nightrank("evaluate", "-c", other.settings_file, "--json").json

    reported = nightrank("evaluate", "-c", published.settings_file, "--json", "--baseline", other.settings_file).json

    for row in reported["comparison"]:
        assert row["before"] == pytest.approx(theirs["measures"][row["stage"]][row["measure"]])


def test_a_grid_comes_best_first_and_holds_the_settings_as_they_are(published: Collection, nightrank: Command) -> None:
    axes = ("--grid", "retrieval.fusion=rrf,minmax", "--grid", "reranker.weight=0.0,1.0")

    reported = nightrank("evaluate", "-c", published.settings_file, "--json", *axes).json
    shown = nightrank("evaluate", "-c", published.settings_file, *axes)

    values = [row["measures"]["results"]["nDCG@10"] for row in reported["grid"]]
    assert values == sorted(values, reverse=True)
    assert len({json.dumps(row["values"]) for row in reported["grid"]}) == 4
    [same] = [row for row in reported["grid"] if row["values"] == {"retrieval.fusion": "rrf", "reranker.weight": 1.0}]
    assert same["measures"]["results"] == reported["measures"]["results"]
    assert same["measures"]["fused"] == reported["measures"]["fused"]
    assert all(row["difference"] == 0.0 and row["p_value"] == 1.0 for row in same["comparison"])
    for row in reported["grid"]:
        for compared in row["comparison"]:
            assert compared["before"] == pytest.approx(reported["measures"]["results"][compared["measure"]])
            assert compared["p_holm"] >= compared["p_value"]
    assert "optimistic" in " ".join(shown.out.split())
    assert "minmax" in shown.out


def test_the_settings_as_they_are_are_no_part_of_what_holms_correction_is_over(
    published: Collection, nightrank: Command
) -> None:
    axis = ("--grid", "retrieval.fusion=rrf,minmax", "--grid", "bm25.k1=1.2,0.1")

    reported = nightrank("evaluate", "-c", published.settings_file, "--json", *axis).json["grid"]

    others = {json.dumps(row["values"]): row["comparison"] for row in reported if not row["is_current"]}
    in_the_grids_order = [
        compared
        for fusion, k1 in (("rrf", 0.1), ("minmax", 1.2), ("minmax", 0.1))
        for compared in others.pop(json.dumps({"retrieval.fusion": fusion, "bm25.k1": k1}))
    ]
    assert others == {}
    p_values = [compared["p_value"] for compared in in_the_grids_order]
    assert [compared["p_holm"] for compared in in_the_grids_order] == holm(p_values)


def test_the_worst_queries_are_shown_where_single_queries_are_asked_for(
    published: Collection, nightrank: Command
) -> None:
    reported = nightrank("evaluate", "-c", published.settings_file, "--json", "--per-query").json
    shown = nightrank("evaluate", "-c", published.settings_file, "--per-query")

    worst = min(
        reported["per_query"]["results"], key=lambda query_id: reported["per_query"]["results"][query_id]["nDCG@10"]
    )
    assert worst in shown.out
    assert "serve worst" in shown.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-m", "nDGC@10"), "'nDGC@10' is not a measure"),
        (("-m", "P"), "lacks a parameter"),
        (("-m", "P@0"), "counts no document"),
        (("-m", "alpha_nDCG@10"), "cannot compute alpha_nDCG@10"),
        (("--release", "20200101T000000-000Z"), "There is no release"),
        (("--release", "../.."), "There is no release"),
        (("--baseline", "20200101T000000-000Z"), "neither a release"),
        (("--baseline", "missing.toml"), "There is no settings file missing.toml"),
        (("--grid", "retrieval.fusion=both"), "retrieval.fusion = 'both' is wrong"),
        (("--grid", "chunking.max_tokens=64"), "chunking.max_tokens cannot vary"),
        (("--run", "missing.run"), "missing.run"),
        (("--qrels", "missing.tsv"), "missing.tsv"),
        (("--only-runs",), "nothing to evaluate"),
    ],
)
def test_what_cannot_be_evaluated_is_the_users_mistake(
    arguments: tuple[str, ...], says: str, published: Collection, nightrank: Command
) -> None:
    ended = nightrank("evaluate", *arguments, "-c", published.settings_file, "--json")

    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert len(ended.err.splitlines()) == 2


def test_a_run_that_answers_no_judged_query_is_told(published: Collection, nightrank: Command, tmp_path: Path) -> None:
    run = tmp_path / "theirs.run"
    run.write_text("q-nobody Q0 bees 1 1.0 x\n")

    ended = nightrank("evaluate", "-c", published.settings_file, "--run", run)

    assert (ended.code, ended.out) == (2, "")
    assert "No query of the run file" in ended.err


def test_settings_over_the_same_workspace_that_cut_otherwise_are_refused_with_a_way_out(
    published: Collection, nightrank: Command
) -> None:
    other = published.folder / "other.toml"
    other.write_text(published.settings_file.read_text().replace("max_tokens = 40", "max_tokens = 60"))

    ended = nightrank("evaluate", "-c", published.settings_file, "--baseline", other)

    assert (ended.code, ended.out) == (2, "")
    assert "differs in chunking.max_tokens" in ended.err
    assert "`workspace` of its own" in ended.err


def test_a_variant_may_lie_in_a_folder_of_its_own_and_name_paths_from_there(
    collection: Collection, nightrank: Command
) -> None:
    collection.settings["documents"]["source"] = "c*.jsonl"
    collection.settings["queries"]["drop_list"] = "drop.csv"
    (collection.folder / "drop.csv").write_text("query\nsun and salt\n")
    collection.write()
    refresh_plainly(collection.settings_file)
    text = collection.settings_file.read_text()
    for name in ("c*.jsonl", "queries.jsonl", "drop.csv", "workspace"):
        text = text.replace(f'"{name}"', f'"../{name}"')
    text = text.replace("[queries]", "[queries]\npairs_per_second = 10.0")
    (collection.folder / "variants").mkdir()
    other = collection.folder / "variants" / "other.toml"
    other.write_text(text + "[bm25]\nk1 = 0.9\n")

    same = nightrank("evaluate", "-c", collection.settings_file, "--json", "--baseline", other)
    other.write_text(text.replace("../drop.csv", "drop.csv"))
    another = nightrank("evaluate", "-c", collection.settings_file, "--json", "--baseline", other)

    assert (same.code, same.err) == (0, "")
    assert another.code == 2
    assert "differs in queries.drop_list" in another.err


def test_without_judgments_one_is_told_where_to_name_them(
    published: Collection, nightrank: Command, tmp_path: Path
) -> None:
    bare = published.folder / "bare.toml"
    bare.write_text(published.settings_file.read_text().replace('[judgments]\nqrels = "qrels.tsv"\n', ""))

    ended = nightrank("evaluate", "-c", bare)
    given = nightrank("evaluate", "-c", bare, "--qrels", published.folder / "qrels.tsv", "--json")

    assert ended.code == 2
    assert "--qrels" in ended.err
    assert given.code == 0
    assert given.json["queries"] == 6
