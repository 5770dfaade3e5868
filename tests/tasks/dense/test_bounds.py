from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightrank.tasks.dense.bounds import error_of, longest
from tests.tasks.dense.test_device import KEPT

SMALL = np.float32(2.0**-126)


def exactly(left: np.ndarray, right: np.ndarray) -> Fraction:
    return sum((Fraction(float(a)) * Fraction(float(b)) for a, b in zip(left, right, strict=True)), Fraction(0))


@given(
    seed=st.integers(0, 2**32 - 1),
    dimensions=st.sampled_from([1, 2, 7, 64, 389]),
    exponents=st.tuples(st.integers(-44, 18), st.integers(-44, 18)),
    is_cut_off=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_no_product_lies_further_off_than_is_said(
    seed: int, dimensions: int, exponents: tuple[int, int], is_cut_off: bool
) -> None:
    generator = np.random.default_rng(seed)
    left, right = (
        (generator.standard_normal(dimensions) * 10.0**exponent).astype(np.float32) for exponent in exponents
    )
    seen = [left, right]
    if is_cut_off:  # and what has fewer digits is lost
        seen = [(each.view(np.uint32) & KEPT).view(np.float32) for each in seen]
        seen = [np.where(np.abs(each) < SMALL, np.float32(0.0), each) for each in seen]
    order, total = generator.permutation(dimensions), np.float32(0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        for place in order:  # in any order
            total = np.float32(total + np.float32(seen[0][place] * seen[1][place]))
    lengths = longest(left[None]), longest(right[None])
    bound = error_of(dimensions, *lengths, "device" if is_cut_off else "float32")
    assert np.isfinite(total) or bound == np.inf
    assert bound == np.inf or abs(Fraction(float(total)) - exactly(left, right)) <= Fraction(float(bound))


@pytest.mark.parametrize(("left", "right"), [(1e20, 1e20), (np.inf, 1.0), (3.4e38, 1.0), (3.4e38, 1e-9)])
def test_where_sums_may_overflow_nothing_is_ruled_out(left: float, right: float) -> None:
    assert error_of(8, left, right) == error_of(8, left, right, "device") == np.inf


def test_the_length_of_the_longest() -> None:
    vectors = np.array([[3.0, 4.0], [0.0, 0.0], [1.0, -1.0]], dtype=np.float32)
    assert longest(vectors) == 5.0
    assert longest(vectors[:0]) == 0.0
    assert longest(vectors * np.float32(1e-40)) == pytest.approx(5e-40, rel=1e-4)
    assert longest(vectors * np.float32(1e30)) == pytest.approx(5e30)
    assert np.isnan(longest(np.array([[np.nan, 1.0]], dtype=np.float32)))
