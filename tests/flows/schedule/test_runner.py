"""The runner of a schedule: what a server that answers in part is told as."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

from nightrank.flows.refresh import refresh
from nightrank.flows.schedule.plan import Served
from nightrank.flows.schedule.runner import PatientRunner
from nightrank.flows.schedule.upkeep import Upkeep
from nightrank.storage.errors import InputError

if TYPE_CHECKING:
    from datetime import datetime

    import pytest

    from tests.support.collection import Collection


def test_what_is_refused_for_good_is_told_once_and_keeps_nothing_that_is_due_from_being_begun(
    prefect_api: str, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.write()
    told: list[str] = []
    night = Served(refresh, collection.folder.parent.name, "", collection.settings_file, None, "UTC")
    runner = PatientRunner([night], tell=told.append)
    looks: list[tuple[bool, datetime]] = []
    polled = 0

    async def refused(_upkeep: Upkeep, _client: object, *, since: datetime, was_away: bool, at_work: object) -> None:
        looks.append((was_away, since))
        raise InputError("The cron is none.", remedy="Correct it.")

    async def none_due() -> list[object]:
        nonlocal polled
        polled += 1
        return []

    async def ask() -> None:
        async with runner:
            poller = runner._scheduled_run_poller
            monkeypatch.setattr(poller, "_get_scheduled_flow_runs", none_due)
            runner._outage.since = runner._outage.answered  # the server was away just now
            with monkeypatch.context() as refusing:
                refusing.setattr(Upkeep, "look", refused)
                for _ in range(3):
                    await poller._get_and_submit_flow_runs()
            await poller._get_and_submit_flow_runs()
            with monkeypatch.context() as refusing:
                refusing.setattr(Upkeep, "look", refused)
                await poller._get_and_submit_flow_runs()

    asyncio.run(ask())

    assert polled == 5
    away, *again, later = looks
    assert [away, *again] == [(True, away[1])] * 3  # until it is looked after, all that was due since the outage
    assert (later[0], later[1] > away[1]) == (False, True)
    assert [line.partition(":")[0] for line in told] == [
        "Missed and failed refreshes are not made up for",
        "Prefect's server is back",
        "Missed and failed refreshes are not made up for",
    ]


def test_a_server_that_is_there_and_fails_at_what_is_due_is_told_once(
    prefect_api: str, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.write()
    told: list[str] = []
    night = Served(refresh, collection.folder.parent.name, "", collection.settings_file, None, "UTC")
    runner = PatientRunner([night], tell=told.append)

    async def busy() -> list[object]:
        raise httpx.ReadTimeout("the database is locked")

    async def ask() -> None:
        async with runner:
            poller = runner._scheduled_run_poller
            with monkeypatch.context() as failing:
                failing.setattr(poller, "_get_scheduled_flow_runs", busy)
                for _ in range(3):
                    await poller._get_and_submit_flow_runs()
            assert len(told) == 1
            await poller._get_and_submit_flow_runs()

    asyncio.run(ask())

    assert [line.partition(":")[0] for line in told] == [
        "Prefect's server is busy or away",
        "Prefect's server is back",
    ]
