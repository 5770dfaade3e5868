"""The workspace: where everything lies, who may write, and which release readers see.

workspace/
  current.json              the one mutable pointer, replaced atomically
  lance/                    one table of chunks an embedder
  lance/.readers            locked while old versions of a table are read, or removed
  memo/                     pair scores, embeddings of queries
  releases/<release_id>/    immutable, named by its manifest
  releases/.staging-<id>/   a release being built; abandoned ones are removed by the next writer
  models/                   what trainings made; see nightrank.storage.workspace.models

Of a workspace in an object store this folder is a local copy; ``nightrank.storage.workspace.bucket`` says what lies where over there.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import socket
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from nightrank.storage.errors import InputError, MachineError, WorkspaceBusy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime
    from pathlib import Path

    from nightrank.storage.lance.place import LancePlace
    from nightrank.storage.workspace.bucket import Origin

POINTER = "current.json"
STAGING_PREFIX = ".staging-"


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace: the paths of what is in it, and its pointer.

    Args:
        root: Its folder, or that of its local copy; it need not exist yet.
        origin: Where it is, if that is not here.
    """

    root: Path
    origin: Origin | None = None

    def __str__(self) -> str:
        return str(self.root) if self.origin is None else self.origin.remote.url

    @property
    def lance(self) -> LancePlace:
        """Where LanceDB's tables are."""
        from nightrank.storage.lance.place import LanceBucket, LanceFolder

        return LanceFolder(self.root / "lance") if self.origin is None else LanceBucket(self.origin)

    @property
    def memo(self) -> Path:
        """The folder of the memos."""
        return self.root / "memo"

    @property
    def releases(self) -> Path:
        """The folder of the releases."""
        return self.root / "releases"

    @property
    def models(self) -> Path:
        """The folder of trained models."""
        return self.root / "models"

    def release(self, release_id: str, only: Collection[str] | None = None) -> Path:
        """The folder of one release.

        Args:
            release_id: Its id.
            only: The files that will be read, where that is not all of them: no others are brought from elsewhere.
        """
        if self.origin is not None and is_release_id(release_id):
            self.origin.bring_release(release_id, only)
        return self.releases / release_id

    def manifest_of(self, release_id: str) -> bytes | None:
        """The manifest of a release as it was written; None where there is no such release."""
        if not is_release_id(release_id):
            return None
        if self.origin is not None:
            return self.origin.read(f"releases/{release_id}/manifest.json")
        path = self.releases / release_id / "manifest.json"
        return path.read_bytes() if path.is_file() else None

    def release_ids(self) -> list[str]:
        """The ids of all sealed releases, oldest first; a folder without a manifest is no release."""
        if self.origin is not None:
            names = self.origin.release_ids()
        else:
            names = sorted(path.parent.name for path in self.releases.glob("*/manifest.json"))
        return [name for name in names if is_release_id(name)]

    def holds(self, release_id: str, names: Collection[str]) -> bool:
        """Whether all these files of a release are there."""
        if self.origin is not None:
            return self.origin.holds(release_id, names)
        return all((self.releases / release_id / name).is_file() for name in names)

    def adopt(self, release_id: str, staging: Path) -> Path:
        """Make a folder with a whole release in it the release's, in one step as readers see it.

        Returns:
            The folder of the release.
        """
        target = self.releases / release_id
        if self.origin is not None:
            self.origin.put_release(release_id, staging)
            shutil.rmtree(target, ignore_errors=True)  # a reader on this machine may have brought files of it already
        staging.rename(target)
        sync_folder(self.releases)
        return target

    def remove_release(self, release_id: str) -> None:
        """Remove a release; it is whole or gone, and what a killed process leaves the next writer removes."""
        if self.origin is not None:
            self.origin.remove_release(release_id)
        with suppress(FileNotFoundError):  # a release that is elsewhere need not be here
            (self.releases / release_id).rename(self.staging(release_id))
            sync_folder(self.releases)
            shutil.rmtree(self.staging(release_id))

    def model(self, name: str) -> Path:
        """The folder of a trained model, whether it is there or not."""
        if self.origin is not None:
            self.origin.bring_model(name)
        return self.models / name

    def memo_to_read(self, path: Path, *, scratch: Path) -> Path:
        """A memo's file for who is not the one writer, whether it is there or not.

        Args:
            path: Of the memo in this workspace.
            scratch: A folder of the reader's own, where a memo that is elsewhere is put together.
        """
        if self.origin is None:
            return path
        self.origin.copy_memo(path.name, scratch)
        return scratch / path.name

    def portable(self, name: str) -> str:
        """A model's name as every machine knows it: models in a local copy are named by where they are kept."""
        if self.origin is None or not name.startswith(f"{self.models}/"):
            return name
        return f"{self}/models/{name.removeprefix(f'{self.models}/')}"

    def here(self, name: str) -> str:
        """The same name as this machine knows it."""
        if self.origin is None or not name.startswith(f"{self}/models/"):
            return name
        return f"{self.models}/{name.removeprefix(f'{self}/models/')}"

    def size_bytes(self, path: Path) -> int:
        """The bytes of a file or folder of the workspace, with all that is in it."""
        if self.origin is not None:
            key = "" if path == self.root else path.relative_to(self.root).as_posix().removesuffix(".duckdb")
            return self.origin.size_bytes(key)
        files = path.rglob("*") if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files if file.is_file())

    def staging(self, release_id: str) -> Path:
        """The folder in which a release is built before it has its name."""
        return self.releases / f"{STAGING_PREFIX}{release_id}"

    def current_release_id(self) -> str | None:
        """The id of the release that readers see, or None before the first.

        Raises:
            MachineError: ``current.json`` cannot be read, or is no JSON object with a release id.
        """
        path = f"{self}/{POINTER}"
        try:
            pointer = self._pointer()
            if pointer is None:
                return None
            release_id = json.loads(pointer)["release_id"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f"{path} does not name a release."
            raise MachineError(message, remedy="Restore it, or remove it and run `nightrank refresh`.") from error
        if not is_release_id(release_id):
            message = f"{path} names {release_id!r}, which is no release id."
            raise MachineError(message, remedy="Restore it, or remove it and run `nightrank refresh`.")
        return release_id

    def require_current(self) -> str:
        """The id of the release that readers see.

        Raises:
            InputError: Nothing has been published yet.
        """
        release_id = self.current_release_id()
        if release_id is None:
            message = f"The workspace {self} has no published release."
            raise InputError(message, remedy="Run `nightrank refresh` first.")
        return release_id

    def point_at(self, release_id: str, *, now: datetime) -> None:
        """Make a release the one that readers see, atomically.

        Raises:
            MachineError: Another writer has published meanwhile, where that can be.
        """
        pointer = {"release_id": release_id, "published_at": now.isoformat(timespec="seconds")}
        text = json.dumps(pointer, indent=2) + "\n"
        if self.origin is not None:
            self.origin.point_at(text)
        else:
            write_atomically(self.root / POINTER, text)

    def _pointer(self) -> bytes | None:
        if self.origin is not None:
            return self.origin.read(POINTER)
        try:
            return (self.root / POINTER).read_bytes()
        except FileNotFoundError:
            return None


def is_release_id(value: object) -> TypeGuard[str]:
    """Whether a value can be a release's id: the plain name of a folder, not hidden and no path.

    >>> [is_release_id(value) for value in ("20260102T030405-678Z", "..", "", ".staging-1", "a/b", 7)]
    [True, False, False, False, False, False]
    """
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", value) is not None


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
                for unfinished in workspace.root.glob(".current.json.*.tmp"):
                    unfinished.unlink()
            yield workspace
    finally:
        if made_here:
            _remove_empty(workspace.releases)
            _remove_empty(workspace.root)


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
            message = f"Another run holds {what}: {holder or 'it has just started'}."
            raise WorkspaceBusy(message, remedy="Wait for it to end, or stop it.") from error
        try:
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:  # noqa: PTH116 (its twin takes a descriptor)
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)


def write_atomically(path: Path, text: str) -> None:
    """Replace a small file in one step, on disk before it is seen."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
