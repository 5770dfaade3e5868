"""Results as Parquet, for warehouses and notebooks; sorted by key, so that a look-up reads one small row group."""

from __future__ import annotations

from bisect import bisect_left
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightrank.storage.serving.file.target import NotOurs
from nightrank.storage.serving.reader import FileReader, Row, Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.storage.serving.entries import Entry

SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("alias_of", pa.string()),  # the key of the query whose results an alias gets
        pa.field("release_id", pa.string(), nullable=False),
        pa.field("query", pa.string()),
        pa.field("filter", pa.string()),  # canonical JSON; null without one
        pa.field("results", pa.string()),  # JSON, best first
    ]
)
GROUP_ROWS = 512


def write(path: Path, served: Served, entries: Iterator[Entry]) -> None:
    """Write the entries of a release, which come by key."""
    told = {b"nightrank": " ".join(map(str, served)).strip().encode()}
    schema = SCHEMA.with_metadata(told)
    # Statistics of keys alone: what is said of long texts would only make the footer large.
    with pq.ParquetWriter(path, schema, compression="zstd", write_statistics=["key"]) as writer:
        while rows := list(islice(entries, GROUP_ROWS)):
            key, alias_of, query, condition, results = zip(*rows, strict=True)
            release_id = [served.release_id] * len(rows)
            columns = [key, alias_of, release_id, query, condition, results]
            writer.write_table(pa.table([pa.array(column, pa.string()) for column in columns], schema=schema))


class ParquetReader(FileReader):
    """A reader of such a file. Threads may share one; a look-up takes milliseconds.

    Raises:
        NotOurs: The file was not written by an export.
        FileNotFoundError: It is not there.
    """

    def __init__(self, path: Path) -> None:
        self._lock = Lock()
        try:
            self._file = pq.ParquetFile(path)
        except pa.ArrowInvalid as error:
            raise NotOurs(str(path)) from error
        told = (self._file.schema_arrow.metadata or {}).get(b"nightrank")
        if told is None:
            self._file.close()
            raise NotOurs(str(path))
        release_id, queries, aliases, *answers = told.decode().split()
        self._served = Served(release_id, int(queries), int(aliases), *answers)
        footer = self._file.metadata
        self._last_keys = [footer.row_group(group).column(0).statistics.max for group in range(footer.num_row_groups)]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _row(self, key: str) -> Row | None:
        group = bisect_left(self._last_keys, key)
        if group == len(self._last_keys):
            return None
        with self._lock:
            rows = self._file.read_row_group(group, columns=["key", "alias_of", "query", "results"])
        place = pc.index(rows.column("key"), key).as_py()
        return None if place < 0 else Row(*(rows.column(name)[place].as_py() for name in Row._fields))
