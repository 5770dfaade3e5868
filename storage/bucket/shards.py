"""Shards of work as files: what a worker is to compute, and what came of it.

Run and workers hand each other the small records of this module and nothing else. The files lie where all of them
reach them: in a folder that all see under the same path, or in the workspace's bucket. They are small, some megabytes,
and go when they have been read.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING
from uuid import uuid4

from typing_extensions import override

from nightrank.storage.bucket.lent import FileInBucket, FileOnDisk, not_found
from nightrank.storage.errors import MachineError
from nightrank.storage.files.atomic import write_bytes
from nightrank.storage.keys import sha256_of_file
from nightrank.storage.places import read_bytes

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from nightrank.storage.bucket.lent import LentFile
    from nightrank.storage.bucket.store import Remote


class SharedFolder(ABC):
    """Where a run and its workers find each other's files."""

    @abstractmethod
    def __str__(self) -> str:
        """Its name for people."""

    @abstractmethod
    def make(self) -> None:
        """Make it, as the run does before anyone writes."""

    @abstractmethod
    def clear(self) -> None:
        """Remove what is left in it, as the run does when nobody writes any more."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """What is in a file; None where it is not there."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    @abstractmethod
    def _write(self, name: str, data: bytes) -> None:
        """Write a file; it is there as a whole or not at all."""

    def write(self, name: str, table: pa.Table) -> SharedFile:
        """Write a table under a name that nobody else uses; it is there as a whole or not at all."""
        import pyarrow.parquet as pq  # a look-up in a workspace needs none

        buffer = BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        data = buffer.getvalue()
        unique = f"{name}-{uuid4().hex}.parquet"
        self._write(unique, data)
        return SharedFile(self, unique, table.num_rows, hashlib.sha256(data).hexdigest())

    @abstractmethod
    def lend(self, path: Path) -> LentFile:
        """Let workers read a large file of this machine, which nobody changes meanwhile."""


@dataclass(frozen=True, slots=True)
class FolderOnDisk(SharedFolder):
    """A folder that all see under the same path; where it is gone, and with it the run that made it, none can write.

    Attributes:
        path: Of the folder, which goes with the run's staging folder.
    """

    path: Path

    @override
    def __str__(self) -> str:
        return str(self.path)

    @override
    def make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)

    @override
    def clear(self) -> None:
        """It goes with the run's staging folder."""

    @override
    def read(self, name: str) -> bytes | None:
        path = self.path / name
        return read_bytes(path) if path.is_file() else None

    @override
    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    @override
    def _write(self, name: str, data: bytes) -> None:
        write_bytes(self.path / name, data)

    @override
    def lend(self, path: Path) -> FileOnDisk:
        return FileOnDisk(path.absolute())


@dataclass(frozen=True, slots=True)
class FolderInBucket(SharedFolder):
    """A prefix in an object store.

    Attributes:
        remote: The workspace's.
        prefix: Of the keys there; the next writer of the workspace removes what a killed run left below it.
    """

    remote: Remote
    prefix: str

    @override
    def __str__(self) -> str:
        return f"{self.remote.url}/{self.prefix}"

    @override
    def make(self) -> None:
        """A store has no folders."""

    @override
    def clear(self) -> None:
        self.remote.delete(self.remote.sizes(self.prefix))

    @override
    def read(self, name: str) -> bytes | None:
        found = self.remote.read(f"{self.prefix}/{name}")
        return None if found is None else found[0]

    @override
    def remove(self, name: str) -> None:
        self.remote.delete([f"{self.prefix}/{name}"])

    @override
    def _write(self, name: str, data: bytes) -> None:
        self.remote.write(f"{self.prefix}/{name}", data)

    @override
    def lend(self, path: Path) -> FileInBucket:
        key = f"{self.prefix}/{uuid4().hex}/{path.name}"
        self.remote.upload(path, key)
        return FileInBucket(self.remote, key, sha256_of_file(path))


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A table that the run or a worker has written, by reference.

    Attributes:
        folder: Where it lies.
        name: The file's.
        rows: Of the table.
        sha256: Of the file.
    """

    folder: SharedFolder
    name: str
    rows: int
    sha256: str

    def read(self) -> pa.Table:
        """The table.

        Raises:
            MachineError: It is not there, or not as it was written.
        """
        import pyarrow.parquet as pq

        data = self.folder.read(self.name)
        if data is None:
            raise not_found(self.name, str(self.folder))
        if hashlib.sha256(data).hexdigest() != self.sha256:
            message = f"{self.name} in {self.folder} is not as it was written."
            raise MachineError(message, remedy="Check the disk, share or bucket of the workspace, then run again.")
        return pq.read_table(BytesIO(data))

    def remove(self) -> None:
        """Remove the file."""
        self.folder.remove(self.name)
