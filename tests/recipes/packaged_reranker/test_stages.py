"""What a making of the packaged reranker goes on from, and what it refuses to go on from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError
from nightrank.tasks.train.reranker.groups import GroupSettings
from nightrank.tasks.train.reranker.learn import CHECKPOINT, LearningSettings
from nightrank.tasks.train.sets import TrainingSet, write_training_set
from nightrank.tasks.train.sources import MinedQuery, Passage
from recipes.packaged_reranker.recipe import Source
from recipes.packaged_reranker.stages import (
    MADE_OF,
    STEADY,
    mined_sources,
    require_made_of,
    train_on_sources,
    weights_digest,
)

if TYPE_CHECKING:
    from pathlib import Path


def write_source(output: Path, name: str, *, queries: int) -> None:
    passages = [Passage(str(place), "", f"text {place}") for place in range(12)]
    mined = [MinedQuery(f"q{n}", ((0, 1.0),), ((1, 0.5),), 0.0) for n in range(queries)]
    folder = output / "sources" / name
    folder.mkdir(parents=True)
    write_training_set(folder, TrainingSet(passages, mined, [], frozenset(), tuple(range(12))))
    (folder / MADE_OF).write_text("{}")


def test_a_familys_share_is_parted_by_the_roots_of_its_sources_queries(tmp_path: Path) -> None:
    for name, queries in {"a": 4, "b": 16, "c": 9, "none": 0}.items():
        write_source(tmp_path, name, queries=queries)
    sources = [Source("a", "docs", "a"), Source("b", "docs", "b", weight=0.5), Source("c", "claim", "c")]
    found = mined_sources([*sources, Source("none", "code", "n"), Source("left", "docs", "l", left_out=True)], tmp_path)
    assert {name: source.share for name, source in found.items()} == pytest.approx({"a": 0.23, "b": 0.23, "c": 0.12})
    assert found["c"].label_share == 0.75
    assert set(found["a"].length_shares) == {64, 96, 128, 192}


def test_a_checkpoint_of_another_training_is_not_gone_on_from(tmp_path: Path) -> None:
    write_source(tmp_path, "a", queries=4)
    (tmp_path / STEADY).mkdir()
    (tmp_path / STEADY / CHECKPOINT).touch()

    with pytest.raises(InputError, match="does not say what it was made of"):
        train_on_sources.fn(
            [Source("a", "docs", "a")],
            tmp_path,
            learning=LearningSettings(),
            groups=GroupSettings(),
            start=None,
            device="cpu",
        )


def test_a_source_that_is_not_mined_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the source is not mined") as caught:
        train_on_sources.fn(
            [Source("a", "docs", "a")],
            tmp_path,
            learning=LearningSettings(),
            groups=GroupSettings(),
            start=None,
            device="cpu",
        )
    assert "--data" in caught.value.remedy


def test_what_was_made_of_the_same_is_no_error(tmp_path: Path) -> None:
    (tmp_path / MADE_OF).write_text('{"learning": {"seed": 1}, "start": null}')

    require_made_of({"start": None, "learning": {"seed": 1}}, tmp_path / MADE_OF)
    with pytest.raises(InputError, match="another learning") as caught:
        require_made_of({"start": None, "learning": {"seed": 2}}, tmp_path / MADE_OF)
    assert "--output" in caught.value.remedy


def test_a_folder_without_weights_is_nothing_to_start_from(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no model"):
        weights_digest(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert weights_digest(tmp_path) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
