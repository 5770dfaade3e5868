"""Runs whose process was killed: nobody but the next run can say so, for a process that is gone tells nothing.

Whoever gets the lock of a workspace knows that the run which held it before, and never gave it back, is dead. Prefect
would show that one as running for ever.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_logger
from prefect.states import Crashed

from nightrank.flows.engine.names import if_reachable, workspace_name
from nightrank.flows.engine.notify import message_of, send
from nightrank.storage.errors import NightrankError

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, State

    from nightrank.flows.settings_file import Configuration
    from nightrank.storage.workspace.locks import Abandoned
    from nightrank.tasks.settings.whole import Settings

HOLDING = ("refresh", "prune")  # flows that hold their workspace for all of their work
KILLED = "Its process was killed, or its machine went down ({holder}); it told nobody."
UNHEARD = (
    "It ended or was killed while Prefect's server was away ({holder}); `nightrank releases` says what it came to."
)


def this_run() -> str | None:
    """The id of the flow run at work; None outside of one."""
    context = FlowRunContext.get()
    return None if context is None or context.flow_run is None else str(context.flow_run.id)


def tell_of_abandoned(abandoned: Abandoned | None, settings: Settings, *, base: Path) -> None:
    """Mark a run whose process is gone as crashed, and tell people of it; does nothing outside a flow run.

    Args:
        abandoned: It; None where the lock was given back.
        settings: Of the workspace.
        base: What their paths are relative to.
    """
    if abandoned is None or FlowRunContext.get() is None:
        return
    with if_reachable(), get_client(sync_client=True) as client:
        try:
            run = client.read_flow_run(UUID(abandoned.run))
        except (ObjectNotFound, ValueError):  # another server's, or removed
            return
        mark_crashed(client, run, settings, base=base, why=KILLED.format(holder=abandoned.holder))


def mark_dead_runs(
    configuration: Configuration,
    *,
    deployment: str,
    now: datetime,
    alive: Collection[UUID] = (),
    why: str = KILLED,
) -> list[str] | None:
    """Mark the runs of a deployment that hold a workspace as they work, where nobody holds it: what began them is gone.

    Prefect lets no other run of theirs begin for five minutes otherwise. While somebody does hold it, a run may have
    outlived what began it, and all are left alone.

    Args:
        configuration: Settings, and so the workspace.
        deployment: Name of the deployments.
        now: When this is.
        alive: Runs whose processes are known to live, whether or not they have come to hold it.
        why: What is told of the others, with ``{holder}`` for when each began.

    Returns:
        The names of the flows whose runs were marked; None where somebody holds it.
    """
    flows, names = FlowFilter(name=FlowFilterName(any_=[*HOLDING])), DeploymentFilterName(any_=[deployment])
    unended = FlowRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING, StateType.CANCELLING])
    with (
        suppress(NightrankError),
        configuration.workspace.writing(now=now, tidy=False),
        get_client(sync_client=True) as client,
    ):
        runs = client.read_flow_runs(
            flow_filter=flows,
            deployment_filter=DeploymentFilter(name=names),
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=unended)),
        )
        marked = []
        for run in runs:
            if run.id in alive:
                continue
            holder = f"begun {run.start_time:%Y-%m-%d %H:%M} UTC" if run.start_time else "not begun"
            told = why.format(holder=holder)
            mark_crashed(client, run, configuration.settings, base=configuration.base, why=told)
            marked.append(client.read_flow(run.flow_id).name)
        return marked
    return None


def mark_crashed(client: SyncPrefectClient, run: FlowRun, settings: Settings, *, base: Path, why: str) -> None:
    """Mark a run as crashed, unless it has ended in another way; people are told of it the one time that it is marked.

    Args:
        client: Of the server.
        run: As the server has it.
        settings: Of its workspace.
        base: What their paths are relative to.
        why: What is known of it.
    """
    if run.state is None or run.state.is_final():
        return
    state: State[object] = Crashed(message=why)
    client.set_flow_run_state(run.id, state, force=True)
    workspace = workspace_name(settings.workspace, base=base)
    message = message_of(client.read_flow(run.flow_id).name, run, state, workspace=workspace)
    for failure in send(message, settings.notify.blocks):
        get_logger("nightrank").warning("%s", failure)
