from __future__ import annotations

import numpy as np
import pytest

from nightrank.storage.release.evaluation import COVERAGE
from nightrank.tasks.query_log.aliases import merge_aliases
from nightrank.tasks.query_log.coverage import Candidates, budgets_up_to, coverage_curve, held_out_day
from nightrank.tasks.query_log.demand import PLAIN_FREQUENCY
from nightrank.tasks.query_log.traffic import day_of
from tests.support.query_logs import logged, traffic_of

# Known before the held-out day: a 5 times, b 3 times, c once; on the day: b 4, a 1, d 3.
LOG = [
    logged("a", count=5, at="2024-06-01"),
    logged("b", count=3, at="2024-06-02"),
    logged("c", count=1, at="2024-06-02"),
    logged("b", count=4, at="2024-06-03"),
    logged("a", count=1, at="2024-06-03"),
    logged("d", count=3, at="2024-06-03"),
]
LAST = day_of(LOG[-1])


def curve(
    *, known: tuple[str, ...] = (), refused: tuple[str, ...] = (), unanswered: int = 0, budget: int = 100
) -> list[tuple[int, int, float]]:
    merged = merge_aliases(traffic_of(LOG), near=True)
    texts = np.array(merged.texts)
    candidates = Candidates(merged.texts, merged.entries, ~np.isin(texts, refused), np.isin(texts, known))
    table = coverage_curve(
        {"chosen": (candidates, PLAIN_FREQUENCY)}, unanswered={LAST: unanswered}, budget=budget, pairs_per_query=10
    )
    assert table.schema == COVERAGE
    return [(row["queries"], row["pairs"], row["share"]) for row in table.to_pylist()]


def test_the_curve_is_the_share_of_the_newest_day_that_queries_of_the_days_before_answer() -> None:
    assert curve() == [(1, 10, 1 / 8), (2, 20, 5 / 8), (3, 30, 5 / 8)]


def test_pairs_are_those_of_queries_that_the_release_before_lacks() -> None:
    assert curve(known=("a",)) == [(1, 0, 1 / 8), (2, 10, 5 / 8), (3, 20, 5 / 8)]


def test_what_may_not_be_kept_answers_nothing_and_stays_traffic() -> None:
    assert curve(refused=("b",)) == [(1, 10, 1 / 8), (2, 20, 1 / 8)]
    assert curve(unanswered=2)[-1] == (3, 30, 5 / 10)


def test_a_log_of_one_day_or_without_dates_has_no_curve() -> None:
    for rows in (LOG[-2:], [logged("a"), logged("b")], [logged("a"), logged("b", at="2024-06-03")], []):
        merged = merge_aliases(traffic_of(rows), near=True)
        every = np.ones(len(merged.texts), dtype=bool)
        candidates = Candidates(merged.texts, merged.entries, every, every)
        curve = coverage_curve({"x": (candidates, PLAIN_FREQUENCY)}, unanswered={}, budget=5, pairs_per_query=10)
        assert curve.schema == COVERAGE
        assert curve.num_rows == 0


def test_a_day_that_is_cut_off_or_a_wrong_date_is_not_held_out() -> None:
    days = [logged("a", count=100, at=f"2024-06-0{day}") for day in range(1, 8)]
    stray = logged("a", count=9, at="2999-01-01")
    assert held_out_day(traffic_of([*days, stray]).entries) == day_of(days[-1])
    assert held_out_day(traffic_of([*days, stray, logged("b", at="2999-01-01")]).entries) == day_of(stray)


@pytest.mark.parametrize(
    ("most", "budget", "sizes"),
    [(0, 5, []), (1, 5, [1]), (4, 3, [1, 2, 3, 4]), (100, 100, [1, 2, 5, 10, 20, 50, 100])],
)
def test_budgets_rise_by_1_2_5_and_hold_the_actual_one_and_all(most: int, budget: int, sizes: list[int]) -> None:
    assert budgets_up_to(most, budget=budget) == sizes
