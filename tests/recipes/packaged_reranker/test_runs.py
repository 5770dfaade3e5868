"""Which texts say the same, by runs of 13 words."""

from __future__ import annotations

import numpy as np

from recipes.packaged_reranker.runs import runs_of

THIRTEEN = "one two three four five six seven eight nine ten eleven twelve thirteen"


def test_case_and_punctuation_change_no_run_and_order_does() -> None:
    runs = runs_of([THIRTEEN, f"Before, {THIRTEEN.title()}.", " ".join(reversed(THIRTEEN.split()))])
    barred = runs.of(np.array([True, False, False]))
    assert barred.size == 1
    assert runs.meet(barred).tolist() == [True, True, False]


def test_no_run_goes_over_the_end_of_a_text() -> None:
    words = THIRTEEN.split()
    runs = runs_of([" ".join(words[:7]), " ".join(words[7:]), THIRTEEN])
    assert runs.texts.tolist() == [2]
    assert [len(each) for each in runs.of_each()] == [0, 0, 1]


def test_nothing_meets_nothing() -> None:
    assert runs_of([]).meet(np.zeros(0, dtype=np.uint64)).tolist() == []
    assert runs_of(["short"]).meet(np.array([3], dtype=np.uint64)).tolist() == [False]
