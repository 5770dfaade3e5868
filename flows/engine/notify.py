"""Telling people what went wrong: the notification blocks of ``[notify]``, called as a run ends badly.

A hook runs where the run was, or in the worker where its process is gone. What cannot be told is logged, and
changes nothing of the run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.logging import get_logger
from prefect.utilities.urls import url_for

from nightrank.flows.engine.names import workspace_name
from nightrank.flows.settings_file import read_settings
from nightrank.storage.errors import InputError, NightrankError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun, State


class Message(NamedTuple):
    """A message: one line, and what is below it."""

    subject: str
    body: str


def notify(flow: Flow[..., object], flow_run: FlowRun, state: State[object]) -> None:
    """Tell the blocks of the run's settings how it ended: a hook of Prefect's."""
    logger = get_logger("nightrank")
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


def _error(state: State[object]) -> object:
    """The error that a run ended with, where this is the process that ran it."""
    try:
        return state.result(raise_on_failure=False)
    except Exception:  # it is not here any more, or was never stored: the state's message has its words
        return None
