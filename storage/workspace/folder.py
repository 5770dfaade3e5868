"""A workspace in a folder: its locks of writers and readers."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from nightrank.storage.files.atomic import remove_unfinished
from nightrank.storage.workspace.base import POINTER, STAGING_PREFIX, Workspace
from nightrank.storage.workspace.locks import held

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path


@contextmanager
def writing(workspace: Workspace, *, now: datetime, tidy: bool = True) -> Iterator[Workspace]:
    """Hold the workspace as its one writer.

    The lock is the operating system's, so it ends with the process that holds it, however that ends. In an object store
    there is a lease beside it, for writers on other machines.
    A workspace that this made and that is still empty at the end is removed again.

    Args:
        workspace: Whose writer to be.
        now: When it begins, for whoever finds it held.
        tidy: Remove on entry what killed writers left: staging folders, pointers that were not put in place.

    Raises:
        WorkspaceBusy: Another process holds it; the message says which.
    """
    made_here = not workspace.root.exists()
    try:
        with ExitStack() as stack:
            stack.enter_context(held(workspace.root / ".lock", what=f"the workspace {workspace}", now=now))
            if workspace.origin is not None:
                stack.enter_context(workspace.origin.writing(since=now, tidy=tidy))
            if tidy:
                for abandoned in workspace.releases.glob(f"{STAGING_PREFIX}*"):
                    shutil.rmtree(abandoned)
                remove_unfinished(workspace.root, POINTER)
            yield workspace
    finally:
        if made_here:
            _remove_empty(workspace.releases)
            _remove_empty(workspace.root)


@contextmanager
def reading(workspace: Workspace) -> Iterator[Workspace]:
    """Read LanceDB's tables: no version and no file of theirs is removed meanwhile. Readers hold it together.

    Whoever reads but the writer enters it before it asks for the current release. While files are being removed,
    which takes milliseconds, it waits. The results of a release need it not: an open file survives its removal.
    Where there is no lock yet and this user may not make one, as on a read-only mount, it does without.
    """
    if workspace.origin is not None:
        with workspace.origin.reading():
            yield workspace
        return
    try:
        descriptor = _open_readers_lock(workspace)
    except OSError:  # nor is there one where there is nothing to read
        yield workspace
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield workspace
    finally:
        os.close(descriptor)


@contextmanager
def without_readers(workspace: Workspace) -> Iterator[bool]:
    """Keep readers of LanceDB's tables out, if there are none at this moment; whether it is so. Never waits.

    In an object store they are not kept out: who comes now reads the newest version of a table, for every tag names
    that one when this is asked.
    """
    if workspace.origin is not None:
        yield not workspace.origin.has_readers()
        return
    descriptor = _open_readers_lock(workspace)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except BlockingIOError:
            alone = False
        yield alone
    finally:
        os.close(descriptor)


def make_readers_lock(workspace: Workspace) -> None:
    """Make the lock that readers hold, for those who may not; it is there for good."""
    if (workspace.root / "lance").is_dir():
        os.close(_open_readers_lock(workspace))


def _open_readers_lock(workspace: Workspace) -> int:
    path = workspace.root / "lance" / ".readers"
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)


def _remove_empty(folder: Path) -> None:
    """Remove a folder where it is there and empty; another process may be filling or removing it meanwhile."""
    with suppress(OSError):
        folder.rmdir()
