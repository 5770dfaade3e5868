"""Hints that something may have changed: file system events where these tell, else the source is listed now and then.

Whether anything has changed is seen by listing (``source``), so a hint that was none costs a listing, and an event
that got lost is found by the next listing. Events are those of Rust's notify, through watchfiles.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from nightrank.storage.errors import reason_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence

MOUNTS = Path("/proc/self/mountinfo")
# File systems whose changes elsewhere no event tells of.
REMOTE = frozenset(
    {
        *("9p", "afs", "beegfs", "ceph", "cifs", "fuse", "glusterfs", "gpfs", "lustre"),
        *("ncpfs", "nfs", "nfs4", "prl_fs", "smb3", "smbfs", "vboxsf", "virtiofs"),
    }
)
FUSE = "fuse."
LOOK_EVERY_MS = 1000  # whether a folder is still the one that is watched
BETWEEN_LISTINGS = 10  # times as long, where events tell


class Source(Protocol):
    """What is watched; ``source.WatchedSource`` is one."""

    def state(self) -> str:
        """A digest of what is there."""
        ...

    def folders(self) -> Sequence[Path]:
        """Where file system events tell of changes; none where they do not."""
        ...

    def left_out(self) -> Collection[Path]:
        """Folders and files below these that are no part of it, such as the workspace: resolved."""
        ...


class Means(NamedTuple):
    """How changes are noticed.

    Attributes:
        folders: Where events tell of them; none: the source is listed.
        why: Why it is listed; empty where there are events.
    """

    folders: Sequence[Path]
    why: str

    def __str__(self) -> str:
        return "file system events" if self.folders else f"listing it ({self.why})"


def means_of(folders: Sequence[Path], *, mounts: Path = MOUNTS) -> Means:
    """How changes in some folders are noticed.

    Args:
        folders: Of the source; none where it is elsewhere.
        mounts: Linux's table of mounted file systems; where there is none, events are taken to tell.
    """
    if not folders:
        return Means((), "it is no folder here")
    for folder in folders:
        if not folder.is_dir():
            return Means((), f"{folder} is no folder")
        kind = file_system_of(folder.resolve(), mounts)
        if kind in REMOTE or kind.startswith(FUSE):
            return Means((), f"no event tells of others' changes on {kind}")
    return Means(folders, "")


def file_system_of(folder: Path, mounts: Path) -> str:
    """The kind of file system that a folder is on, as Linux calls it; empty where that is not known."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    kinds: dict[Path, str] = {}  # a later mount hides an earlier one of the same place
    for line in lines:
        before, _, behind = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) > 4 and behind:
            kinds[Path(fields[4].encode().decode("unicode_escape"))] = behind.split(" ", 1)[0]
    return next((kinds[place] for place in (folder, *folder.parents) if place in kinds), "")


async def hints(
    means: Means, source: Source, poll_seconds: float, *, tell: Callable[[str], None]
) -> AsyncIterator[None]:
    """Comes each time that something may have changed; until it is cancelled, or the source is in other folders.

    Args:
        means: How that is noticed.
        source: What is watched.
        poll_seconds: Between two listings; where events tell, ``BETWEEN_LISTINGS`` times as long.
        tell: Told why events cannot be had.
    """
    noticed, is_listed = asyncio.Event(), not means.folders
    seconds, left_out = poll_seconds * (BETWEEN_LISTINGS if means.folders else 1), source.left_out()
    listing = asyncio.create_task(_listings(source, noticed, seconds))
    events = asyncio.create_task(_events(means.folders, left_out, noticed))
    try:
        while True:
            await noticed.wait()
            noticed.clear()
            if events.done() and not is_listed:  # of notify: no watch is left, say
                error = events.exception()
                why = reason_of(error) if isinstance(error, Exception) else "nothing is watched"
                tell(f"There are no file system events; the documents are listed every {poll_seconds:g} s: {why}")
                is_listed = True
                listing.cancel()
                listing = asyncio.create_task(_listings(source, noticed, poll_seconds))
            yield
            if await asyncio.to_thread(_is_elsewhere, source, means.folders):
                return
    finally:
        for task in (listing, events):
            task.cancel()
        await asyncio.gather(listing, events, return_exceptions=True)


async def _events(folders: Sequence[Path], left_out: Collection[Path], noticed: asyncio.Event) -> None:
    """Notice what file system events tell; ends, noticed, where they cannot be had."""
    from watchfiles import awatch

    inside = [str(folder) for folder in left_out]

    def is_of_the_source(_change: object, path: str) -> bool:
        return not any(path == folder or path.startswith(f"{folder}{os.sep}") for folder in inside)

    try:
        while folders:
            watched = [_identity(folder) for folder in folders]
            async for changes in awatch(
                *(folder.resolve() for folder in folders),
                watch_filter=is_of_the_source,
                force_polling=False,
                ignore_permission_denied=True,
                rust_timeout=LOOK_EVERY_MS,
                yield_on_timeout=True,
            ):
                if changes:
                    noticed.set()
                if [_identity(folder) for folder in folders] != watched:
                    break  # another folder has this name now, or none: events go on telling of the one that was
            noticed.set()
            while not all(folder.is_dir() for folder in folders):
                await asyncio.sleep(LOOK_EVERY_MS / 1000)
    finally:
        noticed.set()


def _is_elsewhere(source: Source, folders: Sequence[Path]) -> bool:
    """Whether the settings name other folders now than those that are watched."""
    try:
        return list(source.folders()) != list(folders)
    except Exception:  # settings that are broken at the moment: why, the next look tells
        return False


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


async def _listings(source: Source, noticed: asyncio.Event, seconds: float) -> None:
    before = await _listed(source)
    while True:
        await asyncio.sleep(seconds)
        now = await _listed(source)
        if now != before:
            noticed.set()
        before = now


async def _listed(source: Source) -> str:
    """The state; why it cannot be seen, where it cannot: that, too, is a change, which the watcher looks into."""
    try:
        return await asyncio.to_thread(source.state)
    except Exception as error:
        return reason_of(error)
