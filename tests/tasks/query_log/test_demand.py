from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.tasks.query_log.aliases import merge_aliases
from nightrank.tasks.query_log.demand import PLAIN_FREQUENCY, Rule, by_demand, demand
from tests.support.query_logs import logged, traffic_of


def order_of(*rows: tuple[str, int, str | None], rule: Rule) -> list[str]:
    """Texts by demand, from (text, count, timestamp)."""
    merged = merge_aliases(traffic_of(logged(text, count=count, at=at) for text, count, at in rows), near=False)
    size = len(merged.texts)
    order = by_demand(demand(merged.entries, size=size, rule=rule), merged.counts, merged.texts, among=np.arange(size))
    return [merged.texts[query] for query in order]


def test_a_count_weighs_half_at_the_half_life() -> None:
    rule = Rule(half_life_days=10.0, count_exponent=1.0)
    rows = [("old", 11, "2024-06-01"), ("new", 5, "2024-06-11"), ("newer", 6, "2024-06-11")]
    assert order_of(*rows, rule=rule) == ["newer", "old", "new"]


def test_below_a_power_of_one_steady_demand_outweighs_one_busy_day() -> None:
    rows = [
        ("busy", 9, "2024-06-03"),
        ("steady", 2, "2024-06-01"),
        ("steady", 2, "2024-06-02"),
        ("steady", 2, "2024-06-03"),
    ]
    assert order_of(*rows, rule=PLAIN_FREQUENCY) == ["busy", "steady"]
    assert order_of(*rows, rule=Rule(half_life_days=None, count_exponent=0.5)) == ["steady", "busy"]


def test_what_has_no_date_counts_as_of_the_newest_day() -> None:
    rule = Rule(half_life_days=1.0, count_exponent=1.0)
    rows = [("undated", 3, None), ("today", 4, "2024-06-09"), ("yesterday", 5, "2024-06-08")]
    assert order_of(*rows, rule=rule) == ["today", "undated", "yesterday"]


def test_one_row_dated_far_in_the_future_makes_nothing_else_old() -> None:
    rule = Rule(half_life_days=30.0, count_exponent=0.5)
    rows = [("much", 101, "2020-11-01"), ("now", 100, "2026-11-01"), ("undated", 90, None), ("stray", 1, "2202-01-01")]
    assert order_of(*rows, rule=rule) == ["now", "undated", "stray", "much"]


def test_demand_depends_on_no_clock_but_on_the_log_alone() -> None:
    rule = Rule(half_life_days=7.0, count_exponent=0.5)
    earlier = [("a", 3, "1999-01-01"), ("b", 5, "1998-12-20")]
    later = [("a", 3, "2099-01-01"), ("b", 5, "2098-12-20")]
    assert order_of(*earlier, rule=rule) == order_of(*later, rule=rule)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 10**12), max_size=8))
def test_without_dates_the_order_is_that_of_plain_frequency(counts: dict[str, int]) -> None:
    rows = [(text, count, None) for text, count in counts.items()]
    expected = sorted(counts, key=lambda text: (-counts[text], text))
    assert order_of(*rows, rule=Rule(half_life_days=730.0, count_exponent=0.5)) == expected
    assert order_of(*reversed(rows), rule=PLAIN_FREQUENCY) == expected


@pytest.mark.parametrize("days", [0, 40_000])
def test_a_demand_too_small_for_a_float_is_ordered_by_count(days: int) -> None:
    rule = Rule(half_life_days=0.01, count_exponent=0.5)
    rows = [("b", 2, "1900-01-01"), ("a", 1, "1900-01-01"), ("new", 1, "2009-07-07" if days else "1900-01-01")]
    found = order_of(*rows, rule=rule)
    assert found == (["new", "b", "a"] if days else ["b", "a", "new"])
