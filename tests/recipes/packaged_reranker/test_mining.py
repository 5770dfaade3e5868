"""What is learnt from a query: never what may answer too, and what three legs hold of each passage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nightrank.storage.legs import LEGS
from nightrank.storage.memo.sparse_vectors import SparseVectors
from nightrank.tasks.train.sources import Passage
from recipes.legs import Encoders
from recipes.packaged_reranker import mining
from recipes.packaged_reranker.held_out import Prepared
from recipes.packaged_reranker.mining import Candidates, mine, slice_of, taught
from recipes.packaged_reranker.recipe import Source
from recipes.packaged_reranker.sources import Asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WORDS = ["apple", "banana", "cherry", "damson", "elder", "fig", "grape", "hazel", "iris", "juniper"]
SOURCE = Source("s", "question", "s")


def candidates(*opinion: float) -> Candidates:
    found = np.array(opinion)
    return Candidates(np.arange(found.size), np.zeros((3, found.size), np.float32), found)


def learnt(query: Asked, found: Candidates, *, close: Sequence[int] = (), held: Sequence[int] = ()) -> list[int] | None:
    flags = np.isin(found.places, close)
    made = taught(query, found, close=flags, held=frozenset(held))
    return None if made is None else [place for place, _ in made.negatives]


def test_negatives_are_neither_answers_nor_held_out_nor_close_nor_clearly_above_the_answer() -> None:
    # The answer 0 stands at 0.5; 1 at 0.7 is clearly above it, 2 at 0.55 is not; 3 is close, 4 is held out.
    found = candidates(0.5, 0.7, 0.55, 0.4, 0.3, 0.29, 0.28, 0.27, 0.26, 0.25, 0.24)
    assert learnt(Asked("q", (0,), is_weak=False), found, close=[3], held=[4]) == [2, 5, 6, 7, 8, 9, 10]
    made = taught(Asked("q", (0, 3), is_weak=False), found, close=np.zeros(11, np.bool_), held=frozenset({4}))
    assert made is not None
    assert made.answers == ((0, 0.5),)
    assert made.false_negatives == (1, 3)  # another answer is no stranger either
    assert made.floor == 0.0


def test_a_query_with_hardly_a_negative_says_nothing() -> None:
    assert learnt(Asked("q", (0,), is_weak=False), candidates(0.5, *[0.1] * 6)) is None
    assert learnt(Asked("q", (0,), is_weak=False), candidates(0.5, *[0.1] * 7)) == [1, 2, 3, 4, 5, 6, 7]


def test_a_weak_answer_that_is_lost_far_down_is_none() -> None:
    found = candidates(0.2, *[0.25] * 40, *[0.1] * 10)
    assert learnt(Asked("q", (0,), is_weak=True), found) is None
    assert learnt(Asked("q", (0,), is_weak=False), found) is not None
    assert learnt(Asked("q", (0,), is_weak=True), candidates(0.2, *[0.25] * 39, *[0.1] * 10)) is not None


def test_of_many_negatives_the_best_and_some_of_all_others_are_kept() -> None:
    kept = learnt(Asked("q", (0,), is_weak=False), candidates(1.0, *np.linspace(0.9, 0.1, 48)))
    assert kept == [*range(1, 17), *range(17, 49, 4)]


def test_the_opinion_is_the_mean_of_the_stretched_legs_over_what_any_of_them_finds() -> None:
    scores = np.array([[4.0, 2.0, 0.0], [-1.0, 1.0, 0.0], [3.0, 3.0, 3.0]], dtype=np.float32)
    found = Candidates.of(scores, (0,))
    assert found.places.tolist() == [0, 1, 2]
    assert found.opinion.tolist() == pytest.approx([1 / 3, 0.5, 0.5 / 3])


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """One dimension a word; texts with none of them get the last dimension."""
    vectors = np.array([[float(word in text.casefold()) for word in WORDS] + [0.1] for text in texts])
    unit: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def first_letters(texts: Sequence[str]) -> SparseVectors:
    return SparseVectors.of([(np.array([ord(text[0])], np.int32), np.ones(1, np.float32)) for text in texts])


ENCODERS = Encoders(embed, first_letters, first_letters)


def prepared(*, held: int = 2) -> Prepared:
    passages = [Passage(word, word.title(), f"{word} grows here") for word in WORDS]
    queries = [
        Asked(f"{word} garden", (place,), is_weak=False, is_held=place < held) for place, word in enumerate(WORDS)
    ]
    return Prepared(passages, queries, frozenset(range(held)), ["ours"])


def test_held_out_queries_carry_all_legs_and_no_held_passage_is_learnt_from() -> None:
    made = mine(SOURCE, slice_of(SOURCE, prepared()), ENCODERS)
    assert len(made.held_out) == 2
    assert len(made.mined) == 8
    assert made.held == {0, 1}
    for query in made.held_out:
        best = query.candidates[0]
        assert made.passages[best.place].text.split()[0] == query.query.split()[0]
        assert query.relevant == {str(best.place): 1}
        assert set(best.legs) == set(LEGS)
        assert best.fused == pytest.approx(1.0)
    for mined in made.mined:
        assert made.held.isdisjoint(place for place, _ in mined.negatives)
        assert len(mined.negatives) == 7
        assert [made.passages[place].text.split()[0] for place, _ in mined.answers] == [mined.query.split()[0]]


def test_a_slice_holds_all_answers_and_what_is_like_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mining, "CONFUSED_DEPTH", 4)
    passages = [
        Passage(f"{word} {number}", "", f"{word} number{number} grows") for word in WORDS for number in range(10)
    ]
    queries = [Asked(word, (10 * place,), is_weak=False) for place, word in enumerate(WORDS)]
    whole = Prepared(passages, queries, frozenset({0}), [])
    part = slice_of(SOURCE, whole, passages=20, queries=3)
    assert part == slice_of(SOURCE, whole, passages=20, queries=3)
    assert len(part.queries) == 3
    assert 3 * 4 <= len(part.passages) <= 20
    for query in part.queries:
        assert [part.passages[place].text for place in query.answers] == [f"{query.query} number0 grows"]
        assert sum(passage.text.startswith(query.query) for passage in part.passages) >= 4
    assert [part.passages[place].text for place in part.held] in ([], ["apple number0 grows"])
