"""Which weight is chosen, and on what measure."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tasks.reranker_validation import choose_weight, ndcg, weighted_ndcg
from tasks.training_sources import ValidationQuery

QUERY = ValidationQuery("q", ("a", "b", "c"), (0.3, 0.2, 0.1), (0, 0, 2), (2, 1))


def test_an_answer_that_was_not_found_still_counts() -> None:
    # Grades 2 and 1 exist, the first is found third: (2 / log2 4) / (2 + 1 / log2 3).
    assert ndcg((0, 0, 2), (2, 1)) == pytest.approx(1.0 / (2 + 1 / math.log2(3)))


def test_a_query_without_relevant_documents_has_the_measure_0() -> None:
    assert ndcg((0, 0), ()) == 0.0


def test_weight_0_keeps_the_fused_order_and_weight_1_takes_the_rerankers() -> None:
    scores, ideal = np.array([-5.0, -1.0, 3.0]), 2 + 1 / math.log2(3)
    assert weighted_ndcg([QUERY], scores, weight=0.0) == pytest.approx(1.0 / ideal)
    assert weighted_ndcg([QUERY], scores, weight=1.0) == pytest.approx(2.0 / ideal)


def test_each_query_takes_its_own_scores() -> None:
    other = ValidationQuery("r", ("d", "e"), (0.2, 0.1), (1, 0), (1,))
    scores = np.array([-5.0, -1.0, 3.0, 9.0, 1.0])
    ideal = 2 + 1 / math.log2(3)
    assert weighted_ndcg([QUERY, other], scores, weight=1.0) == pytest.approx((2.0 / ideal + 1.0) / 2)


def test_the_collection_that_gains_least_decides() -> None:
    # The smallest gains are 0.004 and -0.003, although the means are 0.552 and 0.699.
    figures = {"a": {0.0: 0.5, 0.5: 0.6, 1.0: 0.9}, "b": {0.0: 0.5, 0.5: 0.504, 1.0: 0.497}}
    assert choose_weight(figures) == 0.5


def test_the_fused_order_is_kept_where_every_weight_harms_a_collection() -> None:
    assert choose_weight({"a": {0.0: 0.5, 1.0: 0.9}, "b": {0.0: 0.5, 1.0: 0.4}}) == 0.0


def test_of_smallest_gains_that_are_about_equal_the_better_mean_decides() -> None:
    figures = {"a": {0.0: 0.5, 0.2: 0.51, 0.3: 0.5095}, "b": {0.0: 0.5, 0.2: 0.6, 0.3: 0.7}}
    assert choose_weight(figures) == 0.3
    assert choose_weight(figures, noise=0.0) == 0.2


def test_of_equal_weights_the_smallest_is_chosen() -> None:
    assert choose_weight({"a": {0.0: 0.5, 0.5: 0.7, 1.0: 0.7}}) == 0.5
