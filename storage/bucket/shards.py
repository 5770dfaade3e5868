"""Shards of work as files: what a worker is to compute, and what came of it.

Run and workers hand each other the small records of this module and nothing else. The files lie where all of them
reach them: in a folder that all see under the same path, or in the workspace's bucket. They are small, some megabytes,
and go when they have been read.
"""

from __future__ import annotations

import hashlib
import socket
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow.parquet as pq

from nightrank.storage.errors import MachineError
from nightrank.storage.files.atomic import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from nightrank.storage.bucket.store import Remote


@dataclass(frozen=True, slots=True)
class SharedFolder:
    """Where a run and its workers find each other's files.

    Attributes:
        path: A folder that all see; for a bucket, the run's own one, which nobody uses.
        remote: The bucket; None where there is the folder.
        prefix: Of the keys there; the next writer of the workspace removes what a killed run left below it.
    """

    path: Path
    remote: Remote | None = None
    prefix: str = ""

    def write(self, name: str, table: pa.Table) -> SharedFile:
        """Write a table under a name that nobody else uses; it is there as a whole or not at all.

        In a folder that is gone, and with it the run that made it, nothing is written.
        """
        buffer = BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        data = buffer.getvalue()
        unique = f"{name}-{uuid4().hex}.parquet"
        if self.remote is not None:
            self.remote.write(f"{self.prefix}/{unique}", data)
        else:
            path = self.path / unique
            write_bytes(path, data)
        return SharedFile(self, unique, table.num_rows, hashlib.sha256(data).hexdigest())

    def make(self) -> None:
        """Make the folder, as the run does before anyone writes."""
        self.path.mkdir(parents=True, exist_ok=True)

    def clear(self) -> None:
        """Remove what is left in the bucket; the folder goes with the run's staging folder."""
        if self.remote is not None:
            self.remote.delete(self.remote.sizes(self.prefix))

    def __str__(self) -> str:
        return str(self.path) if self.remote is None else f"{self.remote.url}/{self.prefix}"


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
        data = self._bytes()
        if data is None:
            message = f"{socket.gethostname()} finds no {self.name} in {self.folder}."
            remedy = (
                "Put the workspace on a share that the run and all workers see under the same path, or in a bucket."
            )
            raise MachineError(message, remedy=remedy)
        if hashlib.sha256(data).hexdigest() != self.sha256:
            message = f"{self.name} in {self.folder} is not as it was written."
            raise MachineError(message, remedy="Check the disk, share or bucket of the workspace, then run again.")
        return pq.read_table(BytesIO(data))

    def remove(self) -> None:
        """Remove the file."""
        if self.folder.remote is not None:
            self.folder.remote.delete([f"{self.folder.prefix}/{self.name}"])
        else:
            (self.folder.path / self.name).unlink(missing_ok=True)

    def _bytes(self) -> bytes | None:
        if self.folder.remote is not None:
            found = self.folder.remote.read(f"{self.folder.prefix}/{self.name}")
            return None if found is None else found[0]
        path = self.folder.path / self.name
        return path.read_bytes() if path.is_file() else None
