"""A reranker's training from pairs to a promoted model, on a collection that models of one random layer learn."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flows.promotion import NotPromoted
from flows.refresh import refresh
from flows.settings import load_settings
from flows.train_reranker import RerankerRequest, train_reranker
from storage.models import promotions, withdraw
from storage.tables import read_table
from storage.workspace import Workspace
from tasks.reranker import Reranker, plan_local
from tasks.reranker_options import RerankerTraining
from tasks.training_settings import PairSettings
from tests.training_collection import training_collection

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collection import Collection
    from tests.conftest import Models

PAIRS = PairSettings(origin="judgments", held_out_share=0.3)
TRAINING = RerankerTraining(
    base="embedder", steps=90, epochs=50, queries=4, negatives=3, learning_rate=3e-3, max_tokens=40, evaluations=3
)


@pytest.fixture(scope="module")
def learnable(prefect_api: str, models: Models, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """The collection with one published release, reranked by a model that knows nothing."""
    folder = tmp_path_factory.mktemp("learnable") / "project"
    collection = training_collection(folder, embedder=models.embedder, reranker=models.reranker)
    refresh(str(collection.settings_file))
    return collection


def test_a_better_reranker_is_promoted_and_the_next_release_uses_it_with_its_weight(learnable: Collection) -> None:
    settings_file = str(learnable.settings_file)
    trained = train_reranker(settings_file, RerankerRequest(pairs=PAIRS, training=TRAINING, promote=True))
    card = trained.card
    assert trained.promoted
    assert (card.figures[0].stage, card.figures[0].measure) == ("reranked", "nDCG@10")
    assert card.figures[0].low > 0
    assert {figure.stage for figure in card.figures} == {"reranked", "reranker", "reranked, before: fused"}
    assert card.training["last_loss"] < card.training["first_loss"]  # type: ignore[operator]
    losses = read_table(trained.folder / "losses.parquet")
    assert losses.num_rows == card.training["steps"]
    configuration = load_settings(learnable.settings_file)
    assert promotions(configuration.workspace)["reranker"].model == trained.folder.name
    plan = plan_local(configuration.settings.reranker, configuration.settings.execution, base=configuration.base)
    assert (plan.folder.name, plan.weight) == (trained.folder.name, card.weight)
    assert Reranker(plan, batch_tokens=512).max_tokens == 40
    summary = refresh(settings_file)
    assert str(summary.manifest.inputs.reranker).startswith(plan.fingerprint)


def test_a_model_that_is_no_better_is_kept_and_not_promoted(learnable: Collection, tmp_path: Path) -> None:
    idle = TRAINING.model_copy(
        update={"base": None, "steps": 2, "learning_rate": 1e-9, "evaluations": 1, "weight": 1.0}
    )
    shutil.copytree(learnable.folder, tmp_path / "copy")
    collection = replace(learnable, folder=tmp_path / "copy")
    withdraw(Workspace(collection.workspace), "reranker")
    with pytest.raises(NotPromoted) as refused:
        train_reranker(str(collection.settings_file), RerankerRequest(pairs=PAIRS, training=idle, promote=True))
    assert refused.value.trained.folder.is_dir()
    assert not refused.value.trained.promoted
