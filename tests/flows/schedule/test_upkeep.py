"""What a schedule looks after, on a real server: flows that it lost, nights that were due, nights that failed."""

from __future__ import annotations

import asyncio
import errno
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Completed, Failed, Running, Scheduled

from nightrank.flows.engine.names import AGAIN, MACHINE_FAILED, MISSED
from nightrank.flows.refresh import refresh
from nightrank.flows.schedule.again import FIRST_WAIT
from nightrank.flows.schedule.plan import Served
from nightrank.flows.schedule.upkeep import Upkeep, _is_busy, planned
from nightrank.flows.settings_file import load_settings

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.schemas.objects import FlowRun, State
    from prefect.deployments.runner import RunnerDeployment

    from tests.support.collection import Collection

EVERY_MINUTE = "* * * * *"


class Schedule:
    """A schedule of the night alone, and what it says."""

    def __init__(self, collection: Collection, cron: str | None = EVERY_MINUTE) -> None:
        collection.write()
        self.night = Served(refresh, collection.folder.parent.name, "", collection.settings_file, cron, "UTC")
        self.told: list[str] = []
        deployment = self.night.deployment()
        self.ids = [cast("UUID", deployment.apply())]
        self.upkeep = Upkeep([self.night], [deployment], self.ids, register=self.register, tell=self.told.append)

    async def register(self, deployment: RunnerDeployment) -> UUID:
        self.ids = [await deployment.aapply()]
        return self.ids[0]

    def look(self, *, away_seconds: float = 0.0, at_work: frozenset[UUID] = frozenset()) -> None:
        async def look() -> None:
            since = datetime.now(UTC) - timedelta(seconds=max(away_seconds, 1.0))
            async with get_client() as client:
                await self.upkeep.look(client, since=since, was_away=away_seconds > 0.0, at_work=at_work)

        asyncio.run(look())

    def runs(self, tag: str | None = None) -> list[FlowRun]:
        with get_client(sync_client=True) as client:
            found = client.read_flow_runs(
                deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=self.ids)),
                sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            )
        return [run for run in found if tag is None or tag in run.tags]

    def has_run(self, *states: State[None], tags: tuple[str, ...] = ()) -> UUID:
        """A run of the night that came to these states, one after the other; its id."""
        with get_client(sync_client=True) as client:
            run = client.create_flow_run_from_deployment(self.ids[0], state=states[0], tags=[*tags])
            for state in states[1:]:
                client.set_flow_run_state(run.id, state, force=True)
        return run.id

    def forget(self) -> None:
        """What a server does that lost its database."""
        with get_client(sync_client=True) as client:
            for run in self.runs():
                client.delete_flow_run(run.id)
            client.delete_deployment(self.ids[0])


@pytest.fixture
def schedule(prefect_api: str, collection: Collection) -> Schedule:
    return Schedule(collection)


def test_flows_that_the_server_lost_are_registered_again_and_one_refresh_makes_up_for_all_that_were_due(
    schedule: Schedule,
) -> None:
    schedule.look()
    assert schedule.told == []
    before = schedule.ids[0]
    schedule.forget()

    schedule.look(away_seconds=300.0)
    schedule.look()

    assert schedule.ids[0] != before
    lost, due = schedule.told
    assert lost.startswith(
        "Prefect's server no longer knew all flows (its database was lost, or somebody removed them)"
    )
    assert due.startswith("Refreshes that were due meanwhile: 5 (")
    assert len(schedule.runs(MISSED)) == 1


def test_nothing_is_made_up_where_nothing_was_due_and_a_schedule_that_somebody_paused_is_left_alone(
    prefect_api: str, collection: Collection
) -> None:
    yearly = Schedule(collection, cron="0 0 29 2 *")
    yearly.forget()
    yearly.look(away_seconds=300.0)
    assert [line.partition(" (")[0] for line in yearly.told] == ["Prefect's server no longer knew all flows"]

    paused = Schedule(collection)
    with get_client(sync_client=True) as client:
        client.pause_deployment(paused.ids[0])
    paused.look(away_seconds=300.0)

    assert paused.told == []
    assert [*yearly.runs(MISSED), *paused.runs(MISSED)] == []


def test_a_run_that_the_server_still_has_is_the_one_that_makes_up(schedule: Schedule) -> None:
    late = schedule.has_run(Scheduled(scheduled_time=datetime.now(UTC) - timedelta(seconds=100)))

    schedule.look(away_seconds=300.0)

    [due] = schedule.told
    assert due.startswith("Refreshes that were due meanwhile: ")
    assert schedule.runs(MISSED) == []
    assert late in {run.id for run in schedule.runs()}


def test_a_run_that_was_begun_just_before_makes_up_for_nothing_that_was_due_later(schedule: Schedule) -> None:
    schedule.has_run(Running(), Completed())
    begun = datetime.now(UTC)

    async def count() -> None:
        async with get_client() as client:
            for _ in range(2):  # the server went away again before all was looked after
                await schedule.upkeep._count_missed(
                    client, since=begun - timedelta(minutes=3), now=begun + timedelta(minutes=5)
                )

    with get_client(sync_client=True) as client:
        for run in schedule.runs():  # but for that one, the server has none
            if run.start_time is None:
                client.delete_flow_run(run.id)
    asyncio.run(count())
    schedule.look()

    [due] = schedule.told
    assert due.startswith("Refreshes that were due meanwhile: 5 (")
    assert len(schedule.runs(MISSED)) == 1


def test_settings_that_cannot_be_read_keep_no_refresh_from_being_begun(schedule: Schedule) -> None:
    schedule.forget()
    schedule.night.settings_file.write_text("[")

    schedule.look(away_seconds=300.0)

    assert len(schedule.runs(MISSED)) == 1  # which tells what is wrong


def test_while_a_run_holds_the_workspace_nothing_is_made_up(schedule: Schedule) -> None:
    schedule.forget()
    with load_settings(schedule.night.settings_file).workspace.writing(now=datetime.now(UTC)):
        schedule.look(away_seconds=300.0)
        assert schedule.runs(MISSED) == []

    schedule.look()

    assert len(schedule.runs(MISSED)) == 1


def test_a_run_that_ended_while_the_server_was_away_is_marked_and_made_up_and_one_that_works_is_left_alone(
    prefect_api: str, collection: Collection
) -> None:
    schedule = Schedule(collection, cron=None)
    unheard, works = schedule.has_run(Running()), schedule.has_run(Running())

    schedule.look(away_seconds=300.0, at_work=frozenset({works}))

    told = {run.id: f"{run.state.name}: {run.state.message}" for run in schedule.runs() if run.state is not None}
    assert told[works].startswith("Running")
    assert told[unheard].startswith("Crashed: It ended or was killed while Prefect's server was away")
    assert len(schedule.runs(MISSED)) == 1


@pytest.mark.parametrize("tags", [(MACHINE_FAILED,), (MACHINE_FAILED, AGAIN), ()])
def test_a_refresh_that_failed_for_the_machines_sake_is_begun_again_once_after_a_wait(
    prefect_api: str, collection: Collection, monkeypatch: pytest.MonkeyPatch, tags: tuple[str, ...]
) -> None:
    schedule = Schedule(collection, cron=None)
    failed = schedule.has_run(Running(), Failed(), tags=tags)
    schedule.look()
    assert [run.id for run in schedule.runs()] == [failed]
    monkeypatch.setattr("nightrank.flows.schedule.again.FIRST_WAIT", -FIRST_WAIT)  # the wait is over

    schedule.look()
    schedule.look()

    begun = [run for run in schedule.runs() if run.id != failed]
    assert len(begun) == (MACHINE_FAILED in tags)
    if begun:
        assert AGAIN in begun[0].tags
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(begun[0].id, Running(), force=True)
            client.set_flow_run_state(begun[0].id, Completed(), force=True)
        schedule.look()
        assert len(schedule.runs()) == 2


def test_nothing_is_begun_again_while_the_schedule_is_paused(
    prefect_api: str, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = Schedule(collection)
    schedule.has_run(Running())  # which dies
    schedule.has_run(Running(), Failed(), tags=(MACHINE_FAILED,))
    monkeypatch.setattr("nightrank.flows.schedule.again.FIRST_WAIT", -FIRST_WAIT)
    with get_client(sync_client=True) as client:
        client.pause_deployment(schedule.ids[0])

    schedule.look(away_seconds=300.0)
    assert [*schedule.runs(AGAIN), *schedule.runs(MISSED)] == []

    with get_client(sync_client=True) as client:
        client.resume_deployment(schedule.ids[0])
    schedule.look()
    assert [len(schedule.runs(tag)) for tag in (MISSED, AGAIN)] == [1, 1]


def test_planned_starts_are_those_of_the_cron_in_its_time_zone(collection: Collection) -> None:
    night = Served(refresh, "shop", "", collection.settings_file, "0 2 * * *", "Europe/Berlin")
    since, until = datetime(2026, 7, 1, 0, 0, tzinfo=UTC), datetime(2026, 7, 3, 0, 0, tzinfo=UTC)

    starts = asyncio.run(planned(night, since=since, until=until))

    assert [start.astimezone(UTC) for start in starts] == [datetime(2026, 7, day, 0, 0, tzinfo=UTC) for day in (2, 3)]


def test_a_disk_that_is_full_is_no_busy_workspace(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    collection.write()
    night = Served(refresh, "shop", "", collection.settings_file, None, "UTC")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("nightrank.storage.workspace.locks._write", full)
    assert not _is_busy(night)
