"""A run whose process was killed is marked as crashed by the next one, and people hear of it once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.states import Running

from nightrank.flows.engine.abandoned import mark_dead_runs
from nightrank.flows.operate.prune import prune
from nightrank.flows.refresh import refresh
from nightrank.flows.schedule.plan import Served
from nightrank.flows.settings_file import load_settings
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.flows.engine.test_notify import save_block, told_by
from tests.support.listening import listening

if TYPE_CHECKING:
    from tests.support.collection import Collection

HOLDER = {"pid": 7, "host": "night-1", "since": "2026-01-02T02:00:00+00:00"}


def killed_night(collection: Collection) -> str:
    """A run that Prefect takes for running, and the lock that a killed process leaves; the run's id."""
    with get_client(sync_client=True) as client:
        parameters = {"settings_file": str(collection.settings_file)}
        run = client.create_flow_run(refresh, parameters=parameters, state=Running())
    collection.workspace.mkdir(exist_ok=True)
    (collection.workspace / ".lock").write_text(json.dumps({**HOLDER, "run": str(run.id)}))
    return str(run.id)


def state_of(run: str) -> str:
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(UUID(run)).state
    assert state is not None
    return f"{state.name}: {state.message}"


@pytest.mark.long
def test_the_next_night_marks_a_killed_one_as_crashed_and_tells_of_it_once(
    prefect_api: str, collection: Collection
) -> None:
    with listening() as (url, reported):
        save_block("ops", url)
        told_by(collection, "custom-webhook/ops")
        run = killed_night(collection)

        refresh(str(collection.settings_file))
        refresh(str(collection.settings_file))

    killed = "Its process was killed, or its machine went down (process 7 on night-1, since 2026-01-02T02:00:00+00:00)"
    assert state_of(run) == f"Crashed: {killed}; it told nobody."
    [message] = reported
    assert message["subject"] == "Nightrank: refresh of project/workspace crashed"
    assert f"Why: {killed}" in message["body"]


def test_as_a_schedule_begins_runs_whose_process_is_gone_give_their_place_back(
    prefect_api: str, collection: Collection
) -> None:
    name, now = collection.folder.parent.name, datetime(2026, 1, 3, tzinfo=UTC)
    collection.write()
    configuration = load_settings(collection.settings_file)
    served = Served(prune, name, "", collection.settings_file, cron=None, timezone="UTC")
    deployment = cast("UUID", served.deployment().apply())  # a coroutine is what it is for callers that are coroutines
    with get_client(sync_client=True) as client:
        run = str(client.create_flow_run_from_deployment(deployment, state=Running()).id)

    with configuration.workspace.writing(now=now):
        mark_dead_runs(load_settings(collection.settings_file), deployment=name, now=now)
    assert state_of(run).startswith("Running")

    mark_dead_runs(configuration, deployment=name, now=now)
    assert state_of(run).startswith("Crashed: Its process was killed")


def test_a_lock_of_a_run_that_the_server_does_not_know_stops_nobody(prefect_api: str, published: Collection) -> None:
    lock = published.workspace / ".lock"
    lock.write_text(json.dumps({**HOLDER, "run": str(uuid4())}))

    prune(str(published.settings_file))

    assert not lock.exists()


def test_who_has_no_run_leaves_a_killed_one_to_the_next_who_has(collection: Collection) -> None:
    workspace, now = FolderWorkspace(collection.workspace), datetime(2026, 1, 3, tzinfo=UTC)
    workspace.root.mkdir()
    (workspace.root / ".lock").write_text(json.dumps({**HOLDER, "run": "killed"}))

    with workspace.writing(now=now):
        pass
    with workspace.writing(now=now, run="next") as abandoned:
        assert abandoned is not None
        assert abandoned.run == "killed"
    with workspace.writing(now=now, run="after") as none:
        assert none is None
