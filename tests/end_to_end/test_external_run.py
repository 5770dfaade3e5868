"""Nights whose first stage comes from outside: cached, compared, examined and tried out as any other."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from benchmarks.parts.compare_releases import compare_releases
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.evaluate.flow import evaluate
from nightrank.flows.operate.doctor import examine
from nightrank.flows.settings_file import load_settings
from nightrank.flows.tune.flow import tune
from nightrank.storage.errors import InputError
from nightrank.storage.files.parquet import read_table
from nightrank.storage.legs import LEGS
from tests.support.collection import Collection
from tests.tasks.experiment.test_experiment import experiment_over, published_candidates, published_evaluation

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.flows.night.summary import Summary
    from nightrank.storage.legs import LegName

# BM25 of another engine: its own scores, one query missing, a document that is not in the collection.
ANSWERS = {
    "q-honey": ["bees", "tea", "garden", "gone"],
    "q-yeast": ["bread", "glass", "sourdough"],
    "q-moon": ["eclipse", "tides"],
    "q-paper": ["ink", "paper"],
    "q-sun": ["salt"],
    "q-frost": ["garden", "glaciers"],
}


def write_run(collection: Collection, answers: dict[str, list[str]]) -> None:
    lines = [
        f"{query_id} Q0 {document_id} {rank} {20 - rank} other\n"
        for query_id, document_ids in answers.items()
        for rank, document_id in enumerate(document_ids, start=1)
    ]
    (collection.folder / "other.run").write_text("".join(lines), encoding="utf-8")


@pytest.fixture(params=LEGS)
def outside(request: pytest.FixtureRequest, collection: Collection) -> Collection:
    """A collection one leg of which is another engine's."""
    legs: list[str] = [*LEGS] if request.param == "sparse" else ["bm25", "dense"]
    collection.settings["retrieval"] = {"legs": legs, f"{request.param}_run": "other.run", "candidate_depth": 8}
    collection.write()
    write_run(collection, ANSWERS)
    return collection


def leg_of(collection: Collection) -> LegName:
    return next(leg for leg in LEGS if f"{leg}_run" in collection.settings["retrieval"])


def run_documents(collection: Collection, leg: str) -> dict[str, list[str]]:
    """What the release's candidates hold of a leg: documents by query id, best first."""
    workspace = load_settings(collection.settings_file).workspace
    folder = workspace.release(workspace.require_current())
    ids = {row["query_key"]: row["query_ids"][0] for row in read_table(folder / "queries.parquet").to_pylist()}
    rows = [row for row in read_table(folder / "candidates.parquet").to_pylist() if row[f"{leg}_rank"] is not None]
    found: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: row[f"{leg}_rank"]):
        found.setdefault(ids[row["query_key"]], []).append(row["document_id"])
    return found


def assert_same(left: Collection, right: Collection) -> None:
    compared = compare_releases(*(load_settings(each.settings_file).workspace for each in (left, right)))
    assert compared.is_exact, str(compared)


def refreshed(collection: Collection) -> Summary:
    summary = refresh_plainly(collection.settings_file)
    assert summary.published
    return summary


@pytest.mark.long
def test_the_leg_is_the_run_and_what_it_lacks_is_told(outside: Collection) -> None:
    summary = refreshed(outside)

    expected = {query_id: [one for one in found if one != "gone"] for query_id, found in ANSWERS.items()}
    assert run_documents(outside, leg_of(outside)) == expected
    assert "other.run answers 6 of 7 queries." in summary.warnings
    assert "other.run has 1 entries of documents not in the collection." in summary.warnings
    examined = examine(load_settings(outside.settings_file).workspace, release_id=None)
    assert [check.name for check in examined.checks if not check.passed] == []


@pytest.mark.long
def test_the_same_run_is_nothing_to_do_and_another_one_computes_what_changed(outside: Collection) -> None:
    first = refreshed(outside)
    write_run(outside, dict(reversed(ANSWERS.items())))
    assert not refresh_plainly(outside.settings_file).changed

    write_run(outside, {**ANSWERS, "q-tea": ["tea", "coffee"], "q-moon": ["tides", "loom"]})
    second = refreshed(outside)

    assert second.counts.chunks_embedded == second.counts.queries_embedded == second.counts.postings_written == 0
    assert second.counts.pairs_scored <= 4 < first.counts.pairs_scored
    assert run_documents(outside, leg_of(outside))["q-moon"] == ["tides", "loom"]


def test_a_query_whose_filter_leaves_nothing_of_the_run_is_told_and_refuses_no_release(collection: Collection) -> None:
    collection.settings["retrieval"] = {"dense_run": "other.run", "candidate_depth": 8}
    collection.settings["gates"]["max_empty"] = 0.0
    collection.log = [("q-honey", "how do bees make honey", 9), ("q-words", "zyx wvu", 1)]  # words of no document
    collection.document("tea")["kind"] = "drink"
    collection.filters = {"q-words": {"kind": "drink"}}
    collection.write()
    write_run(collection, {"q-honey": ["bees"], "q-words": ["bread", "glass"]})

    summary = refreshed(collection)

    reported = [warning for warning in summary.warnings if warning.startswith("Filters leave")]
    assert [warning.partition(":")[0] for warning in reported] == [
        "Filters leave 2 entries out of other.run; it has no other ones for 1 of the queries"
    ]


@pytest.mark.long
def test_a_night_after_edits_ends_where_a_rebuild_ends(outside: Collection, tmp_path: Path) -> None:
    refreshed(outside)
    outside.remove("glass")
    outside.document("bread")["text"] = "Bread is baked from a dough of flour and water."
    outside.documents.append({"_id": "gone", "title": "Honey", "text": "Honey from the market."})
    outside.write()
    refreshed(outside)

    rebuilt = Collection(tmp_path / "rebuilt", outside.settings, outside.documents)
    rebuilt.write()
    shutil.copy(outside.folder / "other.run", rebuilt.folder / "other.run")
    refreshed(rebuilt)

    assert_same(outside, rebuilt)


@pytest.mark.long
def test_a_run_that_goes_leaves_our_own_leg_behind(outside: Collection, tmp_path: Path) -> None:
    refreshed(outside)
    outside.settings["retrieval"] = {"candidate_depth": 8}
    outside.write()
    summary = refreshed(outside)

    assert summary.counts.queries_scanned == 0  # its lists were kept up
    plain = Collection(tmp_path / "plain", outside.settings)
    plain.write()
    refreshed(plain)
    assert_same(outside, plain)


@pytest.mark.long
def test_variants_and_tuning_see_the_run_as_the_release_has_it(outside: Collection) -> None:
    refreshed(outside)
    (outside.folder / "other.run").unlink()

    with experiment_over(outside) as experiment:
        outcome = experiment.evaluate(experiment.settings)
    tuned = tune.fn(str(outside.settings_file)).tuned

    assert outcome.candidates.equals(published_candidates(outside))
    assert outcome.means == published_evaluation(outside)
    leg = leg_of(outside)
    assert tuned.compared_with[leg].before == pytest.approx(outcome.means[leg]["nDCG@10"])


@pytest.mark.long
def test_a_release_without_the_run_says_nothing_of_settings_with_it(collection: Collection) -> None:
    refreshed(collection)
    collection.settings["retrieval"] = {"bm25_run": "other.run"}
    collection.write()

    with pytest.raises(InputError, match="run file of a leg"):
        evaluate.fn(str(collection.settings_file), grid=["retrieval.rrf_k=10"])
    with pytest.raises(InputError, match=r"retrieval\.bm25_run cannot vary"):
        evaluate.fn(str(collection.settings_file), grid=["retrieval.bm25_run=a,b"])


@pytest.mark.parametrize(
    ("text", "says"), [(None, "other.run"), ("q-honey bees 1\n", "row 1"), ("x Q0 y 1 1 z\n", "answers no")]
)
def test_a_run_that_cannot_be_used_stops_the_night(text: str | None, says: str, outside: Collection) -> None:
    path = outside.folder / "other.run"
    path.unlink()
    if text is not None:
        path.write_text(text)

    with pytest.raises(InputError) as refused:
        refresh_plainly(outside.settings_file)

    assert says in refused.value.message
    assert not load_settings(outside.settings_file).workspace.releases.exists()
