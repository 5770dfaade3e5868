"""Parquet files between stages: written in bounded batches under a temporary name, read as streams."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightrank.storage.files.atomic import replacing
from nightrank.storage.places import naming

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

BATCH_ROWS = 4096
BATCH_CHARACTERS = 32_000_000


class RowWriter:
    """Writes rows one by one into a Parquet file, holding at most one batch of them.

    Args:
        path: The file; it appears when the writer is closed without an error.
        schema: Of the rows.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.rows_written = 0
        self._schema = schema
        self._rows: list[Mapping[str, Any]] = []
        self._characters = 0
        self._file = self._writing(path)

    def __enter__(self) -> Self:
        self._file.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, trace)

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row; a batch that is full goes to the file."""
        self._rows.append(row)
        self._characters += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(self._rows) >= BATCH_ROWS or self._characters >= BATCH_CHARACTERS:
            self._flush()

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        with table_writer(path, self._schema) as self._writer:
            yield
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self.rows_written += len(self._rows)
            self._rows, self._characters = [], 0


@contextmanager
def table_writer(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A Parquet writer of whole tables; the file appears when the block ends without an error."""
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        yield writer


def write_table(path: Path, table: pa.Table) -> None:
    """Write one table; the file appears when it is whole."""
    with table_writer(path, table.schema) as writer:
        writer.write_table(table)


def read_table(path: Path, *, columns: list[str] | None = None) -> pa.Table:
    """Read a whole file, or some of its columns."""
    with naming(path), pq.ParquetFile(path) as file:
        return file.read(columns=columns)


def copy_columns(source: Path, target: Path, *, columns: list[str]) -> None:
    """Write a file of some columns of another, some thousand rows in memory at a time."""
    with naming(source), pq.ParquetFile(source) as file:
        schema = pa.schema([file.schema_arrow.field(name) for name in columns])
        with table_writer(target, schema) as writer:
            for batch in file.iter_batches(batch_size=65_536, columns=columns):
                writer.write_batch(batch.select(columns))


def read_column(path: Path, name: str) -> Iterator[pa.Array]:
    """A column of a file, some thousand rows in memory at a time."""
    with naming(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=65_536, columns=[name]):
            yield batch.column(0)


def read_rows(path: Path, column: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    """The rows of a file whose column has one of some values, in their order; the others are never in memory at once.

    Args:
        path: The file.
        column: A column of strings.
        values: string (n,).
    """
    wanted = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    with naming(path), pq.ParquetFile(path) as file:
        if len(wanted) == 0:
            return file.schema_arrow.empty_table()
        batches = (batch.filter(pc.is_in(batch.column(column), value_set=wanted)) for batch in file.iter_batches())
        return pa.Table.from_batches(batches, schema=file.schema_arrow)


def matching_rows(
    path: Path, column: str, values: pa.Array, *, columns: list[str], batch_rows: int = 256
) -> Iterator[dict[str, Any]]:
    """The rows of a file whose column has one of some values, as mappings, in order, a batch in memory at a time.

    Args:
        path: The file.
        column: A column of strings, one of ``columns``.
        values: string (n,).
        columns: Those that are read.
        batch_rows: Of a batch.
    """
    with naming(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=batch_rows, columns=columns):
            yield from batch.filter(pc.is_in(batch.column(column), value_set=values)).to_pylist()


def stream_rows(path: Path, *, batch_rows: int = 256) -> Iterator[dict[str, Any]]:
    """The rows of a file as mappings, in order, a batch in memory at a time."""
    with naming(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=batch_rows):
            yield from batch.to_pylist()


def row_count(path: Path) -> int:
    """Rows of a file, from its footer."""
    with naming(path), pq.ParquetFile(path) as file:
        count: int = file.metadata.num_rows
        return count
