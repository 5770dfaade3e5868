from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nightrank.tasks.rerank.compare import QueryPairs, agreement, query_numbers, score_beside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PAIRS = [QueryPairs("a", ["x", "xx"]), QueryPairs("b", ["xxx"]), QueryPairs("c", ["x", "xx", "xxx"])]


class Slow:
    """Scores texts by their length, and moves a clock by so many seconds a pair."""

    def __init__(self, sign: int, seconds: float, clock: list[float], journal: list[int]) -> None:
        self._sign, self._seconds, self._clock, self._journal = sign, seconds, clock, journal

    def score(self, queries: Sequence[str], texts: Sequence[str], lengths: NDArray[np.integer]) -> NDArray[np.float32]:
        assert len(queries) == len(texts) == len(lengths)
        self._journal.append(self._sign)
        self._clock[0] += self._seconds * len(texts)
        return np.array([self._sign * len(text) for text in texts], dtype=np.float32)


def test_rerankers_take_turns_and_each_has_its_own_time_and_scores() -> None:
    clock, journal = [0.0], list[int]()
    one, other = score_beside(
        [Slow(1, 0.5, clock, journal), Slow(-1, 0.1, clock, journal)], PAIRS, clock=lambda: clock[0]
    )
    assert journal == [1, -1, -1, 1, 1, -1, -1, 1]  # once each to warm up
    assert one.scores.tolist() == [1, 2, 3, 1, 2, 3]
    assert other.scores.tolist() == [-1, -2, -3, -1, -2, -3]
    assert [one.pairs_per_second, other.pairs_per_second] == pytest.approx([2.0, 10.0])
    assert query_numbers(PAIRS).tolist() == [0, 0, 1, 2, 2, 2]


def test_agreement_is_counted_query_by_query() -> None:
    before = np.array([3.0, 2.0, 1.0, 9.0, 8.0, 7.0])
    after = np.array([3.0, 1.0, 2.0, 7.0, 8.0, 9.0])
    found = agreement(before, after, queries=np.array([0, 0, 0, 1, 1, 1]), depth=2)
    assert found.top == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert found.first == 0.5
    assert found.correlation == pytest.approx(np.corrcoef(before, after)[0, 1])


def test_equal_scores_agree_in_everything() -> None:
    scores = np.array([1.0, 1.0, -2.0])
    assert list(agreement(scores, scores, queries=np.zeros(3, dtype=int))) == pytest.approx([1.0, 1.0, 1.0])
