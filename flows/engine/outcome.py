"""A run's outcome is its own: it is told also where Prefect's server, which only keeps the record, has died meanwhile.

Prefect's engine reports the end of a run to its server before it hands the outcome on. Where nobody answers it tries
for minutes, and then raises in the outcome's place. So what the flow's own code has come to is noted as it ends, the
server is asked once whether it is still there, and where it is not the engine is told to leave the record alone.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import update_wrapper
from types import FunctionType
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

import httpx
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import Abort, ObjectNotFound
from prefect.logging import get_logger
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from nightrank.flows.command import leave_others_unheard
from nightrank.flows.engine.api import LONGEST_ANSWER

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID


P = ParamSpec("P")
R = TypeVar("R")

PATIENCE_OF_PEOPLE = 10.0  # seconds that a person waits for a server that has gone away, once a run's work is done
PATIENCE_OF_SERVICES = 600.0  # and a run that nobody watches, so that a server which is restarted hears of it
BETWEEN_LOOKS = 2.0  # seconds
UNRECORDED = (
    "Prefect's server went away during the run: its pages lack how it ended. What is told here is what was done."
)


@dataclass(slots=True)
class _Ended:
    """How a flow's own code ended: not yet, with a value, or with an error."""

    is_noted: bool = False
    value: object = None
    error: Exception | None = None

    def get(self) -> object:
        if self.error is not None:
            raise self.error
        return self.value


_ENDED: ContextVar[_Ended | None] = ContextVar("ended", default=None)


def noting_outcome(function: Callable[P, R]) -> Callable[P, R]:
    """A flow's code that notes its outcome for :func:`run_flow`, and spares the engine a server that has gone."""

    def noting(*args: P.args, **kwargs: P.kwargs) -> R:
        context = FlowRunContext.get()
        if context is None:
            return function(*args, **kwargs)
        watched = _ENDED.get()
        ended = _Ended() if watched is None else watched
        try:
            ended.value = function(*args, **kwargs)
        except Exception as error:
            ended.error = error
        ended.is_noted = True
        run = None if context.flow_run is None else context.flow_run.id
        if not _records(run, patience=PATIENCE_OF_SERVICES if watched is None else PATIENCE_OF_PEOPLE):
            get_logger("nightrank").warning("%s", UNRECORDED)
            raise Abort(UNRECORDED) from ended.error
        return cast("R", ended.get())

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return noting(*args, **kwargs)

    # Prefect looks up the types of a flow's parameters among the globals of the function that it is given.
    made = FunctionType(call.__code__, function.__globals__, function.__name__, closure=call.__closure__)
    return cast("Callable[P, R]", update_wrapper(made, function))


def run_flow(flow: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a flow for a person, who hears what its own code came to, whatever became of Prefect's record of it.

    Args:
        flow: It.
        *args: Its arguments.
        **kwargs: More of them.

    Raises:
        Exception: What the flow's code raised, or what kept it from being run.
    """
    ended = _Ended()
    token = _ENDED.set(ended)
    try:
        return flow(*args, **kwargs)
    except (Exception, Abort) as error:
        if not ended.is_noted or error is ended.error:
            raise
        leave_others_unheard()
        sys.stderr.write(f"Note: {UNRECORDED}\n")
        return cast("R", ended.get())
    finally:
        _ENDED.reset(token)


def _records(run: UUID | None, *, patience: float) -> bool:
    """Whether Prefect's server is there, looked for during so many seconds, and still has a run.

    One that is too busy is there; one that lost its database knows the run no more.

    Args:
        run: Its id.
        patience: In seconds.
    """
    deadline = time.monotonic() + patience
    while _is_away():
        if time.monotonic() >= deadline:
            return False
        time.sleep(BETWEEN_LOOKS)
    return not _is_forgotten(run)


def _is_forgotten(run: UUID | None) -> bool:
    if run is None:
        return False
    with (
        suppress(httpx.HTTPError),
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
        get_client(httpx_settings={"timeout": LONGEST_ANSWER}, sync_client=True) as client,
    ):
        try:
            client.read_flow_run(run)
        except ObjectNotFound:
            return True
    return False


def _is_away() -> bool:
    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
        get_client(httpx_settings={"timeout": LONGEST_ANSWER}, sync_client=True) as client,
    ):
        return isinstance(client.api_healthcheck(), httpx.TransportError)
