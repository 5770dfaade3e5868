"""Which candidates may be learnt from as negatives."""

from __future__ import annotations

import numpy as np

from nightrank.tasks.train.false_negatives import scored_like_an_answer, teacher_scores_of, too_close


def test_a_candidate_close_to_any_answer_is_too_close() -> None:
    answers = np.array([[1, 0], [0, 1]], dtype=np.float32)
    candidates = np.array([[0.999, 0.0447], [0.0447, 0.999], [0.7071, 0.7071]], dtype=np.float32)

    assert too_close(candidates, answers).tolist() == [True, True, False]
    assert too_close(candidates, answers[:1]).tolist() == [True, False, False]


def test_near_the_lowest_answer_is_a_quarter_of_the_deviation_below_it() -> None:
    scores = np.array([4.0, 0.0, 4.0, 0.0])  # their deviation is 2

    assert scored_like_an_answer(scores, np.array([4.4])).tolist() == [True, False, True, False]
    assert scored_like_an_answer(scores, np.array([4.6])).tolist() == [False] * 4
    assert scored_like_an_answer(scores, np.array([9.0, 0.4])).tolist() == [True] * 4


def test_nobody_is_refused_where_there_are_no_scores() -> None:
    unknown = np.array([np.nan, np.nan])

    assert scored_like_an_answer(unknown, np.array([1.0])).tolist() == [False, False]
    assert scored_like_an_answer(np.array([5.0, np.nan]), unknown).tolist() == [False, False]


def test_a_leg_that_found_nothing_has_no_opinion() -> None:
    assert teacher_scores_of([np.array([1.0, 3.0]), np.array([np.nan, np.nan])]).tolist() == [-0.5, 0.5]
    assert teacher_scores_of([np.array([1.0, 3.0])]).tolist() == [-1.0, 1.0]
