from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx

from nightrank.flows.schedule.outage import Outage

TWO = datetime(2026, 1, 2, 2, tzinfo=UTC)


def test_a_server_that_is_away_for_hours_is_told_once_and_once_that_it_is_back() -> None:
    told: list[str] = []
    outage = Outage(told.append, answered=TWO)
    assert outage.ends(TWO + timedelta(seconds=10)) is None

    for second in range(0, 7200, 10):
        outage.begins(httpx.ConnectError(f"All connection attempts failed\nin second {second}"))
    assert outage.ends(TWO + timedelta(hours=2)) == TWO + timedelta(seconds=10)
    assert outage.ends(TWO + timedelta(hours=3)) is None

    assert told == [
        "Prefect's server is busy or away: ConnectError: All connection attempts failed in second 0. "
        "What is at work goes on; it is asked again.",
        "Prefect's server is back: it was away since 2026-01-02 02:00 UTC.",
    ]


def test_a_second_outage_is_told_again_and_a_reason_of_any_length_is_one_short_line() -> None:
    told: list[str] = []
    outage = Outage(told.append, answered=TWO)
    for _ in range(2):
        outage.begins(ValueError("<html>\n" * 10_000))
        outage.ends(TWO)
    assert len(told) == 4
    assert max(map(len, told)) < 400
    assert not any("\n" in line for line in told)
