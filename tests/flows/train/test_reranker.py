"""A reranker's training from pairs to a promoted model, on a collection that models of one random layer learn."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.refresh import refresh
from nightrank.flows.settings_file import load_settings
from nightrank.flows.train.promotion import NotPromoted
from nightrank.flows.train.reranker import RerankerRequest, train_reranker
from nightrank.storage.errors import InputError
from nightrank.storage.files.parquet import read_table
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.storage.workspace.models import demote, promotions
from nightrank.tasks.rerank.cross_encoder import Reranker
from nightrank.tasks.rerank.find import plan_local
from nightrank.tasks.train.reranker.options import RerankerTraining
from nightrank.tasks.train.settings import PairSettings
from tests.support.training_collection import training_collection

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Models
    from tests.support.collection import Collection

PAIRS = PairSettings(origin="judgments", held_out_share=0.3)
TRAINING = RerankerTraining(
    base="embedder", steps=200, epochs=50, queries=4, negatives=3, learning_rate=3e-3, max_tokens=40, evaluations=1
)


@pytest.fixture(scope="module")
def learnable(prefect_api: str, models: Models, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """The collection with one published release, reranked by a model that knows nothing."""
    folder = tmp_path_factory.mktemp("learnable") / "project"
    collection = training_collection(folder, embedder=models.embedder, reranker=models.reranker, has_decoys=True)
    refresh(str(collection.settings_file))
    return collection


@pytest.mark.long
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


@pytest.fixture
def unpromoted(learnable: Collection, tmp_path: Path) -> Collection:
    """The collection on its own, with the reranker that its settings name."""
    shutil.copytree(learnable.folder, tmp_path / "copy")
    collection = replace(learnable, folder=tmp_path / "copy", settings=copy.deepcopy(learnable.settings))
    demote(FolderWorkspace(collection.workspace), "reranker")
    return collection


IDLE = TRAINING.model_copy(update={"base": None, "steps": 2, "learning_rate": 1e-9, "evaluations": 1})


@pytest.mark.long
def test_a_training_that_changes_nothing_gains_nothing_at_any_weight(unpromoted: Collection) -> None:
    with pytest.raises(NotPromoted) as refused:
        train_reranker(str(unpromoted.settings_file), RerankerRequest(pairs=PAIRS, training=IDLE, promote=True))
    trained = refused.value.trained
    assert trained.folder.is_dir()
    assert not trained.promoted
    assert trained.card.figures[0].difference == 0.0
    assert trained.card.compared_with.endswith(" at 1")


def test_the_weight_of_the_settings_is_the_one_that_is_measured_with(unpromoted: Collection) -> None:
    unpromoted.settings["reranker"]["weight"] = 0.35
    unpromoted.write()
    settings_file = str(unpromoted.settings_file)

    card = train_reranker(settings_file, RerankerRequest(pairs=PAIRS, training=IDLE)).card

    assert (card.weight, card.figures[0].difference) == (0.35, 0.0)
    assert card.compared_with.endswith(" at 0.35")
    another = RerankerRequest(pairs=PAIRS, training=IDLE.model_copy(update={"weight": 0.8}))
    with pytest.raises(InputError, match=r"--weight 0\.8 would have no effect"):
        train_reranker(settings_file, another)


@pytest.mark.long
def test_half_a_pass_is_half_a_pass_whether_a_teacher_is_asked_or_not(learnable: Collection, models: Models) -> None:
    half = TRAINING.model_copy(update={"epochs": 0.5, "evaluations": 1, "teacher": str(models.reranker)})

    card = train_reranker(str(learnable.settings_file), RerankerRequest(pairs=PAIRS, training=half)).card

    assert card.training["steps_planned"] == int(0.5 * card.mined.queries / 4)
