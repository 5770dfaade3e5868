"""Faults that pass: a connection that was lost, a server that was slow. Whoever tries again later may well succeed.

Clients of hosted rerankers and of object storage try again by themselves; this is for what they do not cover.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NamedTuple

import httpx

from nightrank.storage.errors import NightrankError

if TYPE_CHECKING:
    from collections.abc import Callable

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


class Retry(NamedTuple):
    """When a task is tried again; what it did before must do it no harm.

    Attributes:
        seconds: How long before each further try.
        may_pass: Whether an error may be gone by then.
    """

    seconds: tuple[float, ...]
    may_pass: Callable[[BaseException], bool]


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


RETRIED = Retry((10.0, 60.0), is_transient)
