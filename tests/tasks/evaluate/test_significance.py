from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.release.evaluation import COMPARISON, EVALUATION
from nightrank.tasks.evaluate.significance import Comparison, compare_evaluations, compare_paired, holm, lower_bound


def compared(before: list[float], after: list[float], *, seed: int = 0) -> Comparison:
    return compare_paired(np.array(before), np.array(after), generator=np.random.default_rng(seed))


def evaluation(values: dict[tuple[str, str], dict[str, float]]) -> pa.Table:
    rows = [
        {"stage": stage, "query_id": query_id, "measure": measure, "value": value}
        for (stage, measure), by_query in values.items()
        for query_id, value in by_query.items()
    ]
    return pa.Table.from_pylist(rows, schema=EVALUATION)


def test_three_wins_of_three_happen_by_chance_in_a_quarter_of_cases() -> None:
    found = compared([0.0, 0.2, 0.5], [0.1, 0.4, 0.8])
    assert found.p_value == 0.25  # of the eight ways to flip signs, +++ and --- are as far from 0
    assert (found.queries, found.wins, found.ties, found.losses) == (3, 3, 0, 0)
    assert (found.before, found.after, found.difference) == pytest.approx((0.7 / 3, 1.3 / 3, 0.2))


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
def test_with_few_queries_the_p_value_is_exact(eighths: list[int]) -> None:
    differences = [value / 8 for value in eighths]  # sums of eighths have no rounding
    flipped = [
        sum(sign * value for sign, value in zip(signs, differences, strict=True))
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    expected = sum(abs(value) >= abs(sum(differences)) for value in flipped) / len(flipped)
    assert compared([0.0] * len(differences), differences).p_value == pytest.approx(expected, abs=1e-12)


def test_with_many_queries_signs_are_drawn_and_come_close() -> None:
    differences = np.array([0.3, -0.1, 0.25, 0.05, 0.4, -0.2, 0.15, 0.1, -0.05, 0.35, 0.2, -0.15, 0.3, 0.1, -0.3, 0.2])
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=16)))
    expected = np.mean(np.abs(signs @ differences) >= differences.sum() - 1e-9)
    found = compare_paired(np.zeros(16), differences, generator=np.random.default_rng(1))
    assert found.p_value == pytest.approx(expected, abs=0.01)


def test_queries_that_tie_leave_the_p_value_as_it_is() -> None:
    assert compared([0.5] * 97 + [0.0, 0.2, 0.5], [0.5] * 97 + [0.1, 0.4, 0.8]).p_value == 0.25


def test_rounding_is_a_tie_and_proves_nothing() -> None:
    found = compared([0.1 + 0.2] * 20, [0.3] * 20)
    assert (found.wins, found.ties, found.losses) == (0, 20, 0)
    assert (found.low, found.high, found.p_value) == (0.0, 0.0, 1.0)


def test_one_query_proves_nothing() -> None:
    assert compared([0.0], [1.0]) == Comparison(1, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1, 0, 0)


def test_equal_differences_have_a_point_for_an_interval() -> None:
    found = compared([0.0, 0.5] * 10, [0.25, 0.75] * 10)
    assert (found.low, found.high) == (0.25, 0.25)
    assert found.p_value == pytest.approx(2 / 10_001)  # no draw of 10,000 gave twenty equal signs


def test_the_interval_holds_the_true_difference_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(7)
    held = below = 0
    for _ in range(200):
        differences = generator.exponential(0.2, size=60) - 0.1  # the true mean is 0.1
        found = compare_paired(np.zeros(60), differences, generator=generator, confidence=0.9, resamples=500)
        held += found.low <= 0.1 <= found.high
        bound = lower_bound(np.zeros(60), differences, generator=generator, confidence=0.9, resamples=500)
        below += bound <= 0.1
    assert 0.84 <= held / 200 <= 0.95
    assert 0.84 <= below / 200 <= 0.96


def test_the_lower_bound_is_one_sided() -> None:
    before, after = np.zeros(50), np.random.default_rng(3).normal(0.1, 0.2, size=50)
    bound = lower_bound(before, after, generator=np.random.default_rng(0), confidence=0.95)
    two_sided = compare_paired(before, after, generator=np.random.default_rng(0), confidence=0.9)
    assert bound == pytest.approx(two_sided.low, abs=1e-9)
    assert bound > compare_paired(before, after, generator=np.random.default_rng(0), confidence=0.95).low


def test_the_generator_alone_decides_what_is_random() -> None:
    generator = np.random.default_rng(5)
    before, after = generator.random(40).tolist(), generator.random(40).tolist()
    assert compared(before, after, seed=1) == compared(before, after, seed=1)
    assert compared(before, after, seed=1) != compared(before, after, seed=2)


@pytest.mark.parametrize(("before", "after"), [([], []), ([0.5], [0.5, 0.5])])
def test_values_that_are_no_pairs_are_refused(before: list[float], after: list[float]) -> None:
    with pytest.raises(ValueError, match="as many values before as after"):
        compared(before, after)


def test_holm_steps_down_from_the_smallest() -> None:
    # By hand: 0.005 * 4, 0.01 * 3, then 0.03 * 2 = 0.06, and 0.04 * 1 may not fall below it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_evaluations_are_compared_on_what_both_have() -> None:
    before = evaluation(
        {
            ("fused", "RR@10"): {"q1": 0.0, "q2": 0.2, "q3": 0.5, "gone": 1.0},
            ("bm25", "RR@10"): {"q1": 0.5, "q2": 0.5},
            ("gone", "RR@10"): {"q1": 1.0},
        }
    )
    after = evaluation(
        {
            ("new", "RR@10"): {"q1": 1.0},
            ("bm25", "RR@10"): {"q2": 0.5, "q1": 0.25},
            ("fused", "RR@10"): {"new": 0.0, "q3": 0.8, "q1": 0.1, "q2": 0.4},
            ("fused", "P@5"): {"q1": 1.0},
        }
    )
    found = compare_evaluations(before, after, generator=np.random.default_rng(0))
    assert found.schema == COMPARISON
    bm25, fused = found.to_pylist()
    assert (bm25["stage"], bm25["queries"], bm25["difference"]) == ("bm25", 2, -0.125)
    assert (bm25["wins"], bm25["ties"], bm25["losses"], bm25["p_value"]) == (0, 1, 1, 1.0)
    assert (fused["stage"], fused["queries"], fused["p_value"]) == ("fused", 3, 0.25)
    assert fused["difference"] == pytest.approx(0.2)
    assert (fused["p_holm"], bm25["p_holm"]) == (0.5, 1.0)


def test_evaluations_with_nothing_in_common_compare_to_nothing() -> None:
    found = compare_evaluations(
        evaluation({("fused", "RR@10"): {"q1": 1.0}}),
        evaluation({("fused", "RR@10"): {"q2": 1.0}}),
        generator=np.random.default_rng(0),
    )
    assert (found.schema, found.num_rows) == (COMPARISON, 0)
    assert compare_evaluations(evaluation({}), evaluation({}), generator=np.random.default_rng(0)).num_rows == 0
