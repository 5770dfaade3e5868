"""A source is prepared, written and read again; validation sees held-out documents, training never does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest

from nightrank.storage.keys import normalise_query
from nightrank.tasks.train.sets import read_training_set
from recipes.packaged_reranker.collections import prepare_source
from recipes.packaged_reranker.recipe import RECIPES, Recipe

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
    recipe = Recipe("pairs", 0.5, "pairs.jsonl", "ours", validation=2, has_pages=True)
    prepare_source(recipe, data, data / "out", embed=embed, seed=1)
    made = read_training_set(data / "out")
    held = {made.passages[place].title for place in made.held}
    assert len(held) == 1  # whose two questions are measured on
    assert {query.query.split()[1] for query in made.held_out} == held
    assert len(made.held_out) == 2
    assert not held.intersection(query.query.split()[1] for query in made.mined)
    assert len(made.mined) == 18
    for query in made.mined:
        assert not made.held.intersection(place for place, _ in query.negatives)
        assert [made.passages[place].title for place, _ in query.answers] == [query.query.split()[1]]


def test_a_held_out_query_carries_its_first_stage_and_its_grades(data: Path) -> None:
    recipe = Recipe("pairs", 0.5, "pairs.jsonl", "ours", validation=10, has_pages=True)
    prepare_source(recipe, data, data / "out", embed=embed, seed=1)
    made = read_training_set(data / "out")
    query = made.held_out[0]
    word, part = query.query.rstrip("?").split()[1:]
    best = query.candidates[0]
    # The dense leg hears no difference between the page's two stories, and the tie of both legs is one by id.
    assert [made.passages[candidate.place].title for candidate in query.candidates[:2]] == [word, word]
    assert query.relevant == {f"{word}-{part}": 1}
    fused = [candidate.fused for candidate in query.candidates]
    assert fused == sorted(fused, reverse=True)
    assert best.legs["dense"] == pytest.approx(1.0, abs=1e-6)
    assert best.legs["bm25"] > 0
    listed = [candidate for candidate in query.candidates if "bm25" in candidate.legs]
    assert len(listed) == 11  # those that share a word: its own page, and all pages' stories of that part


def test_a_sentence_asks_for_its_passage_and_is_struck_from_it(data: Path) -> None:
    rows = [
        {
            "query": f"Is {word} sweet?",
            "title": "",
            "text": f"The {word} is a kind of fruit. It grows in very old gardens of {word}.",
            "document_id": word,
        }
        for word in WORDS
    ]
    (data / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = Recipe("pairs", 0.5, "pairs.jsonl", "ours", validation=1, has_pages=True, asks="sentences")
    prepare_source(recipe, data, data / "out", embed=embed, seed=1)
    made = read_training_set(data / "out")
    assert len(made.mined) == len(WORDS) - len(made.held) == 9
    assert not made.held_out
    for query in made.mined:
        [(place, _)] = query.answers
        assert query.removed_text in made.passages[place].text
        assert normalise_query(query.removed_text) == query.query


@pytest.mark.parametrize("asks", ["titles", "sentences"])
def test_what_a_test_split_judges_is_neither_asked_for_nor_shown(
    data: Path, asks: Literal["titles", "sentences"]
) -> None:
    (data / "beir" / "qrels").mkdir(parents=True)
    text = "The {} is a kind of fruit. It grows in very old gardens of {}."
    documents = [{"_id": word, "title": word, "text": text.format(word, word)} for word in WORDS]
    documents.append({**documents[0], "_id": "copy"})
    (data / "beir" / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in documents))
    (data / "beir" / "queries.jsonl").write_text('{"_id": "1", "text": "Which?"}\n')
    for split, judged in (("train", "banana"), ("test", "apple")):
        path = data / "beir" / "qrels" / f"{split}.tsv"
        path.write_text(f"query-id\tcorpus-id\tscore\n1\t{judged}\t1\n")
    prepare_source(Recipe("made", 0.5, "beir", "ours", asks=asks), data, data / "out", embed=embed, seed=1)
    made = read_training_set(data / "out")
    assert {made.passages[place].document_id for place in made.held} == {"apple", "copy"}
    shown = {place for query in made.mined for place, _ in (*query.answers, *query.negatives)}
    assert {made.passages[place].document_id for place in shown} == set(WORDS) - {"apple"}
    assert all((passage.title == "") == (asks == "titles") for passage in made.passages)
    assert len(made.mined) == len(WORDS) - 1


def test_no_recipe_reads_a_test_split_and_the_shares_make_a_whole() -> None:
    assert sum(recipe.share for recipe in RECIPES) == pytest.approx(1.0)
    assert not any("test" in recipe.path for recipe in RECIPES)
    assert {recipe.path for recipe in RECIPES}.isdisjoint({"arguana", "cran"})
