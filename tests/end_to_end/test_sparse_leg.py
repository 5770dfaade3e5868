"""Nights with the learned sparse leg: encoded once, published, examined, tried out and searched as the other legs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.parts.compare_releases import compare_releases
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.operate.doctor import examine
from nightrank.flows.operate.search import search_live
from nightrank.flows.settings_file import load_settings
from nightrank.flows.tune.flow import tune
from nightrank.storage.errors import InputError
from nightrank.storage.files.parquet import read_table
from nightrank.storage.legs import LEGS
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.experiment.variants import varied
from tests.support.collection import LOG, Collection
from tests.tasks.experiment.test_experiment import experiment_over, published_candidates, published_evaluation

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Models


@pytest.fixture
def three_legs(collection: Collection, models: Models) -> Collection:
    collection.settings["retrieval"] = {"legs": [*LEGS], "candidate_depth": 8}
    collection.settings["sparse"] = {"model": str(models.splade)}
    collection.settings["evaluation"] = {"timed_queries": 1}
    collection.write()
    return collection


def test_what_is_encoded_once_is_never_encoded_again(three_legs: Collection) -> None:
    first = refresh_plainly(three_legs.settings_file)
    assert first.counts.sparse_texts == first.counts.sparse_texts_encoded == first.counts.texts
    assert first.counts.sparse_queries_encoded == first.counts.sparse_queries_scanned == len(LOG)
    assert {"sparse", "bm25", "dense"} < first.manifest.measures.keys()
    assert {stage.stage for stage in first.ladder if stage.milliseconds is not None} > set(LEGS)

    three_legs.document("tea")["text"] = "Tea is brewed from the leaves of one bush."
    three_legs.write()
    second = refresh_plainly(three_legs.settings_file)

    assert (second.counts.sparse_texts_encoded, second.counts.sparse_queries_encoded) == (1, 0)
    assert second.counts.sparse_queries_scanned == 0  # old queries met the new text alone
    assert second.counts.vectors_checked > 0
    assert examine(FolderWorkspace(three_legs.workspace), release_id=None).healthy


@pytest.mark.long
def test_the_leg_comes_and_goes(three_legs: Collection, tmp_path: Path) -> None:
    plain = Collection(tmp_path / "plain", {**three_legs.settings, "retrieval": {"candidate_depth": 8}})
    plain.write()
    without = refresh_plainly(plain.settings_file)
    assert (without.manifest.inputs.sparse, without.counts.sparse_texts) == ("none", 0)
    plain.settings["retrieval"] = three_legs.settings["retrieval"]
    plain.write()
    refresh_plainly(plain.settings_file)

    refresh_plainly(three_legs.settings_file)

    workspaces = [FolderWorkspace(each.workspace) for each in (plain, three_legs)]
    assert compare_releases(*workspaces).is_exact


@pytest.mark.long
def test_live_search_answers_as_the_cache(three_legs: Collection) -> None:
    refresh_plainly(three_legs.settings_file)
    with SearchCache.open(three_legs.workspace) as cache:
        for _, text, _ in LOG:
            live, cached = search_live(load_settings(three_legs.settings_file), text), cache.get(text)
            assert cached is not None
            assert [result.chunk_id for result in live.results] == [result.chunk_id for result in cached.results]

    three_legs.settings["sparse"]["max_tokens"] = 16
    three_legs.write()
    with pytest.raises(InputError, match="another sparse encoder"):
        search_live(load_settings(three_legs.settings_file), "tea")


@pytest.mark.long
def test_variants_and_tuning_know_the_leg(three_legs: Collection) -> None:
    refresh_plainly(three_legs.settings_file)
    with experiment_over(three_legs) as experiment:
        as_it_is = experiment.evaluate(experiment.settings)
        deeper = experiment.evaluate(varied(experiment.settings, {"retrieval.candidate_depth": 40}))
        alone = experiment.evaluate(varied(experiment.settings, {"retrieval.legs": ["sparse"]}))
    assert as_it_is.candidates.equals(published_candidates(three_legs))
    assert as_it_is.means == published_evaluation(three_legs)
    assert alone.means["fused"] == alone.means["sparse"]
    three_legs.settings["retrieval"]["candidate_depth"] = 40
    three_legs.write()
    refresh_plainly(three_legs.settings_file)
    assert deeper.means == published_evaluation(three_legs)

    tuned = tune.fn(str(three_legs.settings_file)).tuned

    assert {*tuned.compared_with} == {"present", *LEGS}
    assert {*dict(tuned.present)["retrieval.weights"]} == {*LEGS}  # type: ignore[misc]  # a table


def test_a_release_without_the_leg_cannot_be_tried_with_it(collection: Collection, models: Models) -> None:
    refresh_plainly(collection.settings_file)
    collection.settings["sparse"] = {"model": str(models.splade)}
    with experiment_over(collection) as experiment, pytest.raises(InputError, match="has no sparse leg"):
        experiment.evaluate(varied(experiment.settings, {"retrieval.legs": [*LEGS]}))


def test_a_run_in_its_place_needs_no_model(three_legs: Collection) -> None:
    three_legs.settings["sparse"] = {"model": "nowhere"}
    three_legs.settings["retrieval"]["sparse_run"] = "sparse.run"
    three_legs.write()
    (three_legs.folder / "sparse.run").write_text("q-honey Q0 bees 1 2.0 x\nq-honey Q0 tea 2 1.0 x\n")

    summary = refresh_plainly(three_legs.settings_file)

    folder = FolderWorkspace(three_legs.workspace).release(summary.manifest.release_id)
    rows = read_table(folder / "candidates.parquet").to_pylist()
    listed = sorted((row["sparse_rank"], row["document_id"]) for row in rows if row["sparse_rank"] is not None)
    assert listed == [(1, "bees"), (2, "tea")]
    live = search_live(load_settings(three_legs.settings_file), "black tea")  # over the other two legs
    assert live.results
