from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.tasks.gates.rank_biased_overlap import rank_biased_overlap

RANKINGS = st.lists(st.sampled_from("abcdefghijklmn"), unique=True, max_size=12)
PERSISTENCE = st.floats(min_value=0.05, max_value=0.99)


@pytest.mark.parametrize(
    ("left", "right", "persistence", "expected"),
    [
        ("abc", "abc", 0.9, 1.0),
        ("abc", "xyz", 0.9, 0.0),
        ("a", "b", 0.5, 0.0),
        # X_d / d by depth is 0, 1: (1 - p) * (0 + 1 * p) + 1 * p^2 with p = 0.9
        ("ab", "ba", 0.9, 0.1 * 0.9 + 0.81),
        # 1, 1/2, 2/3 and then 2/3 for ever: 0.5 * (1 + 1/2 * 0.5 + 2/3 * 0.25) + 2/3 * 0.125
        ("abc", "axb", 0.5, 0.5 * (1 + 0.25 + 1 / 6) + 2 / 3 * 0.125),
        # s = 1, l = 3, X = 0, 1, 1, which gives 0, 1/2, 1/3; the short one never agreed at its end:
        # 0.5 * (0 + 1/2 * 0.5 + 1/3 * 0.25) + ((1 - 0) / 3 + 0) * 0.125
        ("b", "abc", 0.5, 0.5 * (0.25 + 1 / 12) + 1 / 24),
        # s = 2, l = 3, X = 1, 1, 2: 1, 1/2, 2/3, and X_s (d - s) / (s d) = 1/6 at 3:
        # 0.5 * (1 + 1/2 * 0.5 + (2/3 + 1/6) * 0.25) + ((2 - 1) / 3 + 1/2) * 0.125
        ("ab", "acb", 0.5, 0.5 * (1 + 0.25 + (2 / 3 + 1 / 6) * 0.25) + (1 / 3 + 1 / 2) * 0.125),
    ],
)
def test_the_overlap_is_that_of_the_papers_equation_by_hand(
    left: str, right: str, persistence: float, expected: float
) -> None:
    assert rank_biased_overlap([*left], [*right], persistence=persistence) == pytest.approx(expected, abs=1e-12)


def test_two_empty_rankings_are_alike_and_an_empty_one_is_like_no_other() -> None:
    assert rank_biased_overlap([], [], persistence=0.9) == 1.0
    assert rank_biased_overlap([], ["a"], persistence=0.9) == rank_biased_overlap(["a"], [], persistence=0.9) == 0.0


@given(RANKINGS, RANKINGS, PERSISTENCE)
def test_it_is_symmetric_and_between_0_and_1(left: list[str], right: list[str], persistence: float) -> None:
    overlap = rank_biased_overlap(left, right, persistence=persistence)
    assert 0.0 <= overlap <= 1.0
    assert overlap == rank_biased_overlap(right, left, persistence=persistence)


@given(RANKINGS.filter(bool), st.integers(min_value=1, max_value=12), PERSISTENCE)
def test_a_ranking_and_its_own_beginning_are_alike(ranking: list[str], depth: int, persistence: float) -> None:
    assert rank_biased_overlap(ranking, ranking[:depth], persistence=persistence) == pytest.approx(1.0, abs=1e-9)


def test_a_change_at_the_top_weighs_more_than_one_at_the_end() -> None:
    ranking = [*"abcdefghij"]
    top = rank_biased_overlap(ranking, ["x", *ranking[1:]], persistence=0.9)
    end = rank_biased_overlap(ranking, [*ranking[:9], "x"], persistence=0.9)
    assert top < end < 1.0


def test_where_a_part_of_both_is_shared_at_every_depth_the_overlap_is_that_part() -> None:
    left, right = [f"s{rank // 2}" if rank % 2 else f"l{rank}" for rank in range(10)], []
    right = [document if document.startswith("s") else f"r{rank}" for rank, document in enumerate(left)]
    overlap = rank_biased_overlap(left, right, persistence=0.9)
    # agreement is 0, 1/2, 1/3, 1/2, 2/5, 1/2, ...
    by_depth = [(depth // 2) / depth for depth in range(1, 11)]
    assert overlap == pytest.approx(0.1 * sum(a * 0.9**i for i, a in enumerate(by_depth)) + 0.5 * 0.9**10, abs=1e-12)
