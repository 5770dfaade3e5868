"""Refreshes through Prefect: the deployment that the schedule has is begun, so that there are never two at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
from prefect.client.orchestration import get_client

from nightrank.flows.engine.names import ON_CHANGE
from nightrank.flows.schedule.watcher import Ended

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.schemas.objects import FlowRun

REFUSED = "refused"  # the tag that a refresh gives itself (``flows.engine.names``)
LOOK_EVERY_SECONDS = 2.0


class Deployment:
    """The deployment of ``refresh``.

    Args:
        path: What ``prefect deployment run`` knows it by.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    async def refresh(self) -> Ended:
        """Begin a refresh, and wait until it has ended; a server that is away meanwhile is asked again.

        Raises:
            Exception: It could not be begun, of whatever kind the client raises.
        """
        async with get_client() as client:
            deployment = await client.read_deployment_by_name(self._path)
            run = await client.create_flow_run_from_deployment(deployment.id, tags=[ON_CHANGE])
        return ended_as(await _final(run.id))


def ended_as(run: FlowRun) -> Ended:
    """How a refresh ended, by its state and its tags.

    A refresh that comes while another is at work is cancelled before it begins.
    """
    state = run.state
    if state is None or not state.is_final():
        raise ValueError(f"the run {run.name} has not ended")
    if state.is_completed() or REFUSED in (run.tags or []):
        return Ended.TAKEN_IN
    return Ended.BUSY if state.is_cancelled() and run.run_count == 0 else Ended.FAILED


async def _final(run_id: UUID) -> FlowRun:
    while True:
        await asyncio.sleep(LOOK_EVERY_SECONDS)
        try:
            async with get_client() as client:
                run = await client.read_flow_run(run_id)
        except httpx.HTTPError:
            continue
        if run.state is not None and run.state.is_final():
            return run
