"""Weights of BM25's fields by judged queries: chosen where titles say what texts do not, and proved like the rest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.evaluate.inputs import evaluation_context
from nightrank.flows.settings_file import load_settings
from nightrank.flows.tune.flow import tune
from nightrank.storage.errors import InputError
from nightrank.tasks.experiment.variants import varied
from nightrank.tasks.settings.index import Bm25FieldsSettings
from nightrank.tasks.tune.cross_validate import tune_settings
from nightrank.tasks.tune.fields import FieldSearch
from tests.support.collection import small_collection
from tests.support.published import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.experiment.explain import EvaluationContext
    from tests.conftest import Models
    from tests.support.collection import Collection

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SUBJECTS = ("granite", "walnut", "copper", "linen", "barley", "amber", "cobalt", "juniper", "marble", "saffron")
PRESENT = Bm25FieldsSettings()
DENSE_ALONE: dict[str, JsonValue] = {"retrieval.legs": ["dense"], "retrieval.weights.dense": 1.0}

pytestmark = pytest.mark.long


def context(collection: Collection) -> EvaluationContext:
    configuration = load_settings(collection.settings_file)
    return evaluation_context(configuration, measures=["nDCG@10"], qrels=None, now=NOW, seed=0)


def titled(folder: Path, models: Models) -> Collection:
    """Of each subject one page that is about it, by its title, and one that says its name twice."""
    collection = small_collection(folder, embedder=models.embedder, reranker="none")
    collection.settings["retrieval"] = {"weights": {"bm25": 1.0, "dense": 0.0}}
    collection.documents = []
    for subject in SUBJECTS:
        said = f"Some {subject}, more {subject}, then home again."
        collection.documents += [
            {"_id": f"{subject}-page", "title": subject, "text": "Where it is found, and what people make of it."},
            {"_id": f"{subject}-said", "title": "Journal", "text": said},
        ]
    collection.log = [(f"q-{subject}", subject, 1) for subject in SUBJECTS]
    collection.qrels = [(f"q-{subject}", f"{subject}-page", 1) for subject in SUBJECTS]
    collection.write()
    refresh_plainly(collection.settings_file)
    return collection


@pytest.fixture(scope="module")
def stored(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return titled(tmp_path_factory.mktemp("fields") / "project", models)


def test_titles_come_to_count_more_where_they_say_what_a_page_is_about(stored: Collection) -> None:
    before = snapshot(stored.workspace)

    tuned = tune_settings.fn(context(stored), fields=True)

    assert tuned.recommended
    assert tuned.present["bm25.fields"] == {"title": 1.0, "headings": 1.0, "text": 1.0}
    chosen = tuned.changes["bm25.fields"]
    assert isinstance(chosen, dict)
    assert chosen["title"] in (1.5, 2.0, 3.0)
    assert (chosen["headings"], chosen["text"]) == (1.0, 1.0)  # no page has headings, so no other is tried
    assert tuned.gain.before < tuned.gain.after
    assert {str(choice["bm25.fields"]) for choice in tuned.by_fold} == {str(chosen)}
    assert snapshot(stored.workspace) == before
    assert "bm25.fields" not in tune_settings.fn(context(stored)).chosen


def test_queries_outside_of_a_fold_have_no_say_in_its_weights(stored: Collection) -> None:
    with context(stored).experiment(None) as experiment:
        search = FieldSearch(experiment, experiment.settings)
        subset = np.arange(len(search.units)) < 6
        search.prepare([subset])
        chosen = search.choose(subset)
        worth = {
            step: experiment.evaluate(varied(experiment.settings, {"bm25.fields.title": step})).means["bm25"]["nDCG@10"]
            for step in (1.0, 1.5, 2.0, 3.0)
        }
        found = {
            step: search.values(chosen._replace(fields=PRESENT.model_copy(update={"title": step}))).mean()
            for step in worth
        }
    assert chosen.fields is not None
    assert chosen.fields != PRESENT
    assert found == pytest.approx(worth, abs=1e-12)  # what a night with these weights publishes
    assert len(set(worth.values())) > 1


def test_where_there_is_no_field_to_weigh_that_is_said(stored: Collection) -> None:
    with context(stored).experiment(None) as experiment:
        assert experiment.fields() == (True, False)
        with pytest.raises(InputError, match="no BM25 leg"):
            FieldSearch(experiment, varied(experiment.settings, DENSE_ALONE))


def test_a_refresh_with_weights_that_were_written_is_worth_what_was_told(stored: Collection) -> None:
    reported = tune.fn(str(stored.settings_file), fields=True, write=True).tuned

    named = load_settings(stored.settings_file).named
    assert named.bm25.fields.model_dump() == reported.changes["bm25.fields"]
    summary = refresh_plainly(stored.settings_file)
    assert summary.manifest.measures["results"]["nDCG@10"] == pytest.approx(reported.optimistic, abs=1e-12)
    assert tune.fn(str(stored.settings_file), fields=True, write=True).written is None
