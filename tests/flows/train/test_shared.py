"""What decides a training, so that the same one goes on and another one begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.flows.settings_file import load_settings
from nightrank.flows.train.shared import training_key
from nightrank.tasks.train.reranker.options import RerankerTraining
from nightrank.tasks.train.settings import PairSettings

if TYPE_CHECKING:
    from tests.support.collection import Collection


@pytest.mark.parametrize("role", ["base", "teacher"])
def test_a_model_that_says_something_else_makes_another_training(collection: Collection, role: str) -> None:
    configuration = load_settings(collection.settings_file)
    folder = collection.folder / "given"
    folder.mkdir()
    weights = folder / "model.safetensors"
    weights.write_bytes(b"one")
    how = RerankerTraining.model_validate({role: "given"})

    def key() -> str:
        return training_key(configuration, "reranker", PairSettings(), how)

    first = key()
    assert key() == first
    weights.write_bytes(b"two")
    assert key() != first
