"""Locks of a workspace in a folder: one writer, and who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError, WorkspaceBusy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path


@contextmanager
def held(path: Path, *, what: str, now: datetime) -> Iterator[None]:
    """Hold a lock file, which is there while it is held.

    Args:
        path: The file.
        what: It stands for, for people.
        now: When it begins, for whoever finds it held.

    Raises:
        WorkspaceBusy: Another process holds it; the message says which.
    """
    descriptor = _acquire(path, what=what)
    try:
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": now.isoformat(timespec="seconds")}
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(holder).encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path, *, what: str) -> int:
    """Open and lock the file at ``path``; a lock on a file that has been removed meanwhile is tried again."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:  # the last writer removed the empty workspace in between
            continue
        except OSError as error:
            message = f"{path.parent} cannot be written: {error.strerror}."
            raise InputError(message, remedy="Choose another `workspace` in the settings.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 1000, 0).decode(errors="replace")
            os.close(descriptor)
            message = f"Another process holds {what}: {holder or 'it has just started'}."
            raise WorkspaceBusy(message, remedy="Wait for it to end, or stop it.") from error
        try:
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:  # noqa: PTH116 (its twin takes a descriptor)
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)
