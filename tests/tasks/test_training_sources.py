"""A source is prepared, written and read again; validation sees held-out documents, training never does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tasks.training_sources import RECIPES, Recipe, prepare_source, read_mined, read_validation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

WORDS = ["apple", "banana", "cherry", "damson", "elder", "fig", "grape", "hazel", "iris", "juniper"]


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """One dimension a word; texts with none of them get the last dimension."""
    vectors = np.array([[float(word in text.casefold()) for word in WORDS] + [0.1] for text in texts])
    unit: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten pages of two documents; a question for each document."""
    (tmp_path / "out").mkdir()
    rows = [
        {
            "query": f"Which {word} {part}?",
            "title": word,
            "text": f"{word} story {part}",
            "document_id": f"{word}-{part}",
        }
        for word in WORDS
        for part in ("one", "two")
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_what_is_held_out_is_validated_on_and_never_trained_on(data: Path) -> None:
    recipe = Recipe("pairs", 0.5, "pairs.jsonl", "ours", validation=10, has_pages=True)
    prepare_source(recipe, data, data / "out", embed=embed, seed=1)
    mined, validation = read_mined(data / "out", recipe), read_validation(data / "out")
    held = {mined.passages[place].title for place in mined.held}
    assert len(held) == 1  # a tenth of the pages
    assert {query.query.split()[1] for query in validation} == held
    assert len(validation) == 2
    assert not held.intersection(query.query.split()[1] for query in mined.queries)
    assert len(mined.queries) == 18
    for query in mined.queries:
        assert not mined.held.intersection(place for place, _ in query.negatives)
        assert [mined.passages[place].title for place, _ in query.answers] == [query.query.split()[1]]


def test_a_validation_query_carries_its_first_stage_and_its_grades(data: Path) -> None:
    recipe = Recipe("pairs", 0.5, "pairs.jsonl", "ours", validation=10, has_pages=True)
    prepare_source(recipe, data, data / "out", embed=embed, seed=1)
    query = read_validation(data / "out")[0]
    word, part = query.query.rstrip("?").split()[1:]
    assert query.texts[0] == f"{word}\n{word} story {part}"
    assert query.grades[0] == 1
    assert sum(query.grades) == 1
    assert list(query.fused) == sorted(query.fused, reverse=True)
    assert query.ideal == (1,)


def test_no_recipe_reads_a_test_split_and_the_shares_make_a_whole() -> None:
    assert sum(recipe.share for recipe in RECIPES) == pytest.approx(1.0)
    assert not any("test" in recipe.path for recipe in RECIPES)
    assert {recipe.path for recipe in RECIPES}.isdisjoint({"arguana", "cran"})
