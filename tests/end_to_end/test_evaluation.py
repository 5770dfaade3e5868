"""What nights measure: the ladder, its costs, what changed; and what they do not measure again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

import nightrank.tasks.embed.lazy
import nightrank.tasks.rerank.lazy
from benchmarks.inputs.tiny_models import tiny_reranker
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.storage.errors import InputError
from nightrank.storage.files.parquet import read_table
from nightrank.storage.release.evaluation import COMPARISON, DEPTHS, DIAGNOSIS, EVALUATION
from nightrank.storage.release.files import ReleaseFiles
from nightrank.tasks.evaluate.ladder import read_timings
from nightrank.tasks.evaluate.measures import means

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.flows.night.summary import Summary
    from nightrank.storage.release.evaluation import Timings
    from tests.support.collection import Collection

NIGHTLY = ["bm25", "dense", "fused", "reranked"]
SCHEMAS = {
    "evaluation.parquet": EVALUATION,
    "previous.parquet": EVALUATION,
    "depths.parquet": DEPTHS,
    "diagnosis.parquet": DIAGNOSIS,
    "comparison.parquet": COMPARISON,
}


@pytest.fixture
def collection(collection: Collection) -> Collection:
    """The small collection, its queries timed."""
    collection.settings["evaluation"] = {"timed_queries": 1}
    collection.write()
    return collection


def night(collection: Collection) -> Summary:
    collection.write()
    return refresh_plainly(collection.settings_file)


def folder_of(collection: Collection, summary: Summary) -> Path:
    return collection.workspace / "releases" / summary.manifest.release_id


def timings_of(collection: Collection, summary: Summary) -> Timings:
    timings = read_timings(ReleaseFiles(folder_of(collection, summary)).timings)
    assert timings is not None
    return timings


def load_no_model(*arguments: object, **options: object) -> NoReturn:
    message = "a model was loaded"
    raise AssertionError(message)


def forbid_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nightrank.tasks.embed.lazy, "Embedder", load_no_model)
    monkeypatch.setattr(nightrank.tasks.rerank.lazy, "Reranker", load_no_model)


@pytest.mark.long
def test_a_night_measures_every_rung_that_it_builds_and_says_what_a_query_costs_there(collection: Collection) -> None:
    summary = night(collection)

    assert [stage.stage for stage in summary.ladder] == NIGHTLY
    costs = [stage.milliseconds for stage in summary.ladder]
    assert all(cost is not None and cost > 0.0 for cost in costs)
    bm25, dense, fused, reranked = (cost or 0.0 for cost in costs)
    assert max(bm25, dense) < fused < reranked
    timings = timings_of(collection, summary)
    assert (timings.queries, timings.measured_in) == (1, summary.manifest.release_id)
    assert [depth for depth, _ in summary.depths] == [0, 10, 20, 50, 100]
    measures = summary.manifest.measures
    assert summary.depths[-1][1] == pytest.approx(measures["reranked"])
    reported = summary.as_json()
    assert reported["depths"] == [{"depth": depth, **values} for depth, values in summary.depths]
    assert reported["ladder"] == [stage.as_json() for stage in summary.ladder]


def test_a_night_without_anything_to_do_tells_the_same_ladder(collection: Collection) -> None:
    first, second = night(collection), night(collection)
    assert not second.changed
    assert (second.ladder, second.depths) == (first.ladder, first.depths)


def test_the_measures_and_depths_of_the_settings_are_those_that_are_measured(collection: Collection) -> None:
    collection.settings["reranker"]["depth"] = 7
    settings = collection.settings_file
    collection.write()
    settings.write_text(settings.read_text().replace("[evaluation]", '[evaluation]\nmeasures = ["P@1"]\ndepths = [3]'))
    summary = refresh_plainly(settings)
    assert {name for values in summary.manifest.measures.values() for name in values} == {"P@1"}
    assert [depth for depth, _ in summary.depths] == [0, 3, 7]


def test_without_judgments_the_files_are_empty_and_nothing_is_timed(collection: Collection) -> None:
    del collection.settings["judgments"]

    summary = night(collection)

    assert (summary.ladder, summary.depths, summary.manifest.measures, summary.warnings) == ((), (), {}, ())
    for name, schema in SCHEMAS.items():
        table = read_table(folder_of(collection, summary) / name)
        assert (table.schema, table.num_rows) == (schema, 0), name
    assert not (folder_of(collection, summary) / "timings.json").exists()


def test_without_a_reranker_the_ladder_ends_at_the_learned_order_or_at_the_hybrid(collection: Collection) -> None:
    collection.settings["reranker"]["model"] = "none"
    summary = night(collection)
    assert [stage.stage for stage in summary.ladder] == NIGHTLY
    assert summary.ladder[-1].name == "learned order"
    collection.settings["results"] = {"order": "weighted"}
    summary = night(collection)
    assert [stage.stage for stage in summary.ladder] == NIGHTLY[:-1]
    assert summary.depths == ()
    assert set(timings_of(collection, summary).milliseconds) == set(NIGHTLY[:-1])


@pytest.mark.long
def test_a_night_with_the_same_models_takes_times_over_and_loads_none(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = night(collection)
    forbid_models(monkeypatch)
    collection.document("bread")["letters"] = 77

    second = night(collection)

    assert second.changed
    assert timings_of(collection, second) == timings_of(collection, first)
    assert [stage.milliseconds for stage in second.ladder] == [stage.milliseconds for stage in first.ladder]


@pytest.mark.long
def test_another_model_depth_or_size_is_timed_anew(collection: Collection, tmp_path: Path) -> None:
    measured_in = [timings_of(collection, night(collection)).measured_in]
    for section, name, value in (
        ("reranker", "model", str(tiny_reranker(tmp_path / "another", seed=12))),
        ("reranker", "depth", 5),
        ("retrieval", "candidate_depth", 20),
        ("evaluation", "timed_queries", 2),
    ):
        collection.settings.setdefault(section, {})[name] = value
        collection.documents.append({**collection.document("tea"), "_id": f"copy-{section}-{name}"})
        measured_in.append(timings_of(collection, night(collection)).measured_in)
    assert len(set(measured_in)) == len(measured_in)
    collection.documents = [document for document in collection.documents if document["_id"] in {"tea", "bees"}]
    collection.qrels = [("q-tea", "tea", 1)]
    assert timings_of(collection, night(collection)).measured_in not in measured_in


def test_no_query_is_timed_where_none_is_asked_for(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    collection.settings["evaluation"] = {"timed_queries": "none"}
    summary = night(collection)
    assert not (folder_of(collection, summary) / "timings.json").exists()
    assert {stage.milliseconds for stage in summary.ladder} == {None}


@pytest.mark.long
def test_the_release_that_is_live_is_measured_again_by_todays_judgments(collection: Collection) -> None:
    first = night(collection)
    assert read_table(folder_of(collection, first) / "comparison.parquet").num_rows == 0
    collection.qrels.remove(("q-tea", "tea", 2))
    collection.qrels.append(("q-tea", "coffee", 2))

    second = night(collection)

    rows = read_table(folder_of(collection, second) / "comparison.parquet").to_pylist()
    stages = {row["stage"] for row in rows}
    assert stages == set(second.manifest.measures)
    # Nothing else changed, so by one and the same judgments both are alike.
    assert {row["difference"] for row in rows} == {0.0}
    for row in rows:
        assert row["before"] == pytest.approx(second.manifest.measures[row["stage"]][row["measure"]])
    before = means(read_table(folder_of(collection, second) / "previous.parquet"))
    assert before == {stage: pytest.approx(values) for stage, values in second.manifest.measures.items()}
    assert before != first.manifest.measures


@pytest.mark.long
@pytest.mark.parametrize("name", ["candidates.parquet", "timings.json"])
def test_what_is_damaged_of_the_release_before_stops_no_measuring(name: str, collection: Collection) -> None:
    path = folder_of(collection, night(collection)) / name
    path.write_bytes(path.read_bytes()[:-10])
    collection.remove("bees")

    summary = night(collection)

    assert [stage.stage for stage in summary.ladder] == NIGHTLY
    compared = read_table(folder_of(collection, summary) / "comparison.parquet").num_rows > 0
    assert compared == (name != "candidates.parquet")


@pytest.mark.long
@pytest.mark.parametrize("name", ["timings.json", "depths.parquet"])
def test_what_is_damaged_stops_no_night_that_has_nothing_to_do(name: str, collection: Collection) -> None:
    first = night(collection)
    path = folder_of(collection, first) / name
    path.write_bytes(path.read_bytes()[:-10])

    second = night(collection)

    assert (first.changed, second.changed) == (True, False)
    assert second.depths == (() if name == "depths.parquet" else first.depths)
    assert [stage.stage for stage in second.ladder] == NIGHTLY
    assert all((stage.milliseconds is None) == (name == "timings.json") for stage in second.ladder)


def test_a_measure_that_nobody_knows_stops_the_night_before_anything_is_computed(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_models(monkeypatch)
    collection.write()
    settings = collection.settings_file
    settings.write_text(settings.read_text().replace("[evaluation]", '[evaluation]\nmeasures = ["nDGC@10"]'))
    with pytest.raises(InputError, match="'nDGC@10' is not a measure"):
        refresh_plainly(settings)
