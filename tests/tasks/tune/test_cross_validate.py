"""Tuning over a stored release: figures are those of a night, and those told are of queries that did not choose."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

import nightrank.tasks.rerank.lazy
import nightrank.tasks.tune.cross_validate
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.evaluate.inputs import evaluation_context
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import InputError
from nightrank.storage.legs import LEGS
from nightrank.tasks.experiment.values import Reranking
from nightrank.tasks.experiment.variants import varied
from nightrank.tasks.settings.ranking import RetrievalSettings
from nightrank.tasks.tune.choice import choose
from nightrank.tasks.tune.cross_validate import tune, tune_settings
from nightrank.tasks.tune.search import Search
from nightrank.tasks.tune.variants import RankingVariant, fusions_to_try, rerankings_to_try
from tests.support.collection import small_collection
from tests.support.published import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.experiment.experiment import Experiment
    from nightrank.tasks.experiment.explain import EvaluationContext
    from tests.conftest import Models
    from tests.support.collection import Collection, TomlValue

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def context(collection: Collection) -> EvaluationContext:
    configuration = load_settings(collection.settings_file)
    return evaluation_context(configuration, measures=["nDCG@10", "R@8"], qrels=None, now=NOW, seed=0)


@contextmanager
def experiment_over(collection: Collection) -> Iterator[Experiment]:
    with context(collection).experiment(None) as experiment:
        yield experiment


@pytest.fixture(scope="module")
def stored(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """As ``refreshed``, once; a test that takes it adds pair scores at most."""
    folder = tmp_path_factory.mktemp("tuning") / "project"
    return _refreshed(small_collection(folder, embedder=models.embedder, reranker=models.reranker))


@pytest.fixture
def refreshed(collection: Collection) -> Collection:
    """The small collection with a release whose legs and reranking leave something out."""
    return _refreshed(collection)


def _refreshed(collection: Collection) -> Collection:
    collection.settings["retrieval"] = {"candidate_depth": 8}
    collection.settings["reranker"]["depth"] = 5
    collection.write()
    refresh_plainly(collection.settings_file)
    return collection


@pytest.mark.long
@pytest.mark.parametrize("fusion", ["rrf", "minmax"])
@pytest.mark.parametrize("dense", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("reranking", [None, Reranking(0.4, 5), Reranking(1.0, 3)])
def test_a_variants_figures_are_those_of_a_night_with_it(
    fusion: str, dense: float, reranking: Reranking | None, stored: Collection
) -> None:
    with experiment_over(stored) as experiment:
        retrieval: dict[str, JsonValue] = {
            "retrieval.fusion": fusion,
            "retrieval.rrf_k": 10,
            "retrieval.weights": {"bm25": 1 - dense, "dense": dense},
        }
        present = varied(experiment.settings, retrieval)
        if reranking is not None:
            present = varied(present, {"reranker.weight": reranking.weight, "reranker.depth": reranking.depth})
        else:
            present = varied(present, {"reranker.model": "none"})

        search = Search(experiment, present)
        search.prepare([np.ones(len(search.units), dtype=np.bool_)])
        means = experiment.evaluate(present).means

    assert search.present == RankingVariant(present.retrieval, reranking)
    assert search.values(search.present).mean() == pytest.approx(means["reranked"]["nDCG@10"], abs=1e-12)
    assert search.recall(search.present).mean() == pytest.approx(means["fused"]["R@8"], abs=1e-12)
    for leg in LEGS[:2]:
        assert search.leg_values(leg).mean() == pytest.approx(means[leg]["nDCG@10"], abs=1e-12)


def test_the_figure_that_is_told_is_of_queries_that_did_not_choose(stored: Collection) -> None:
    with experiment_over(stored) as experiment:
        search = Search(experiment, experiment.settings)
        tuned = tune(search, folds=6, seed=0)

    assert len(tuned.by_fold) == 6 * 4
    expected = []
    for place in range(len(search.units)):  # six queries in six folds: each is left out alone, however they are cut
        others = np.arange(len(search.units)) != place
        expected.append(search.values(search.choose(others))[place])
    assert tuned.gain.after == pytest.approx(np.mean(expected), abs=1e-12)
    everything = np.ones(len(search.units), dtype=np.bool_)
    assert tuned.optimistic == pytest.approx(search.values(search.choose(everything)).mean(), abs=1e-12)


def test_one_text_under_several_filters_is_on_one_side_of_a_fold(collection: Collection) -> None:
    collection.settings["reranker"]["model"] = "none"
    collection.log = [
        ("q-tea", "black tea", 2),
        ("q-tea-drinks", "black tea", 1),
        ("q-honey", "how do bees make honey", 9),
    ]
    collection.document("tea")["kind"] = "drink"
    collection.filters = {"q-tea-drinks": {"kind": "drink"}}
    collection.qrels = [("q-tea", "tea", 1), ("q-tea-drinks", "tea", 1), ("q-honey", "bees", 1), ("q-lost", "ink", 1)]
    collection.write()
    refresh_plainly(collection.settings_file)

    with experiment_over(collection) as experiment:
        search = Search(experiment, experiment.settings)

    unit_of = dict(zip(search.query_ids, search.units, strict=True))
    assert unit_of["q-tea"] == unit_of["q-tea-drinks"]
    assert len(set(unit_of.values())) == 3


def test_a_segment_chooses_by_its_own_queries_alone(stored: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nightrank.tasks.tune.cross_validate, "SEGMENT_QUERIES", 3)
    segments = {"q-honey": "food", "q-yeast": "food", "q-tea": "food", "q-moon": "rest", "q-sun": "rest"}
    with experiment_over(stored) as experiment:
        search = Search(experiment, experiment.settings)
        tuned = tune(search, folds=6, seed=0, segments=segments)

    part = np.array([segments.get(query_id) == "food" for query_id in search.query_ids])
    expected = []
    for place in np.flatnonzero(part):
        others = part & (np.arange(part.size) != place)
        expected.append(search.values(search.choose(others))[place])
    assert list(tuned.segments) == ["food"]  # of the rest too few are judged
    assert tuned.segments["food"].gain.queries == 3
    assert tuned.segments["food"].gain.after == pytest.approx(np.mean(expected), abs=1e-12)
    assert tuned.segments["food"].gain.before == pytest.approx(search.values(search.present)[part].mean(), abs=1e-12)
    with experiment_over(stored) as experiment:
        assert replace(tuned, segments={}) == tune(Search(experiment, experiment.settings), folds=6, seed=0)


def test_a_weak_leg_is_left_out_and_that_is_proved(collection: Collection) -> None:
    collection.settings["reranker"]["model"] = "none"
    collection.settings["retrieval"] = {"weights": {"bm25": 0.0, "dense": 1.0}}  # the vectors are random
    collection.write()
    refresh_plainly(collection.settings_file)
    before = snapshot(collection.workspace)

    tuned = tune_settings.fn(context(collection))

    assert tuned.recommended
    # The learned order, held to the packaged one by so few queries, leaves random vectors out as well as weights do.
    assert tuned.order is not None
    assert tuned.changes == {"results.order": "learned", "results.order_model": tuned.order.file_name}
    assert {choice.get("results.order_model") for choice in tuned.by_fold} <= {"fitted", None}
    assert tuned.gain.before == tuned.compared_with["dense"].before
    assert tuned.gain.after > 0.9  # what BM25 alone finds is perfect
    assert snapshot(collection.workspace) == before


def test_what_is_not_better_changes_nothing(collection: Collection) -> None:
    collection.settings["reranker"]["model"] = "none"
    collection.settings["retrieval"] = {"weights": {"bm25": 1.0, "dense": 0.0}}
    collection.write()
    refresh_plainly(collection.settings_file)

    tuned = tune_settings.fn(context(collection))

    assert not tuned.recommended
    assert not replace(tuned, changes={}).recommended


@pytest.mark.long
def test_without_scoring_no_model_is_loaded_and_nothing_is_written(
    refreshed: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(self: nightrank.tasks.rerank.lazy.LazyReranker) -> object:
        raise AssertionError("a model is loaded")

    monkeypatch.setattr(nightrank.tasks.rerank.lazy.LazyReranker, "load", load)
    before = snapshot(refreshed.workspace)

    tuned = tune_settings.fn(context(refreshed), scoring=False)

    assert tuned.pairs_scored == 0
    assert snapshot(refreshed.workspace) == before
    with pytest.raises(InputError, match="not scored yet"):
        tune_settings.fn(context(refreshed), scoring=False, max_depth=8)


@pytest.mark.long
def test_pairs_that_a_deeper_reranking_needs_are_scored_once(refreshed: Collection) -> None:
    first = tune_settings.fn(context(refreshed), max_depth=8)
    again = tune_settings.fn(context(refreshed), max_depth=8)

    assert first.pairs_scored >= 6 * 3  # six judged queries, three more candidates each
    assert again.pairs_scored == 0
    assert again == replace(first, pairs_scored=0)


@pytest.mark.long
def test_a_reranker_that_only_hurts_is_switched_off(collection: Collection) -> None:
    collection.settings["retrieval"] = {"weights": {"bm25": 1.0, "dense": 0.0}}
    collection.settings["reranker"]["weight"] = 1.0  # its scores are random
    collection.write()
    refresh_plainly(collection.settings_file)

    tuned = tune_settings.fn(context(collection))

    assert tuned.chosen.get("reranker.model") == "none" or tuned.chosen["reranker.weight"] != 1.0
    assert tuned.gain.difference > 0


def test_too_few_judged_queries_are_the_users_mistake(collection: Collection) -> None:
    collection.qrels = collection.qrels[:1]
    collection.write()
    refresh_plainly(collection.settings_file)

    with pytest.raises(InputError, match="fewer than two judged queries"):
        tune_settings.fn(context(collection))


@pytest.mark.parametrize("present", [{}, {"fusion": "minmax", "weights": {"bm25": 3.0, "dense": 1.0}}, {"rrf_k": 7}])
def test_the_present_values_are_tried_first_and_nothing_twice(present: dict[str, TomlValue]) -> None:
    settings = RetrievalSettings.model_validate(present)

    fusions = fusions_to_try(settings)
    rerankings = rerankings_to_try(Reranking(0.35, 40), deepest=70)

    assert fusions[0] == settings
    shares = [(one.fusion, one.rrf_k, tuple(one.leg_weights.values())) for one in fusions]
    assert len(set(shares)) == len(shares)
    ends = {("rrf", 10, (1.0, 0.0)), ("rrf", 10, (0.0, 1.0)), ("minmax", settings.rrf_k, (1.0, 0.0))}
    assert set(shares) >= ends
    assert rerankings[0] == Reranking(0.35, 40)
    assert len(set(rerankings)) == len(rerankings)
    assert {one.depth for one in rerankings} == {10, 20, 40, 50, 70}


def test_choosing_by_some_queries_sees_no_others(stored: Collection) -> None:
    with experiment_over(stored) as experiment:
        search = Search(experiment, varied(experiment.settings, {"reranker.model": "none"}))
        subset = np.arange(len(search.units)) < 4
        chosen = search.choose(subset)
        variants = [search.present, *(RankingVariant(f, None) for f in fusions_to_try(search.present.fusion))]
        values = np.array([search.values(variant)[subset] for variant in variants])
    assert search.present.learned
    assert chosen == variants[choose(values, present=0)]
