from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nightrank.tasks.gates.profile.resemblance import FEWEST_PAIRS, resemblance

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIX = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def values(of: list[float], times: int = 40) -> dict[str, float]:
    """The same values for each of some queries."""
    return {f"q{query} t{text}": value for query in range(times) for text, value in enumerate(of)}


def test_it_is_the_order_that_counts_and_ties_share_their_ranks() -> None:
    live = values(SIX)
    assert resemblance(live, values([-9.0, 0.0, 0.5, 7.0, 8.0, 1e6])) == pytest.approx(1.0)
    assert resemblance(live, values(SIX[::-1])) == pytest.approx(-1.0)
    # as of ranks 1.5 1.5 3.5 3.5 5.5 5.5 against 1 to 6: 16 / sqrt(17.5 * 16)
    assert resemblance(live, values([0.0, 0.0, 1.0, 1.0, 2.0, 2.0])) == pytest.approx(16 / (17.5 * 16) ** 0.5)


def test_what_all_pairs_of_a_query_or_of_a_text_have_can_be_left_out() -> None:
    generator = np.random.default_rng(3)
    queries, texts = 100 * generator.permutation(20), 3 * generator.permutation(12)
    said, other = generator.normal(0.0, 1.0, (2, 20, 12))

    def pairs(of: NDArray[np.float64]) -> dict[str, float]:
        return {f"q{row} t{column}": float(of[row, column]) for row in range(20) for column in range(12)}

    means = queries[:, None] + texts
    first, second = pairs(means + said), pairs(means + other)  # which have nothing in common but these
    plain, without = resemblance(first, second), resemblance(first, second, means_out=True)
    assert plain is not None
    assert plain > 0.9
    assert without is not None
    assert abs(without) < 0.2
    assert resemblance(first, first, means_out=True) == pytest.approx(1.0)
    assert resemblance(pairs(means.astype(np.float64)), first, means_out=True) is None


def test_a_model_that_says_the_same_of_all_resembles_none_and_a_live_one_that_does_says_nothing() -> None:
    assert resemblance(values(SIX), values([2.0] * 6)) == 0.0
    assert resemblance(values([2.0] * 6), values(SIX)) is None


def test_pairs_that_only_one_has_are_left_out_and_too_few_in_common_say_nothing() -> None:
    live, now = values(SIX), values(SIX[::-1])
    common = [*live][:FEWEST_PAIRS]
    others = {f"other {key}": 0.0 for key in live}
    assert resemblance(live, {key: now[key] for key in common} | others) == pytest.approx(-1.0, abs=0.01)
    assert resemblance(live, {key: now[key] for key in common[1:]} | others) is None
