"""What a making of the packaged reranker goes on from, and what it refuses to go on from."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError
from nightrank.tasks.train.reranker.groups import GroupSettings
from nightrank.tasks.train.reranker.learn import CHECKPOINT, LearningSettings
from recipes.packaged_reranker.recipe import Recipe
from recipes.packaged_reranker.stages import MADE_OF, mine_source, require_made_of, train_on_sources

if TYPE_CHECKING:
    from pathlib import Path

WORDS = ["apple", "banana", "cherry", "damson", "elder", "fig"]
RECIPE = Recipe("pairs", 1.0, "pairs.jsonl", "ours")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [{"query": f"where is {w}", "title": "", "text": f"{w} grows here", "document_id": w} for w in WORDS]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.mark.slow
def test_a_mined_source_is_used_again_for_its_own_recipe_and_data_alone(data: Path) -> None:
    folder = mine_source.fn(RECIPE, data, data / "out", device="cpu")
    made = (folder / "mined.parquet").stat().st_mtime_ns

    mine_source.fn(replace(RECIPE, share=0.5, licence="theirs"), data, data / "out", device="cpu")
    assert (folder / "mined.parquet").stat().st_mtime_ns == made
    with pytest.raises(InputError, match="made with another every"):
        mine_source.fn(replace(RECIPE, every=2), data, data / "out", device="cpu")
    with (data / "pairs.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(InputError, match="made with another data"):
        mine_source.fn(RECIPE, data, data / "out", device="cpu")


def test_a_checkpoint_of_another_training_is_not_gone_on_from(data: Path) -> None:
    (data / "sources" / "pairs").mkdir(parents=True)
    (data / "sources" / "pairs" / MADE_OF).write_text("{}")
    (data / CHECKPOINT).touch()

    with pytest.raises(InputError, match="does not say what it was made of"):
        train_on_sources.fn(
            [RECIPE], data, learning=LearningSettings(), groups=GroupSettings(), start=None, device="cpu"
        )


def test_what_was_made_of_the_same_is_no_error(tmp_path: Path) -> None:
    (tmp_path / MADE_OF).write_text('{"learning": {"seed": 1}, "start": null}')

    require_made_of({"start": None, "learning": {"seed": 1}}, tmp_path / MADE_OF)
    with pytest.raises(InputError, match="another learning") as caught:
        require_made_of({"start": None, "learning": {"seed": 2}}, tmp_path / MADE_OF)
    assert "--output" in caught.value.remedy
