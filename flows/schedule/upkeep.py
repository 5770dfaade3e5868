"""What a schedule looks after whenever Prefect's server answers: that it still knows the flows, and no night is missed.

A server that comes back may have lost its database: nothing then says so, and no run would ever be due again. What was
due while it was away is begun once; and so is a refresh that the machine or a store kept from ending well, after a
wait, where the next planned one may be a day away.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterStartTime,
)
from prefect.client.schemas.sorting import FlowRunSort

from nightrank.flows.engine.abandoned import UNHEARD, mark_dead_runs
from nightrank.flows.engine.names import AGAIN, MACHINE_FAILED, MISSED, ON_CHANGE
from nightrank.flows.schedule.again import Ran, due_again
from nightrank.flows.schedule.outage import at_utc
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import NightrankError, WorkspaceBusy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun
    from prefect.deployments.runner import RunnerDeployment

    from nightrank.flows.schedule.plan import Served

RUNS_LOOKED_AT = 12  # enough for the longest wait
STARTS_COUNTED = 1000


class Upkeep:
    """What is looked after, for as long as the flows are served.

    Args:
        served: The flows; the first is the night.
        deployments: Of them, in the same order.
        ids: That the server has given these.
        register: Makes a deployment known to the server, and gives its id.
        tell: Told what a user should know, a line each.
    """

    def __init__(
        self,
        served: Sequence[Served],
        deployments: Sequence[RunnerDeployment],
        ids: Sequence[UUID],
        *,
        register: Callable[[RunnerDeployment], Awaitable[UUID]],
        tell: Callable[[str], None],
    ) -> None:
        self._served, self._deployments, self._ids = served, deployments, [*ids]
        self._register, self._tell = register, tell
        self._missed: datetime | None = None  # the first start that nobody made
        self._counted: datetime | None = None  # up to when starts were counted
        self._is_unclear = False  # whether runs may have ended while nobody could be told

    async def look(self, client: PrefectClient, *, since: datetime, was_away: bool, at_work: Collection[UUID]) -> None:
        """Look after all of it.

        Args:
            client: Of the server.
            since: When it answered last.
            was_away: Whether it did not answer after that.
            at_work: Runs whose processes live.

        Raises:
            Exception: It does not answer, of whatever kind the client raises.
        """
        is_new = await self._register_missing(client)
        if is_new or was_away:
            self._is_unclear = True
            await self._count_missed(client, since=since, now=datetime.now(UTC))
        if self._is_unclear:
            await self._mark_dead(at_work)
        if self._missed is not None and not (
            await self._is_paused(client) or await asyncio.to_thread(_is_busy, self._served[0])
        ):
            await self._begin(client, MISSED, key=self._missed.isoformat())
            self._missed = None
        await self._begin_again(client, now=datetime.now(UTC))

    async def _register_missing(self, client: PrefectClient) -> bool:
        """See that the server knows every flow; whether it did not."""
        there = await client.read_deployments(deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=self._ids)))
        known = {deployment.id for deployment in there}
        missing = [place for place, id_ in enumerate(self._ids) if id_ not in known]
        for place in missing:
            self._ids[place] = await self._register(self._deployments[place])
        if missing:
            lost = "all flows" if len(missing) == len(self._ids) else ", ".join(self._served[at].path for at in missing)
            why = "its database was lost, or somebody removed them"
            self._tell(f"Prefect's server no longer knew {lost} ({why}); they are registered again.")
        return bool(missing)

    async def _count_missed(self, client: PrefectClient, *, since: datetime, now: datetime) -> None:
        """Tell which refreshes were due; where the server has none of them, one is to be begun."""
        since = max(since, self._counted or since)
        starts = await planned(self._served[0], since=since, until=now)
        if not starts or await self._is_paused(client):
            return
        expected = FlowRunFilterExpectedStartTime(after_=starts[0], before_=now)
        runs = await client.read_flow_runs(
            deployment_filter=self._night,
            flow_run_filter=FlowRunFilter(expected_start_time=expected),
        )
        self._counted = now
        # What was begun just before does not make up for what was due after it.
        begun = [run.start_time for run in runs if run.start_time is not None]
        starts = [start for start in starts if start > max(begun, default=since)]
        if not starts:
            return
        if len(begun) == len(runs):  # none waits
            self._missed = self._missed or starts[0]
        when = at_utc(starts[0]) if len(starts) == 1 else f"{at_utc(starts[0])} to {at_utc(starts[-1])}"
        self._tell(f"Refreshes that were due meanwhile: {len(starts)} ({when}). One refresh makes up for them.")

    async def _mark_dead(self, at_work: Collection[UUID]) -> None:
        """Mark runs that ended meanwhile and could tell nobody, once none is at work; a refresh is made up for them."""
        now, name = datetime.now(UTC), self._served[0].name
        try:
            configuration = await asyncio.to_thread(load_settings, self._served[0].settings_file)
            marked = await asyncio.to_thread(
                mark_dead_runs, configuration, deployment=name, now=now, alive=at_work, why=UNHEARD
            )
        except (NightrankError, OSError):  # settings or a disk: the next refresh tells
            return
        if marked is None:
            return
        self._is_unclear = False
        if self._served[0].flow.name in marked:
            self._missed = self._missed or now

    async def _begin_again(self, client: PrefectClient, *, now: datetime) -> None:
        """Begin a refresh where the last one failed for the machine's or a store's sake, after a wait."""
        runs = await client.read_flow_runs(
            deployment_filter=self._night,
            flow_run_filter=FlowRunFilter(start_time=FlowRunFilterStartTime(is_null_=False)),
            sort=FlowRunSort.START_TIME_DESC,
            limit=RUNS_LOOKED_AT,
        )
        due = due_again([ran(run) for run in runs])
        if due is not None and due <= now and not await self._is_paused(client):
            await self._begin(client, AGAIN, key=str(runs[0].id))

    async def _is_paused(self, client: PrefectClient) -> bool:
        """Whether somebody paused the night, or all of its schedules."""
        deployment = await client.read_deployment(self._ids[0])
        schedules = deployment.schedules
        return deployment.paused or (bool(schedules) and not any(schedule.active for schedule in schedules))

    async def _begin(self, client: PrefectClient, tag: str, *, key: str) -> None:
        """Begin a refresh; the same key begins none twice, among all deployments of the flow that the server has."""
        once = f"{tag} {self._ids[0]} {key}"
        await client.create_flow_run_from_deployment(self._ids[0], tags=[tag], idempotency_key=once)

    @property
    def _night(self) -> DeploymentFilter:
        return DeploymentFilter(id=DeploymentFilterId(any_=[self._ids[0]]))


async def planned(served: Served, *, since: datetime, until: datetime) -> list[datetime]:
    """When a flow was to begin by its cron after one time and up to another; the first thousand."""
    from prefect.server.schemas.schedules import CronSchedule

    if served.cron is None:
        return []
    schedule = CronSchedule(cron=served.cron, timezone=served.timezone)
    starts = await schedule.get_dates(n=STARTS_COUNTED, start=since, end=until)
    return [start for start in starts if since < start <= until]


def ran(run: FlowRun) -> Ran:
    """What a run says of whether another one may end well."""
    tags, state = run.tags or [], run.state
    ended = run.end_time if state is not None and state.is_failed() else None
    return Ran(may_pass=MACHINE_FAILED in tags and ended is not None, ended=ended, on_change=ON_CHANGE in tags)


def _is_busy(night: Served) -> bool:
    """Whether a run holds the workspace; one that cannot be asked is told by the refresh itself."""
    try:
        with load_settings(night.settings_file).workspace.writing(now=datetime.now(UTC), tidy=False):
            return False
    except WorkspaceBusy:
        return True
    except (NightrankError, OSError):
        return False
