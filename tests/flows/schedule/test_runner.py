"""The runner of a schedule: what a server that answers in part is told as."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

from nightrank.flows.refresh import refresh
from nightrank.flows.schedule.plan import Served
from nightrank.flows.schedule.runner import PatientRunner

if TYPE_CHECKING:
    import pytest

    from tests.support.collection import Collection


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
