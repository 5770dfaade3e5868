"""Locks of a workspace in a folder: one writer, and who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError, MachineError, WorkspaceBusy
from nightrank.storage.foreign import passing_failure
from nightrank.storage.places import naming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

ELSEWHERE = "Choose another `workspace` in the settings."
PATIENCE_SECONDS = 120.0  # for what is held for moments
PAUSE_SECONDS = 0.1
TRIES = 100  # as many writers in turn may remove an empty workspace while one waits for its lock


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A run that held a lock and ended without giving it back.

    Attributes:
        run: Its id, where it had one.
        holder: Who it was, for people.
    """

    run: str
    holder: str


def abandoned_by(held: Mapping[str, object]) -> Abandoned | None:
    """The run of a holder who is gone; None where that was none.

    >>> abandoned_by({"pid": 7, "host": "a", "since": "2026-01-02T02:00:00+00:00", "run": "f00"})
    Abandoned(run='f00', holder='process 7 on a, since 2026-01-02T02:00:00+00:00')
    """
    run = held.get("run")
    if not isinstance(run, str):
        return None
    return Abandoned(run, f"process {held.get('pid')} on {held.get('host')}, since {held.get('since')}")


@contextmanager
def held(
    path: Path, *, what: str, now: datetime, remedy: str = ELSEWHERE, run: str | None = None
) -> Iterator[Abandoned | None]:
    """Hold a lock file, which is there while it is held; it comes with the run that ended without giving it back.

    Args:
        path: The file.
        what: It stands for, for people.
        now: When it begins, for whoever finds it held.
        remedy: What to do where its folder cannot be made or written.
        run: Whose it is, for whoever finds it abandoned. Who has no run leaves what it finds to the next who has.

    Raises:
        WorkspaceBusy: Another process holds it; the message says which.
        InputError: Its folder cannot be made or written.
        MachineError: The file system gives no locks.
    """
    descriptor = _acquire(path, what=what, remedy=remedy)
    left: bytes | None = None
    try:
        with naming(path):
            found = os.pread(descriptor, 1000, 0)
        abandoned = abandoned_by(_record_of(found))
        if run is None and abandoned is not None:
            left = found
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": now.isoformat(timespec="seconds")}
        with naming(path):
            _write(descriptor, json.dumps(holder if run is None else {**holder, "run": run}).encode())
        yield abandoned
    finally:
        # What was done is done: a file that cannot be removed is locked by nobody, and names nobody.
        with suppress(OSError):
            _write(descriptor, left or b"")
        if left is None:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def waiting_for(take: Callable[[], AbstractContextManager[object]]) -> Iterator[None]:
    """Hold what others hold for moments alone, as soon as it is free.

    Args:
        take: Tries to hold it.

    Raises:
        WorkspaceBusy: It was not free for ``PATIENCE_SECONDS``.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(take())
                break
            except WorkspaceBusy:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(PAUSE_SECONDS)
        yield


def _write(descriptor: int, data: bytes) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, data, 0)


def _record_of(data: bytes) -> dict[str, object]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _acquire(path: Path, *, what: str, remedy: str) -> int:
    """Open and lock the file at ``path``; a lock on a file that has been removed meanwhile is tried again."""
    for _ in range(TRIES):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:  # the last writer removed the empty workspace in between
            continue
        except OSError as error:
            if (told := passing_failure(error)) is not None:
                raise told from error
            message = f"{path.parent} cannot be written: {error.strerror}."
            raise InputError(message, remedy=remedy) from error
        try:
            if _is_locked(descriptor, path, what=what):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    message = f"{path.parent} cannot be made: what it lies in is not there, or goes away again and again."
    raise InputError(message, remedy="See that its disk is mounted, or choose another `workspace` in the settings.")


def _is_locked(descriptor: int, path: Path, *, what: str) -> bool:
    """Lock an open file; False where it is no longer the one at ``path``."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        with naming(path):
            holder = os.pread(descriptor, 1000, 0).decode(errors="replace")
        message = f"Another process holds {what}: {holder or 'it has just started'}."
        raise WorkspaceBusy(message, remedy="Wait for it to end, or stop it.") from error
    except OSError as error:
        message = f"{path.parent} is on a file system that gives no locks ({error.strerror}), so two runs could meet."
        raise MachineError(message, remedy="Mount it with locks, or put the workspace on another disk.") from error
    try:
        with naming(path):
            return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
