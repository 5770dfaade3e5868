"""Gates on whole nights: what they hold the new release against, and what a night without a new one tells."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.night.summary import Refused
from nightrank.storage.errors import InputError
from nightrank.storage.files.parquet import read_table
from nightrank.storage.release.manifest import list_releases
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.end_to_end.test_refresh import forbid_models
from tests.support.collection import LOOSE_GATES, QRELS, TEXTS
from tests.support.published import check_readable, pointer, snapshot

if TYPE_CHECKING:
    from nightrank.flows.night.summary import Summary
    from nightrank.storage.release.manifest import Gate
    from tests.conftest import Command
    from tests.end_to_end.conftest import Refresh
    from tests.support.collection import Collection

COMPARING = ("non_inferiority", "overlap", "top1", "kept")


def gates_of(summary: Summary) -> dict[str, Gate]:
    return {gate.name: gate for gate in summary.manifest.gates}


def assert_nothing_compared(summary: Summary, reason: str) -> None:
    gates = gates_of(summary)
    assert all(gates[name].passed for name in COMPARING)
    assert {gates[name].reason for name in COMPARING} == {f"not compared: {reason}"}


@pytest.mark.long
def test_the_first_release_passes_what_holds_it_against_another(collection: Collection, refresh: Refresh) -> None:
    collection.settings["gates"] = {"margin": 0.001, "min_overlap": 1.0, "max_top1_changed": 0.0, "min_kept": 1.0}

    summary = refresh(collection)

    assert summary.published
    assert_nothing_compared(summary, "it is the first release")
    assert gates_of(summary)["empty"].value == 0.0


@pytest.mark.long
def test_a_night_that_changes_no_result_passes_the_strictest_gates(collection: Collection, refresh: Refresh) -> None:
    collection.settings["gates"] = {"margin": 0.001, "min_overlap": 1.0, "max_top1_changed": 0.0, "min_kept": 1.0}
    refresh(collection)
    collection.document("tea")["shelf"] = 3

    gates = gates_of(refresh(collection))

    assert [gates[name].value for name in COMPARING] == [0.0, 1.0, 0.0, 1.0]
    assert "6 judged queries" in gates["non_inferiority"].reason
    assert "over 7 queries" in gates["overlap"].reason


@pytest.mark.long
def test_results_of_the_current_release_that_are_damaged_are_not_compared(
    collection: Collection, refresh: Refresh
) -> None:
    live = refresh(collection).manifest.release_id
    path = FolderWorkspace(collection.workspace).release(live) / "results.sqlite"
    path.write_bytes(path.read_bytes()[:-10])
    collection.settings["gates"] = {"max_text_lost": "none", "max_drift": "none"}
    collection.documents = collection.documents[::2]

    summary = refresh(collection)

    assert summary.published
    reason = f"the results of the current release {live} are missing or damaged"
    assert_nothing_compared(summary, reason)
    assert f"The release was not compared with the live one: {reason}." in summary.warnings


@pytest.mark.long
def test_todays_judgments_measure_the_release_that_was_made_without_them(
    collection: Collection, refresh: Refresh
) -> None:
    collection.qrels = [row for row in QRELS if row[0] == "q-moon"]
    refresh(collection)
    collection.qrels = list(QRELS)
    collection.settings["gates"] = {"margin": 0.001}

    gate = gates_of(refresh(collection))["non_inferiority"]

    assert (gate.passed, gate.value) == (True, 0.0)  # the collection is the same, and so are the results
    assert "on 6 judged queries" in gate.reason


@pytest.mark.long
def test_a_judged_query_that_is_lost_scores_0_and_new_ones_do_not_make_up_for_it(
    collection: Collection, refresh: Refresh
) -> None:
    whole = list(collection.log)
    collection.log = [row for row in whole if row[0] in {"q-sun", "q-tea"}]
    collection.qrels = [row for row in QRELS if row[0] == "q-tea"]
    refresh(collection)
    collection.log = [row for row in whole if row[0] != "q-tea"]
    collection.qrels = list(QRELS)
    collection.settings["gates"] = {"margin": "none"}

    gates = gates_of(refresh(collection))

    assert "on 1 judged queries" in gates["non_inferiority"].reason
    assert '"q-tea" (-' in gates["non_inferiority"].reason
    assert "over 1 queries" in gates["overlap"].reason
    assert (gates["kept"].passed, gates["kept"].value) == (True, 0.5)


@pytest.mark.long
def test_where_the_live_release_answers_no_query_that_is_judged_today_its_own_judgments_are_gone_by(
    collection: Collection, refresh: Refresh
) -> None:
    whole = list(collection.log)
    collection.log = [row for row in whole if row[0] in {"q-sun", "q-tea"}]
    collection.qrels = [row for row in QRELS if row[0] == "q-tea"]
    refresh(collection)
    collection.log = whole
    collection.qrels = [row for row in QRELS if row[0] == "q-moon"]
    collection.settings["gates"] = {"max_judgments_lost": "none"}

    gates = gates_of(refresh(collection))

    assert "on 1 judged queries, by the judgments of the live release: " in gates["non_inferiority"].reason
    assert gates["judgments"].value == 1.0
    assert gates["quality_drift"].reason == (
        "not compared: no judged query of a release of the last days is judged today"
    )


@pytest.mark.long
def test_a_log_that_was_cut_off_is_refused_for_the_queries_that_it_lost(
    collection: Collection, refresh: Refresh
) -> None:
    collection.settings["gates"] = {}
    refresh(collection)
    collection.log = collection.log[:1]

    with pytest.raises(Refused) as refused:
        refresh(collection)

    gates = gates_of(refused.value.summary)
    assert not gates["kept"].passed
    assert gates["kept"].value == pytest.approx(1 / 7)
    assert 'lost: "q-' in gates["kept"].reason
    assert not gates["non_inferiority"].passed
    assert "on 6 judged queries" in gates["non_inferiority"].reason


@pytest.mark.long
def test_a_query_that_is_answered_as_a_form_of_another_is_kept(collection: Collection, refresh: Refresh) -> None:
    collection.settings["gates"] = {"margin": 0.001, "min_kept": 1.0}
    refresh(collection)
    text = next(text for query_id, text, _ in collection.log if query_id == "q-tea")
    collection.log.append(("q-asked", f"{text}?", 100))

    gates = gates_of(refresh(collection))

    assert gates["kept"].value == 1.0
    assert gates["non_inferiority"].passed
    assert "on 6 judged queries" in gates["non_inferiority"].reason


@pytest.mark.long
def test_the_same_inputs_give_the_same_figures_run_after_run(collection: Collection, refresh: Refresh) -> None:
    refresh(collection)
    collection.settings["gates"] = {**LOOSE_GATES, "min_judged": 1.0}
    collection.documents = collection.documents[::2]

    def again() -> tuple[float, list[dict[str, object]]]:
        with pytest.raises(Refused) as refused:
            refresh(collection)
        summary = refused.value.summary
        folder = FolderWorkspace(collection.workspace).release(summary.manifest.release_id)
        return gates_of(summary)["non_inferiority"].value, read_table(folder / "comparison.parquet").to_pylist()

    first, second = again(), again()

    assert first[0] < 0.0
    assert len(first[1]) > 0
    assert first == second


@pytest.mark.long
@pytest.mark.parametrize(("settings", "gate"), [({"min_judged": 0.9}, "judged"), ({"min_coverage": 0.9}, "coverage")])
def test_a_first_release_too_is_refused_for_what_it_is_itself(
    collection: Collection, refresh: Refresh, settings: dict[str, float], gate: str
) -> None:
    collection.settings["gates"] = dict(settings)
    collection.settings["queries"]["budget"] = 2

    with pytest.raises(Refused, match=gate) as refused:
        refresh(collection)

    assert [found.name for found in refused.value.summary.refused] == [gate]
    assert f"`nightrank refresh --accept {gate}`" in refused.value.remedy
    assert not (collection.workspace / "current.json").exists()


@pytest.mark.long
@pytest.mark.parametrize("loss", ["a column of another name", "texts cut in half"])
def test_texts_that_vanish_overnight_are_refused_though_titles_keep_the_results(
    collection: Collection, refresh: Refresh, nightrank: Command, loss: str
) -> None:
    collection.settings["gates"] = {**LOOSE_GATES, "max_text_lost": 0.3}
    assert gates_of(refresh(collection))["account"].reason == "not compared: it is the first release"
    for document in collection.documents[::2]:
        if loss == "texts cut in half":
            document["text"] = str(document["text"])[:9]
        else:
            document["brief"] = document.pop("text")

    with pytest.raises(Refused) as refused:
        refresh(collection)

    [gate] = refused.value.summary.refused
    assert (gate.name, gate.threshold) == ("account", 0.3)
    assert gate.value > 0.3
    ended = nightrank("refresh", "-c", collection.settings_file, "--accept", "account", "--json")
    assert (ended.code, ended.json["published"]) == (0, True)
    folder = FolderWorkspace(collection.workspace).release(ended.json["release_id"])
    assert read_table(folder / "account.parquet").to_pylist() == ended.json["account"]


@pytest.mark.long
def test_a_source_that_is_too_old_is_refused_and_warned_of_where_there_is_nothing_to_do(
    collection: Collection, refresh: Refresh, nightrank: Command
) -> None:
    collection.settings["gates"] = {"max_source_age_days": 2.0, "margin": "none"}
    assert "source_age" in gates_of(refresh(collection))
    old = (datetime.now(UTC) - timedelta(days=3)).timestamp()
    os.utime(collection.folder / "corpus.jsonl", (old, old))

    nothing = nightrank("refresh", "-c", collection.settings_file, "--json")
    shown = nightrank("refresh", "-c", collection.settings_file)

    assert (nothing.code, nothing.json["changed"]) == (0, False)
    [warning] = nothing.json["warnings"]
    assert "was written 3.0 days ago, up to 2 are allowed" in warning
    assert "Note: The source may be stale" in " ".join(shown.out.split())

    collection.settings["retrieval"] = {"rrf_k": 61}
    collection.write()
    os.utime(collection.folder / "corpus.jsonl", (old, old))
    changed = nightrank("refresh", "-c", collection.settings_file, "--json")
    accepted = nightrank("refresh", "-c", collection.settings_file, "--json", "--accept", "source_age")

    assert changed.code == 3
    assert [gate["name"] for gate in changed.json["gates"] if not gate["passed"]] == ["source_age"]
    assert (accepted.code, accepted.json["published"]) == (0, True)


def ask_for_titles(collection: Collection) -> None:
    """Ask for every title, so that BM25 alone finds what is judged; the random reranker then disorders it."""
    collection.log = [(f"q-{document_id}", title, 1) for document_id, (title, _) in TEXTS.items()]
    collection.qrels = [(f"q-{document_id}", document_id, 1) for document_id in TEXTS]
    collection.settings["reranker"]["weight"] = 1.0


def test_a_night_whose_order_is_worse_than_one_stage_alone_is_refused_where_that_is_asked_for(
    collection: Collection, refresh: Refresh, nightrank: Command
) -> None:
    ask_for_titles(collection)
    collection.settings["gates"] = {**LOOSE_GATES, "best_stage": 0.05}

    with pytest.raises(Refused, match="best_stage: BM25 alone has nDCG@10") as refused:
        refresh(collection)

    summary = refused.value.summary
    assert [gate.name for gate in summary.refused] == ["best_stage"]
    assert summary.best_stage is not None
    assert summary.best_stage.stage == "bm25"
    assert summary.best_stage.published == pytest.approx(summary.manifest.measures["results"]["nDCG@10"])
    assert summary.best_stage.alone == pytest.approx(summary.manifest.measures["bm25"]["nDCG@10"])
    assert summary.warnings == ()  # the gate has said it
    assert not (collection.workspace / "current.json").exists()

    accepted = nightrank("refresh", "-c", collection.settings_file, "--json", "--accept", "best_stage")
    assert (accepted.code, accepted.json["published"]) == (0, True)


@pytest.mark.long
def test_a_stage_that_beats_the_published_order_is_told_by_refresh_evaluate_and_report(
    collection: Collection, refresh: Refresh, nightrank: Command
) -> None:
    ask_for_titles(collection)

    summary = refresh(collection)
    nothing = nightrank("refresh", "-c", collection.settings_file, "--json")
    evaluated = nightrank("evaluate", "-c", collection.settings_file, "--json")
    shown = nightrank("evaluate", "-c", collection.settings_file)

    assert summary.published
    assert summary.best_stage is not None
    warning = summary.best_stage.warning
    assert warning in summary.warnings
    assert (nothing.json["changed"], nothing.json["best_stage"]) == (False, summary.best_stage.as_json())
    assert warning in nothing.json["warnings"]
    assert evaluated.json["best_stage"]["stage"] == "bm25"
    assert evaluated.json["best_stage"]["difference"] == summary.best_stage.difference
    assert "BM25 alone has nDCG@10" in " ".join(shown.out.split())
    folder = FolderWorkspace(collection.workspace).release(summary.manifest.release_id)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert warning.replace("`nightrank tune`", "<code>nightrank tune</code>") in page


@pytest.mark.parametrize(
    ("name", "message", "remedy"),
    [
        ("overlp", "There is no gate 'overlp'.", 'Did you mean "overlap"?'),
        ("integrity", "The gate integrity cannot be overridden", "nightrank refresh"),
    ],
)
def test_a_gate_that_cannot_be_accepted_is_the_users_mistake_before_anything_is_done(
    collection: Collection, nightrank: Command, name: str, message: str, remedy: str
) -> None:
    ended = nightrank("refresh", "-c", collection.settings_file, "--accept", "overlap", "--accept", name)

    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert remedy in ended.err
    assert not collection.workspace.exists()


def test_the_flow_itself_refuses_names_of_gates_that_are_not_there(collection: Collection, prefect_api: str) -> None:
    from nightrank.flows.refresh import refresh

    with pytest.raises(InputError, match="no gate 'nDCG'"):
        refresh(str(collection.settings_file), accept=("nDCG",))


def test_a_measure_that_nobody_knows_is_told_before_the_nights_work(collection: Collection, refresh: Refresh) -> None:
    collection.settings["gates"] = {"measure": "nDGC@10"}

    with pytest.raises(InputError, match="nDGC@10"):
        refresh(collection)

    assert not list((collection.workspace / "lance").glob("*"))


@pytest.mark.long
def test_refused_nights_leave_the_live_release_and_the_newest_of_their_own(
    collection: Collection, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.settings["retention"] = {"keep": 1}
    live = refresh(collection).manifest.release_id
    workspace = FolderWorkspace(collection.workspace)
    before = pointer(collection.workspace), snapshot(workspace.release(live))
    collection.settings["gates"] = {**LOOSE_GATES, "min_judged": 1.0}

    def refused_night(text: str) -> str:
        collection.document("tea")["text"] = text
        with pytest.raises(Refused) as refused:
            refresh(collection)
        assert refused.value.summary.warnings == ()
        return refused.value.summary.manifest.release_id

    for number in range(5):
        newest = refused_night(f"Tea number {number} is black or green.")

    assert [manifest.release_id for manifest in list_releases(workspace)] == [live, newest]
    assert (pointer(collection.workspace), snapshot(workspace.release(live))) == before
    check_readable(collection.workspace)
    check_readable(collection.workspace, newest)
    forbid_models(monkeypatch)  # what the newest refused release needs is still remembered
    collection.settings["gates"] = dict(LOOSE_GATES)
    counts = refresh(collection).counts
    assert (counts.chunks_embedded, counts.queries_embedded, counts.pairs_scored) == (0, 0, 0)


@pytest.mark.long
def test_what_was_refused_is_not_built_again_from_the_same_inputs(
    collection: Collection, refresh: Refresh, nightrank: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = refresh(collection).manifest.release_id
    collection.settings["gates"]["min_judged"] = 1.0
    collection.document("tea")["text"] = "Leaves of one bush make every tea."
    with pytest.raises(Refused) as first:
        refresh(collection)
    refused = first.value.summary.manifest
    before = snapshot(collection.workspace)

    with monkeypatch.context() as without_models:
        forbid_models(without_models)
        again = nightrank("refresh", "-c", collection.settings_file)
        reported = nightrank("refresh", "-c", collection.settings_file, "--json")

    assert (again.code, reported.code) == (3, 3)
    at = f"{refused.created_at:%Y-%m-%d %H:%M} UTC"
    told = f"Nothing was built: from the very same inputs came the release {refused.release_id}, refused {at}. judged: "
    assert told in again.err
    assert "once documents, log, judgments, models or settings change" in again.err
    assert "nightrank refresh --accept judged" in again.err
    assert f"Nothing was built: release {refused.release_id} was refused" in again.out
    assert (reported.json["changed"], reported.json["published"]) == (False, False)
    assert reported.json["release_id"] == refused.release_id
    assert snapshot(collection.workspace) == before
    assert pointer(collection.workspace)["release_id"] == live

    accepted = nightrank("refresh", "-c", collection.settings_file, "--accept", "judged", "--json")
    assert (accepted.code, accepted.json["published"]) == (0, True)


@pytest.mark.long
def test_other_inputs_or_gates_are_a_reason_to_build_again(collection: Collection, refresh: Refresh) -> None:
    refresh(collection)
    collection.settings["gates"]["min_judged"] = 1.0
    collection.document("tea")["text"] = "Leaves of one bush make every tea."
    with pytest.raises(Refused):
        refresh(collection)
    collection.document("tea")["text"] = "Leaves of one bush make all tea."
    with pytest.raises(Refused) as changed:
        refresh(collection)
    assert changed.value.summary.changed

    collection.settings["gates"]["min_judged"] = 0.01
    assert refresh(collection).published
