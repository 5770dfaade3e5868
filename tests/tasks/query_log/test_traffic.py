from __future__ import annotations

from collections import Counter
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nightrank.tasks.query_log.traffic as module
from nightrank.storage.errors import InputError
from nightrank.tasks.query_log.traffic import UNDATED, TrafficCounter, day_of
from tests.support.query_logs import logged, traffic_of


@pytest.mark.parametrize(
    ("at", "day"),
    [
        ("2024-06-03", date(2024, 6, 3)),
        ("2024-06-03T23:30:00", date(2024, 6, 3)),
        ("2024-06-03T23:30:00-05:00", date(2024, 6, 4)),
        ("2024-06-03T00:30:00+02:00", date(2024, 6, 2)),
    ],
)
def test_a_day_is_that_of_utc_where_the_timestamp_has_an_offset(at: str, day: date) -> None:
    assert day_of(logged("a", at=at)) == day.toordinal()


def test_a_row_without_a_timestamp_has_no_day() -> None:
    assert day_of(logged("a")) == UNDATED


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3), st.integers(1, 9)), max_size=30))
def test_traffic_is_the_sum_by_text_and_day_however_often_it_is_added_up(rows: list[tuple[str, int, int]]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "BUFFERED", 4)
        traffic = traffic_of(logged(text, count=count, at=f"2024-06-0{day}") for text, day, count in rows)
    counts, times = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    for text, day, count in rows:
        counts[text, day] += count
        times[text, day] += 1
    entries, first = traffic.entries, date(2024, 6, 1).toordinal()
    keys = [
        (traffic.texts[number], day - first + 1)
        for number, day in zip(entries.numbers.tolist(), entries.days.tolist(), strict=True)
    ]
    assert dict(zip(keys, entries.counts.tolist(), strict=True)) == counts
    assert dict(zip(keys, entries.rows.tolist(), strict=True)) == times
    assert len(keys) == len(set(keys))


def test_no_more_users_are_remembered_than_were_asked_for() -> None:
    traffic = traffic_of([logged("a", user=user) for user in range(100)], most_users=3)
    assert [len(users) for users in traffic.users] == [3]
    assert traffic.has_users
    assert [len(users) for users in traffic_of([logged("a", user=1)], most_users=1).users] == [0]


def test_an_id_comes_once_and_ids_of_one_text_stand_in_the_order_met() -> None:
    rows = [logged("A", query_id="q2"), logged("a", query_id="q1"), logged(" a", query_id="q2")]
    assert traffic_of(rows).query_ids == [["q2", "q1"]]


def test_one_id_for_two_texts_is_an_input_error_that_names_both_rows() -> None:
    rows = [logged("a", query_id="q1", row=3), logged("A", query_id="q1", row=4), logged("b", query_id="q1", row=9)]
    with pytest.raises(InputError) as caught:
        traffic_of(rows)
    assert caught.value.message == ("log.jsonl, rows 3 and 9: the query_id 'q1' stands for two different queries.")


def test_what_may_not_be_kept_is_traffic_without_a_text() -> None:
    counter = TrafficCounter(most_users=1)
    counter.add_unanswered(logged("secret", count=5, at="2024-06-03", user=7))
    traffic = counter.traffic()
    assert (traffic.texts, traffic.unanswered) == ([], {date(2024, 6, 3).toordinal(): 5})
    assert traffic.has_users
