"""A workspace in a folder, which all who use it see."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import override

from nightrank.storage.bucket.shards import FolderOnDisk
from nightrank.storage.files.atomic import publish_folder, remove_folder, write_text
from nightrank.storage.files.listing import entries, files_below
from nightrank.storage.lance.place import LanceFolder
from nightrank.storage.places import naming, read_bytes
from nightrank.storage.workspace.base import MANIFEST, POINTER, Workspace, is_release_id

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from nightrank.storage.workspace.locks import Abandoned


@dataclass(frozen=True, slots=True)
class FolderWorkspace(Workspace):
    """A workspace in a folder.

    Args:
        root: The folder; it need not exist yet.
    """

    root: Path

    @override
    def __str__(self) -> str:
        return str(self.root)

    @property
    @override
    def lance(self) -> LanceFolder:
        return LanceFolder(self.root / "lance")

    @override
    def shared_folder(self, path: Path) -> FolderOnDisk:
        return FolderOnDisk(path)

    @override
    def read(self, name: str) -> bytes | None:
        path = self.root / name
        try:
            with naming(path):
                return read_bytes(path)
        except (FileNotFoundError, NotADirectoryError):  # a workspace that is a file is told where it is written
            return None

    @override
    def change(self, name: str) -> FileToChange:
        return FileToChange(self.root / name, self.read(name))

    @override
    def bring(self, name: str, *, sha256: str) -> Path | None:
        path = self.root / name
        return path if path.is_file() else None

    @override
    def share(self, name: str) -> None:
        """Others see the same folder."""

    @override
    def files_in(self, folder: str) -> list[str]:
        return [path.name for path in entries(self.root / folder, "[!.]*") if path.is_file()]

    @override
    def remove_files(self, names: Collection[str]) -> None:
        for name in names:
            (self.root / name).unlink(missing_ok=True)

    @override
    def every_file(self) -> Iterator[tuple[str, Path]]:
        for path in sorted(self.root.rglob("*")):
            if path.is_file():
                yield path.relative_to(self.root).as_posix(), path

    @override
    def holding(self, name: str, *, what: str, now: datetime) -> AbstractContextManager[None]:
        return self._holding_here(name, what=what, now=now)

    @override
    def release(self, release_id: str, only: Collection[str] | None = None) -> Path:
        return self.releases / release_id

    @override
    def release_ids(self) -> list[str]:
        names = [path.name for path in entries(self.releases) if (path / MANIFEST).exists()]
        return [name for name in names if is_release_id(name)]

    @override
    def holds(self, release_id: str, names: Collection[str]) -> bool:
        return all((self.releases / release_id / name).is_file() for name in names)

    @override
    def link(self, release_id: str) -> str:
        return self.release(release_id).resolve().as_uri()

    @override
    def adopt(self, release_id: str, staging: Path) -> Path:
        target = self.releases / release_id
        publish_folder(staging, target)
        return target

    @override
    def remove_release(self, release_id: str) -> None:
        remove_folder(self.releases / release_id, self.staging(release_id))

    @override
    def forget_removed(self) -> None:
        """There are no copies: the releases are here."""

    @override
    def size_bytes(self, path: Path) -> int:
        files = files_below(path) if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files if file.is_file())

    @override
    def _replace_pointer(self, text: str) -> None:
        write_text(self.root / POINTER, text)

    @override
    def model(self, name: str) -> Path:
        return self.models / name

    @override
    def share_model(self, name: str, *, last: str) -> None:
        """Others see the same folder."""

    @override
    def portable(self, name: str) -> str:
        return name

    @override
    def here(self, name: str) -> str:
        return name

    @override
    def memo_to_read(self, path: Path, *, scratch: Path) -> Path:
        return path

    @override
    def hold_memos(self) -> None:
        """They are nowhere else."""

    @override
    def share_pruned_memos(self) -> None:
        """They are nowhere else."""

    @override
    @contextmanager
    def writing(self, *, now: datetime, tidy: bool = True, run: str | None = None) -> Iterator[Abandoned | None]:
        with self._writing_here(now=now, run=run) as abandoned:
            if tidy:
                self._remove_abandoned()
            yield abandoned

    @override
    @contextmanager
    def reading(self) -> Iterator[None]:
        try:
            descriptor = self._open_readers_lock()
        except OSError:  # nor is there one where there is nothing to read
            yield
            return
        try:
            with suppress(OSError):  # a file system without locks: then nobody removes what is read, either
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    @override
    @contextmanager
    def without_readers(self) -> Iterator[bool]:
        descriptor = self._open_readers_lock()
        try:
            alone = False
            with suppress(OSError):  # held by a reader, or a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                alone = True
            yield alone
        finally:
            os.close(descriptor)

    @override
    def make_readers_lock(self) -> None:
        if (self.root / "lance").is_dir():
            os.close(self._open_readers_lock())

    def _open_readers_lock(self) -> int:
        path = self.root / "lance" / ".readers"
        try:
            return os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)


@dataclass(frozen=True, slots=True)
class FileToChange:
    """A small file that was read to be changed; whoever does holds a lock, so nobody else changes it meanwhile."""

    path: Path
    data: bytes | None

    def write(self, text: str) -> None:
        """Write it anew."""
        write_text(self.path, text)
