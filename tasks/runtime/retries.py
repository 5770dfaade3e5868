"""Faults that pass: a connection that was lost, a server that was slow. Whoever tries again later may well succeed.

Clients of hosted rerankers and of object storage try again by themselves; this is for what they do not cover.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import httpx

from nightrank.storage.errors import NightrankError

if TYPE_CHECKING:
    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun

P = ParamSpec("P")
T = TypeVar("T")

PASSING = frozenset(
    {
        errno.EAGAIN,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.EIO,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EPIPE,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
SECONDS_BETWEEN = (10.0, 60.0)


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: never with our own errors, which say what is wrong and what to do.

    >>> from nightrank.storage.errors import WorkspaceBusy
    >>> [is_transient(error) for error in (ConnectionResetError(), OSError(errno.ENOSPC, ""), WorkspaceBusy("busy"))]
    [True, False, False]
    """
    if isinstance(error, NightrankError):
        return False
    if isinstance(error, ConnectionError | TimeoutError | httpx.TransportError):
        return True
    return isinstance(error, OSError) and error.errno in PASSING


def retried(task: Task[P, T]) -> Task[P, T]:
    """A task that is tried twice more where a fault passes; what it did before must do it no harm.

    Args:
        task: It. As the plain function that it is, it is tried once.
    """
    return task.with_options(
        retries=len(SECONDS_BETWEEN), retry_delay_seconds=list(SECONDS_BETWEEN), retry_condition_fn=_may_pass
    )


def _may_pass(_task: Task[..., object], _run: TaskRun, state: State[object]) -> bool:
    try:
        state.result()
    except Exception as error:
        return is_transient(error)
    return False
