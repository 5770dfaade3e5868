"""A lease: the right to write for a while, kept in an object store and renewed as long as its holder lives.

Its object is made, renewed, taken over and given back by conditional writes alone, so that of two who want it one gets
it. A holder that falls silent loses it when its time is over. It learns of that when it asks: by its clock with
:meth:`Lease.check`, before each write, and from the store with :meth:`Lease.renew`, before those that others would see.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from contextlib import suppress
from dataclasses import replace
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Self

from nightrank.storage.bucket.store import Remote
from nightrank.storage.errors import MachineError, NightrankError, WorkspaceBusy

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from nightrank.storage.bucket.store import Version

TOLD = ("pid", "host", "since", "run")  # of a holder, once it is gone
RENEWALS = 3  # in the time of a lease, so that two may fail


class Lease:
    """A lease that this process holds; a context manager, which gives it back.

    Args:
        remote: Where.
        key: Of its object.
        what: It stands for, for people.
        owner: Who is known never to hold it twice: an earlier holder of this name is gone, however it ended.
        since: When it begins, for whoever finds it held.
        clock: Seconds since the epoch; those of all who want the lease should agree within seconds.
        run: Whose it is. Who has no run leaves the run of an earlier holder, who never gave it back, to the next.

    Attributes:
        left: What an earlier holder, who never gave it back, said of itself; nothing where there is none.

    Raises:
        WorkspaceBusy: Somebody else holds it; the message says who.
    """

    def __init__(
        self,
        remote: Remote,
        key: str,
        *,
        what: str,
        owner: str,
        since: str,
        clock: Callable[[], float],
        run: str | None = None,
    ) -> None:
        self._key, self._what, self._clock = key, what, clock
        self._seconds = seconds = remote.options.lease_seconds
        # A renewal that is tried again for longer than until the next one is due comes too late.
        self._remote = Remote(remote.url, replace(remote.options, retry_seconds=seconds / RENEWALS))
        self._holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since, "owner": owner}
        self._run = run
        self.left: dict[str, Any] = {}
        self._ended, self._writing = Event(), Lock()
        self._expires = 0.0
        self._replaced: Version | None = None
        self._version = self._take(owner)
        self._thread = Thread(target=self._renew_for_ever, name=f"lease of {key}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._version is not None:
            with suppress(NightrankError):  # it ends by itself
                kept = self.left if self._run is None else {}
                free = {name: kept[name] for name in TOLD if name in kept} | {"free": True}
                self._remote.write_if(self._key, json.dumps(free).encode(), seen=self._version)

    def require_conditions(self) -> None:
        """See that the store keeps the conditions of writes, without which it can be held twice.

        Raises:
            InputError: It does not.
        """
        with self._writing:
            self._remote.require_conditions(self._key, replaced=self._replaced)

    def check(self) -> None:
        """See that it is still held.

        Raises:
            MachineError: It has been lost, or cannot be known to be held.
        """
        if self._version is None or self._clock() >= self._expires:
            raise self._lost()

    def renew(self) -> None:
        """See in the store, and not by the clock, that it is still held, and begin its time anew.

        Raises:
            MachineError: It has been lost, or the store cannot be reached.
        """
        with self._writing:
            if self._version is not None:
                self._version = self._write(self._version)
            if self._version is None:
                raise self._lost()

    def _take(self, owner: str) -> Version | None:
        found = self._remote.read(self._key)
        seen = None
        if found is not None:
            held, seen = record_of(found[0]), found[1]
            expires = held.get("expires")
            if held.get("owner") != owner and isinstance(expires, int | float) and expires > self._clock():
                raise self._busy(held)
            self.left = held
        self._replaced = seen
        version = self._write(seen)
        if version is None:
            now = self._remote.read(self._key)
            raise self._busy({} if now is None else record_of(now[0]))
        return version

    def _write(self, seen: Version | None) -> Version | None:
        """Write the holder's record over what was seen; None where somebody else has written."""
        expires = self._clock() + self._seconds
        record = {**self._holder, "expires": expires, "writing": uuid.uuid4().hex}
        if self._run is not None:
            record["run"] = self._run
        version = self._remote.write_if(self._key, json.dumps(record).encode(), seen=seen)
        if version is not None:
            self._expires = expires
        return version

    def _renew_for_ever(self) -> None:
        while not self._ended.wait(self._seconds / RENEWALS):
            with suppress(NightrankError):  # the store cannot be reached: once more before it ends
                self.renew()
            if self._version is None:
                return

    def _lost(self) -> MachineError:
        message = f"This process held {self._what} and lost it: it did not answer for {self._seconds:g} seconds."
        return MachineError(message, remedy="Another process may have gone on with the work; run again.")

    def _busy(self, held: dict[str, Any]) -> WorkspaceBusy:
        told = {name: held[name] for name in ("pid", "host", "since") if name in held}
        message = f"Another process holds {self._what}: {json.dumps(told) if told else 'it has just started'}."
        remedy = f"Wait for it to end, or stop it; what it holds is free {self._seconds:g} seconds after it died."
        return WorkspaceBusy(message, remedy=remedy)


def record_of(data: bytes) -> dict[str, Any]:
    """What a lease's object says of its holder, ``expires`` in seconds since the epoch; nothing where it is free."""
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
