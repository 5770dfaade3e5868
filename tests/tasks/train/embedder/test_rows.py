"""The rows that a dual encoder learns from."""

from __future__ import annotations

import random

from nightrank.tasks.train.embedder.rows import training_rows
from nightrank.tasks.train.sets import TrainingSet
from nightrank.tasks.train.sources import MinedQuery, Passage


def mined(*negatives: int) -> TrainingSet:
    passages = [Passage(str(number), "", f"text {number}") for number in range(5)]
    query = MinedQuery("q", ((0, 1.0),), tuple((place, 0.0) for place in negatives), 0.0)
    return TrainingSet(passages, [query], [], frozenset({3, 4}), ())


def test_a_row_is_a_query_its_answer_and_mined_negatives() -> None:
    drawn = {row.texts for seed in range(20) for row in training_rows(mined(1, 2), negatives=1, generator=rng(seed))}

    assert drawn == {("text 0", "text 1"), ("text 0", "text 2")}


def test_what_is_held_out_never_fills_up_a_row() -> None:
    drawn = {row.texts for seed in range(20) for row in training_rows(mined(), negatives=1, generator=rng(seed))}

    assert drawn == {("text 0", "text 1"), ("text 0", "text 2")}
    assert list(training_rows(mined(1), negatives=3, generator=rng(0))) == []  # only two others may be shown


def test_what_says_an_answers_words_or_was_refused_never_fills_up_a_row() -> None:
    same, near, other = (
        Passage("copy", "Its own title", " same "),
        Passage("near", "", "near"),
        Passage("o", "", "other"),
    )
    query = MinedQuery("q", ((0, 1.0),), (), 0.0, false_negatives=(2,))
    passages = [Passage("answer", "", "same"), same, near, Passage("near's copy", "", "near"), other]
    made = TrainingSet(passages, [query], [], frozenset(), ())

    drawn = {row.texts for seed in range(20) for row in training_rows(made, negatives=1, generator=rng(seed))}

    assert drawn == {("same", "other")}


def test_a_row_names_what_it_shows_and_what_may_answer() -> None:
    passages = [
        Passage("a", "", "one"),
        Passage("b", "B", " two "),
        Passage("c", "", "three"),
        Passage("d", "", "four"),
    ]
    query = MinedQuery("q", ((0, 1.0), (1, 0.5)), ((2, 0.0),), 0.0, false_negatives=(3,))
    [first, _] = training_rows(TrainingSet(passages, [query], [], frozenset(), ()), negatives=1, generator=rng(0))

    assert first.shown == {"document a", "words one", "document c", "words three"}
    assert first.answering == {"document a", "words one", "document b", "words two", "words four"}


def rng(seed: int) -> random.Random:
    return random.Random(seed)
