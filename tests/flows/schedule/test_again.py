from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from nightrank.flows.schedule.again import Ran, due_again

TWO = datetime(2026, 1, 2, 2, tzinfo=UTC)


def failed(minutes: int) -> Ran:
    return Ran(may_pass=True, ended=TWO + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("failures", "minutes"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (12, 60)]
)  # a minute, then twice as long each time, up to an hour
def test_a_refresh_that_the_machine_let_down_is_due_again_after_a_wait(failures: int, minutes: int) -> None:
    ended_well = Ran(may_pass=False, ended=TWO - timedelta(days=1))
    runs = [*(failed(-number) for number in range(failures)), ended_well, failed(-2000)]
    assert due_again(runs) == TWO + timedelta(minutes=minutes)


def test_nothing_is_due_where_the_last_one_ended_well_or_works_or_is_the_watchers() -> None:
    assert due_again([]) is None
    assert due_again([Ran(may_pass=False, ended=TWO), failed(-1)]) is None
    assert due_again([Ran(may_pass=False, ended=None), failed(-1)]) is None
    assert due_again([failed(0)._replace(on_change=True), failed(-1)]) is None
