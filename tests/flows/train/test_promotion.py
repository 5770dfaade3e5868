"""A promotion: what it is decided by, what it holds for, and what is told where its model is not as it was."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.settings_file import load_settings
from nightrank.flows.train.promotion import Trained, find_trained, present_model, promote_model
from nightrank.storage.errors import InputError
from nightrank.storage.workspace.models import promotions
from nightrank.tasks.embed.encoder import plan_embedder
from nightrank.tasks.models.card import CARD
from nightrank.tasks.models.files import find_model
from tests.support.carded import card, figure
from tests.support.training_collection import training_collection

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Models
    from tests.support.collection import Collection

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path, models: Models) -> Collection:
    """A collection, nothing of which is published."""
    return training_collection(tmp_path / "project", embedder=models.embedder)


def trained(collection: Collection, models: Models, *, marked: str) -> Trained:
    """A model that is better than the present one."""
    configuration = load_settings(collection.settings_file)
    made = configuration.workspace.models / ".made"
    shutil.copytree(models.embedder, made)
    (made / "marked.txt").write_text(marked)
    files = find_model(str(made), base=collection.folder, revision=None, sha256=None)
    update = {
        "fingerprint": files.fingerprint(),
        "weights_sha256": files.weights_sha256,
        "compared_with": present_model(configuration, "embedder"),
    }
    (made / CARD).write_text(card(figure()).model_copy(update=update).model_dump_json())
    made.rename(made.with_name(f"embedder-{files.fingerprint()}"))
    return find_trained(configuration, f"embedder-{files.fingerprint()}")


def test_what_was_promoted_meanwhile_is_the_present_model(place: Collection, models: Models) -> None:
    first, second = (trained(place, models, marked=mark) for mark in ("first", "second"))
    assert promote_model(place.settings_file, first, now=NOW).promoted

    with pytest.raises(InputError, match="compared with another embedder"):
        promote_model(place.settings_file, second, now=NOW)

    assert promotions(load_settings(place.settings_file).workspace)["embedder"].model == first.folder.name


def test_settings_that_were_changed_meanwhile_count(place: Collection, models: Models) -> None:
    model = trained(place, models, marked="first")
    place.settings["embedder"]["query_prompt"] = "query: "
    place.write()

    with pytest.raises(InputError, match="compared with another embedder"):
        promote_model(place.settings_file, model, now=NOW)


@pytest.mark.parametrize("key", ["revision", "sha256"])
def test_another_revision_or_digest_in_the_settings_ends_a_promotion(
    place: Collection, models: Models, key: str
) -> None:
    model = trained(place, models, marked="first")
    promote_model(place.settings_file, model, now=NOW)
    assert load_settings(place.settings_file).settings.embedder.model.endswith(model.folder.name)

    place.settings["embedder"][key] = "a" * 64
    place.write()

    assert load_settings(place.settings_file).settings.embedder.model == str(models.embedder)


def test_a_promoted_model_that_is_gone_is_told_with_the_way_back(place: Collection, models: Models) -> None:
    model = trained(place, models, marked="first")
    promote_model(place.settings_file, model, now=NOW)
    shutil.rmtree(model.folder)

    settings = load_settings(place.settings_file).settings
    with pytest.raises(InputError, match="There is no model folder") as caught:
        plan_embedder(settings.embedder, settings.execution, base=place.folder)
    assert "nightrank train demote embedder" in caught.value.remedy


def test_a_model_whose_files_changed_is_neither_promoted_nor_used(place: Collection, models: Models) -> None:
    model = trained(place, models, marked="first")
    (model.folder / "marked.txt").write_text("changed")
    with pytest.raises(InputError, match="not as it was"):
        promote_model(place.settings_file, model, now=NOW)

    (model.folder / "marked.txt").write_text("first")
    promote_model(place.settings_file, model, now=NOW)
    (model.folder / "marked.txt").write_text("changed")
    settings = load_settings(place.settings_file).settings
    with pytest.raises(InputError, match="not as it was"):
        plan_embedder(settings.embedder, settings.execution, base=place.folder)
