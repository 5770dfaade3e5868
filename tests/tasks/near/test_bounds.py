from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from nightrank.tasks.near.bounds import upper_bound


@pytest.mark.parametrize(("failures", "n"), [(0, 30), (3, 50), (20, 400)])
def test_of_failures_it_is_not_much_higher_than_the_exact_bound(failures: int, n: int) -> None:
    losses = np.random.default_rng(3).permutation(np.array([1.0] * failures + [0.0] * (n - failures)))
    exact = float(beta.ppf(0.95, failures + 1, n - failures))  # Clopper and Pearson
    assert exact * 0.9 <= upper_bound(losses, confidence=0.95) <= exact * 1.6 + 0.01


@pytest.mark.parametrize(("n", "least"), [(20, 0.0), (80, 0.0), (200, -1.0)])
def test_it_holds_as_often_as_it_says(n: int, least: float) -> None:
    generator = np.random.default_rng(5)
    # Most lose nothing and few much: what a bound by the normal distribution does not hold for.
    draws = (least + (1.0 - least) * generator.beta(0.2, 1.8, n) for _ in range(400))
    missed = [upper_bound(losses, least=least, confidence=0.9) < least + (1.0 - least) * 0.1 for losses in draws]
    assert np.mean(missed) <= 0.1


def test_a_sample_says_less_the_smaller_it_is_and_nothing_where_it_is_empty() -> None:
    bounds = [upper_bound(np.full(n, 0.1), confidence=0.95) for n in (0, 1, 10, 100, 1000)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] == 1.0
    assert bounds[-1] == pytest.approx(0.1, abs=0.01)
    assert upper_bound(np.ones(10), confidence=0.95) == 1.0
    with pytest.raises(ValueError, match="0 to 1"):
        upper_bound(np.array([-0.1]), confidence=0.95)


def test_gains_make_up_for_losses() -> None:
    generator = np.random.default_rng(1)
    losses = np.array(generator.permutation([0.2] * 100 + [-0.2] * 100 + [0.0] * 600))
    assert 0.0 < upper_bound(losses, least=-1.0, confidence=0.95) < 0.02
