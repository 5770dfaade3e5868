"""Large files that a run lets its workers read: on a share where they lie, or through the workspace's bucket."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING

from typing_extensions import override

from nightrank.storage.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from nightrank.storage.bucket.store import Remote


class LentFile(ABC):
    """A file, by reference."""

    @abstractmethod
    def here(self) -> AbstractContextManager[Path]:
        """Where it lies on this machine, under its own name, until the block ends.

        Raises:
            MachineError: It is not there, or not as it was lent.
        """


@dataclass(frozen=True, slots=True)
class FileOnDisk(LentFile):
    """A file that all see under the same path.

    Attributes:
        path: Its own.
    """

    path: Path

    @override
    @contextmanager
    def here(self) -> Iterator[Path]:
        if not self.path.is_file():
            raise not_found(self.path.name, str(self.path.parent))
        yield self.path


@dataclass(frozen=True, slots=True)
class FileInBucket(LentFile):
    """A file that was copied to an object store; a process keeps the one that it has read last.

    Attributes:
        remote: The workspace's.
        key: Of the object; it ends with the file's name.
        sha256: Of the file.
    """

    remote: Remote
    key: str
    sha256: str

    @override
    @contextmanager
    def here(self) -> Iterator[Path]:
        kept = _kept()
        with kept.lock:  # another file takes its place when nobody reads it
            if kept.file != self:
                kept.file = None
                kept.folder.cleanup()
                kept.folder = TemporaryDirectory(prefix="nightrank-lent-")
                if not self.remote.download(self.key, self._path_in(kept.folder), sha256=self.sha256):
                    raise not_found(self.key, self.remote.url)
                kept.file = self
            yield self._path_in(kept.folder)

    def _path_in(self, folder: TemporaryDirectory[str]) -> Path:
        return Path(folder.name) / self.key.rpartition("/")[2]


@dataclass(slots=True)
class _Kept:
    """What a process keeps between shards; its folder goes with the process.

    Attributes:
        lock: Of who reads it.
        file: Which one it is; None where there is none.
        folder: Where it lies.
    """

    lock: Lock = field(default_factory=Lock)
    file: FileInBucket | None = None
    folder: TemporaryDirectory[str] = field(default_factory=TemporaryDirectory)


@cache
def _kept() -> _Kept:
    """Of this process: what a worker keeps between shards has no other home."""
    return _Kept()


def not_found(name: str, place: str) -> MachineError:
    """The fault of a file that this machine does not see."""
    message = f"{socket.gethostname()} finds no {name} in {place}."
    remedy = "Put the workspace on a share that the run and all workers see under the same path, or in a bucket."
    return MachineError(message, remedy=remedy)
