"""Bulk data of a long-lived process in files without a name, mapped into memory.

The system keeps in memory what is used and drops what is not; the files take their place on the disk until whoever
mapped them lets go, and are gone then, however the process ends.
"""

from __future__ import annotations

import mmap
import tempfile
from pathlib import Path

import pyarrow as pa
from typing_extensions import override

from nightrank.storage.closing import Closing


class UnnamedFile(Closing):
    """A file without a name, written from beginning to end, then mapped.

    Raises, when it is written:
        OSError: The disk of temporary files is full.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="nightrank-mapped-")  # noqa: SIM115 (closed by ``close``)

    @override
    def close(self) -> None:
        self._file.close()

    def write(self, data: bytes | memoryview) -> None:
        """Write what comes next."""
        self._file.write(data)

    def mapped(self) -> memoryview:
        """All that was written, for reading; it stays when the file is closed."""
        self._file.flush()
        if self._file.tell() == 0:  # nothing cannot be mapped
            return memoryview(b"")
        return memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))


def mapped_table(table: pa.Table) -> pa.Table:
    """A table, mapped for reading, in as few blocks as its texts allow.

    Raises:
        OSError: The disk of temporary files is full.
    """
    with tempfile.NamedTemporaryFile(prefix="nightrank-mapped-", suffix=".arrow", delete=False) as file:
        path = Path(file.name)
        try:
            with pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table.combine_chunks())
            file.flush()
            return pa.ipc.open_file(pa.memory_map(file.name)).read_all()
        finally:
            path.unlink()
