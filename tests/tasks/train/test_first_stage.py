"""BM25 by hand, and fusion's edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nightrank.tasks.train.first_stage import Bm25Matrix, fused_candidates


def test_a_score_is_what_the_formula_gives_by_hand() -> None:
    # Two passages of 3 and 1 terms; "cat" is twice in the first: ln(1 + 1.5 / 1.5) * 2 / (2 + 1.2 * 1.375).
    scores = Bm25Matrix(["Cats and a cat, dogs", "birds"]).scores(["the CAT", "bird cat cat", "unknown"])
    cat, bird = math.log(2) * 2 / (2 + 1.2 * 1.375), math.log(2) / (1 + 1.2 * 0.625)
    assert scores == pytest.approx(np.array([[cat, 0.0], [2 * cat, bird], [0.0, 0.0]]))


def test_a_passage_without_a_matching_term_is_no_result_of_bm25() -> None:
    places, scores = fused_candidates(np.array([0.1, 0.9]), np.array([0.0, 0.0]), depth=10)
    assert places.tolist() == [1, 0]
    assert scores == pytest.approx(np.array([1 / 61, 1 / 62]))


def test_legs_and_candidates_are_cut_at_their_depths() -> None:
    dense, bm25 = np.array([0.9, 0.8, 0.1]), np.array([0.0, 1.0, 2.0])
    places, scores = fused_candidates(dense, bm25, depth=2, leg_depth=1)
    assert places.tolist() == [0, 2]  # each the first of one leg; ties by place
    assert scores == pytest.approx(np.array([1 / 61, 1 / 61]))
