"""Telling people what went wrong: the notification blocks of ``[notify]``, called as a run ends badly.

A hook runs where the run was, or in the worker where its process is gone. What cannot be told is logged, and
changes nothing of the run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.logging import get_logger
from prefect.utilities.urls import url_for

from nightrank.flows.engine.names import AGAIN, MACHINE_FAILED, if_reachable, workspace_name
from nightrank.flows.settings_file import read_settings
from nightrank.storage.errors import InputError, MachineError, NightrankError
from nightrank.storage.foreign import machine_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun, State


class Message(NamedTuple):
    """A message: one line, and what is below it."""

    subject: str
    body: str


def notify(flow: Flow[..., object], flow_run: FlowRun, state: State[object]) -> None:
    """Tell the blocks of the run's settings how it ended: a hook of Prefect's.

    A refresh that a schedule began again since the machine failed, and that met the same, is no news.
    """
    logger = get_logger("nightrank")
    if AGAIN in flow_run.tags and _machine_failed(state):
        logger.warning("The machine or a store still fails; people were told the first time.")
        return
    settings_file = Path(str(flow_run.parameters.get("settings_file", "nightrank.toml")))
    try:
        settings = read_settings(settings_file)  # and not its workspace, which may be what failed
    except InputError as error:
        logger.warning("Nobody was told: %s", error.message)
        return
    blocks = settings.notify.blocks
    if blocks:
        workspace = workspace_name(settings.workspace, base=settings_file.resolve().parent)
        message = message_of(flow.name, flow_run, state, workspace=workspace)
        for failure in send(message, blocks):
            logger.warning("%s", failure)


def tag_machine_failure(flow: Flow[..., object], flow_run: FlowRun, state: State[object]) -> None:  # noqa: ARG001 (Prefect's names)
    """Have a run that failed for the machine's or a store's sake say so by its tags: a hook of Prefect's."""
    if _machine_failed(state):
        with if_reachable(), get_client(sync_client=True) as client:
            tags = client.read_flow_run(flow_run.id).tags
            client.update_flow_run(flow_run.id, tags=[*dict.fromkeys([*tags, MACHINE_FAILED])])


def message_of(flow: str, flow_run: FlowRun, state: State[object], *, workspace: str) -> Message:
    """How a run ended, for people.

    Args:
        flow: Its flow's name.
        flow_run: The run.
        state: The one it ended in.
        workspace: Its name.
    """
    error = _error(state)
    lines = [f"Workspace: {workspace}"]
    what = "cancelled" if state.is_cancelling() else state.type.value.lower()
    if isinstance(error, NightrankError):
        what = error.outcome or what
        lines += error.details
        lines += [f"What to do: {error.remedy}"] if error.remedy else []
    else:
        lines.append(f"Why: {state.message or 'not known'}")
    lines.append(f"Run: {flow_run.name}")
    if (address := url_for(flow_run)) is not None:
        lines.append(address)
    return Message(f"Nightrank: {flow} of {workspace} {what}", "\n".join(lines))


def send(message: Message, blocks: Sequence[str]) -> list[str]:
    """Send a message by each of these blocks.

    Args:
        message: What to send.
        blocks: As type/name.

    Returns:
        Why some could not send it, a line each.
    """
    failures = []
    for name in blocks:
        try:
            block = Block.load(name)
            if not isinstance(block, NotificationBlock):
                failures.append(f"The block {name} was not called: it is not a notification block.")
                continue
            cast("Callable[..., None]", block.notify)(message.body, subject=message.subject)
        except Exception as error:  # whatever keeps a message from being sent, the run is what it is
            failures.append(f"The block {name} did not send the message: {type(error).__name__}: {error}")
    return failures


def _machine_failed(state: State[object]) -> bool:
    error = _error(state)
    return isinstance(error, BaseException) and (isinstance(error, MachineError) or machine_error(error) is not None)


def _error(state: State[object]) -> object:
    """The error that a run ended with, where this is the process that ran it."""
    try:
        return state.result(raise_on_failure=False)
    except Exception:  # it is not here any more, or was never stored: the state's message has its words
        return None
