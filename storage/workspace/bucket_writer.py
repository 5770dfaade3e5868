"""The one writer of a workspace in object storage: its lease, its memos, the pointer that it saw when it began."""

from __future__ import annotations

import logging
import socket
import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

from nightrank.storage.bucket.lease import Lease
from nightrank.storage.errors import reason_of
from nightrank.storage.files.atomic import write_text
from nightrank.storage.memo.parts import SharedMemos
from nightrank.storage.workspace.base import MEMOS, POINTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from nightrank.storage.bucket.store import Remote, Version

LEASE = "lock.json"

_LOG = logging.getLogger(__name__)

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # of Linux

SHARE_SECONDS = 120.0  # between two uploads of what a run has added to memos: what is lost with its machine at most


@contextmanager
def writer_of(
    remote: Remote, root: Path, *, now: datetime, clock: Callable[[], float] = time.time, run: str | None = None
) -> Iterator[Writer]:
    """Be the one writer; local memos hold what is known when it begins, and what is new is uploaded as it ends.

    Args:
        remote: The workspace in the object store.
        root: Its local copy; nobody else writes through it.
        now: When it begins.
        clock: Seconds since the epoch.
        run: Id of the run that writes.

    Raises:
        WorkspaceBusy: Another writer is at work.
        InputError: The store does not keep the conditions of writes.
    """
    root.mkdir(parents=True, exist_ok=True)
    lease = Lease(
        remote,
        LEASE,
        what=f"the workspace {remote.url}",
        owner=owner_of(root),
        since=now.isoformat(timespec="seconds"),
        clock=clock,
        run=run,
    )
    with lease:
        lease.require_conditions()
        found = remote.read(POINTER)
        memos = SharedMemos(remote, root / MEMOS, check=lease.check)
        memos.bring()
        writer = Writer(lease, memos, None if found is None else found[1])
        try:
            yield writer
        except BaseException:
            with suppress(Exception):  # what went wrong before is what people must be told
                writer.end()
            raise
        else:
            writer.end()


class Writer:
    """What the one writer holds.

    Args:
        lease: The right to write.
        memos: Which a thread of this uploads now and then.
        pointer: As it was when the writer began.
    """

    def __init__(self, lease: Lease, memos: SharedMemos, pointer: Version | None) -> None:
        self.lease, self.memos, self.pointer = lease, memos, pointer
        self._stopped = Event()
        self._thread = Thread(target=self._share_for_ever, name="memos", daemon=True)
        self._thread.start()

    def stop_sharing(self) -> None:
        """Have the thread that uploads now and then end."""
        self._stopped.set()
        self._thread.join()

    def end(self) -> None:
        """Upload what is new."""
        self.stop_sharing()
        self.memos.share()

    def _share_for_ever(self) -> None:
        while not self._stopped.wait(SHARE_SECONDS):
            try:
                self.memos.share()
            except Exception as error:  # another time; a thread has nobody to tell
                _LOG.warning("Memos were not uploaded: %s", reason_of(error))


def owner_of(root: Path) -> str:
    """Who this local copy is: the lock in its folder says that no two processes write through it at once.

    The machine and its start are in it, for folders are cloned, and disks moved.
    """
    path = root / ".copy-id"
    if not path.is_file():
        write_text(path, uuid.uuid4().hex)
    start = BOOT_ID.read_text().strip() if BOOT_ID.is_file() else ""
    return f"{path.read_text()} {socket.gethostname()} {start}".strip()
