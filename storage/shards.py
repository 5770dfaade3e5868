"""Shards of work as files: what a worker is to compute is a row group, and what came of it a file of its own.

Run and workers hand each other the small records of this module and nothing else, so the folder has to lie where all
of them see it under the same path. Whoever wants it elsewhere changes this module alone.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow.parquet as pq

from storage.errors import MachineError
from storage.keys import sha256_of_file
from storage.tables import read_table, table_writer, write_table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pyarrow as pa

MOST_ROWS = 1_000_000  # of a shard: a row group of Parquet


@dataclass(frozen=True, slots=True)
class ShardInput:
    """What a worker is to compute.

    Attributes:
        path: A file of all shards of a stage.
        number: The shard's place in it, from 0.
        rows: Of this shard.
    """

    path: Path
    number: int
    rows: int

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """The shard's rows.

        Raises:
            MachineError: The file is not there.
        """
        with open_shared(self.path) as file:
            return file.read_row_group(self.number, columns=columns)


@dataclass(frozen=True, slots=True)
class ShardOutput:
    """What came of a shard, whole on disk.

    Attributes:
        path: A file of this shard alone.
        sha256: Of the file.
    """

    path: Path
    sha256: str

    def take(self) -> pa.Table:
        """The rows; the file goes.

        Raises:
            MachineError: It is not there, or not as the worker wrote it.
        """
        with open_shared(self.path):
            pass
        if sha256_of_file(self.path) != self.sha256:
            message = f"{self.path} is not as its worker wrote it."
            raise MachineError(message, remedy="Check the disk or share that holds the workspace, then run again.")
        table = read_table(self.path)
        self.path.unlink()
        return table


def write_shards(path: Path, schema: pa.Schema, shards: Iterable[pa.Table]) -> list[ShardInput]:
    """Write the shards of a stage, one in memory at a time.

    Args:
        path: The file; it appears when it is whole.
        schema: Of all shards.
        shards: Of 1 to ``MOST_ROWS`` rows each.
    """
    path.parent.mkdir(exist_ok=True)
    written = []
    with table_writer(path, schema) as writer:
        for number, table in enumerate(shards):
            writer.write_table(table.cast(schema), row_group_size=MOST_ROWS)
            written.append(ShardInput(path, number, table.num_rows))
    return written


def write_output(shard: ShardInput, table: pa.Table) -> ShardOutput:
    """Write what came of a shard beside it.

    The name is new each time: of a worker that is only thought lost and the one that took its place, neither writes
    over what the other one has told of. Where the folder is gone, so is the run, and nothing is written.
    """
    path = shard.path.with_name(f"{shard.path.stem}-{shard.number:06d}-{uuid4().hex}.parquet")
    write_table(path, table)
    return ShardOutput(path, sha256_of_file(path))


def open_shared(path: Path) -> pq.ParquetFile:
    """A file that another process, on this machine or another one, has written.

    Raises:
        MachineError: It is not there.
    """
    try:
        return pq.ParquetFile(path)
    except FileNotFoundError as error:
        message = f"{socket.gethostname()} finds no {path}."
        remedy = "Put the workspace on a share that the run and all workers see under the same path."
        raise MachineError(message, remedy=remedy) from error
