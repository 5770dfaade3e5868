from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from nightrank.tasks.near.bounds import least_sample, upper_bound


@pytest.mark.parametrize(("failures", "n"), [(0, 30), (3, 50), (20, 400)])
def test_of_failures_it_is_no_lower_and_not_much_higher_than_the_exact_bound(failures: int, n: int) -> None:
    losses = np.array([1.0] * failures + [0.0] * (n - failures))
    exact = float(beta.ppf(0.95, failures + 1, n - failures))  # Clopper and Pearson
    assert exact <= upper_bound(losses, confidence=0.95) <= exact * 1.4 + 0.01


def test_it_holds_as_often_as_it_says() -> None:
    generator = np.random.default_rng(5)
    missed = [upper_bound(generator.beta(0.3, 2.7, 80), confidence=0.9) < 0.1 for _ in range(400)]
    assert np.mean(missed) <= 0.1


def test_a_sample_says_less_the_smaller_it_is_and_nothing_where_it_is_empty() -> None:
    bounds = [upper_bound(np.full(n, 0.1), confidence=0.95) for n in (0, 1, 10, 100, 1000)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] == 1.0
    assert bounds[-1] == pytest.approx(0.1, abs=0.03)
    assert upper_bound(np.ones(10), confidence=0.95) == 1.0
    with pytest.raises(ValueError, match="0 to 1"):
        upper_bound(np.array([-0.1]), confidence=0.95)


@pytest.mark.parametrize("limit", [0.01, 0.2])
def test_the_least_sample_is_the_smallest_that_can_hold_a_limit(limit: float) -> None:
    n = least_sample(limit, confidence=0.95)
    assert upper_bound(np.zeros(n), confidence=0.95) <= limit + 1e-6
    assert upper_bound(np.zeros(n - 1), confidence=0.95) > limit
