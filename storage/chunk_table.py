"""LanceDB: one table of chunks an embedder, addressed by content.

A row is what a text *says*: its ``chunk_hash``, the text that models read, its length in tokens and its
vector. Where a text stands (document, ordinal, metadata) is a release's own business, so two documents
with the same text share one row, a change of metadata touches nothing here, and a killed run leaves rows
that the next run finds. Each release pins a version and tags it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import lancedb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

BATCH_ROWS = 16_384


def chunk_table_schema(dimensions: int) -> pa.Schema:
    """The schema of a chunk table whose vectors are float32 (dimensions,)."""
    return pa.schema(
        [
            pa.field("chunk_hash", pa.string(), nullable=False),
            pa.field("text", pa.string(), nullable=False),
            pa.field("tokens", pa.int32(), nullable=False),
            pa.field("vector", pa.list_(pa.float32(), dimensions), nullable=False),
        ]
    )


class ChunkTable:
    """The chunks of one embedder; made by ``create``, ``find`` and ``open``."""

    def __init__(self, table: Any) -> None:  # noqa: ANN401 (lancedb ships no types)
        self._table = table
        self.name: str = table.name
        self.dimensions: int = table.schema.field("vector").type.list_size

    @classmethod
    def create(cls, folder: Path, *, embedder: str, dimensions: int) -> Self:
        """Open the newest version of an embedder's table for writing; made where it is missing.

        Args:
            folder: LanceDB's folder.
            embedder: The embedder's fingerprint; it names the table, so models never mix.
            dimensions: Length of a vector.
        """
        schema = chunk_table_schema(dimensions)
        return cls(lancedb.connect(str(folder)).create_table(_name_of(embedder), schema=schema, exist_ok=True))

    @classmethod
    def find(cls, folder: Path, *, embedder: str) -> Self | None:
        """The newest version of an embedder's table, or None where it has none yet."""
        if not folder.is_dir():
            return None
        database = lancedb.connect(str(folder))
        name = _name_of(embedder)
        return cls(database.open_table(name)) if name in database.list_tables().tables else None

    @classmethod
    def open(cls, folder: Path, *, name: str, version: int) -> Self:
        """One version of a table, for reading.

        Raises:
            MachineError: It is not there.
        """
        try:
            if not folder.is_dir():  # LanceDB would make it
                raise FileNotFoundError(folder)
            table = lancedb.connect(str(folder)).open_table(name)
            table.checkout(version)
        except (ValueError, RuntimeError, FileNotFoundError) as error:
            message = f"LanceDB's table {name} in {folder} has no version {version}."
            raise MachineError(message, remedy="Run `nightrank refresh` to build a new release.") from error
        return cls(table)

    @property
    def version(self) -> int:
        """The version that is read."""
        version: int = self._table.version
        return version

    def __len__(self) -> int:
        count: int = self._table.count_rows()
        return count

    def add(
        self, chunk_hashes: Sequence[str], texts: Sequence[str], tokens: Sequence[int], vectors: NDArray[np.float32]
    ) -> None:
        """Commit a batch of chunks that the table does not hold yet.

        Args:
            chunk_hashes: (n,) keys.
            texts: (n,) what models read.
            tokens: (n,) their lengths.
            vectors: float32 (n, dimensions).

        Raises:
            ValueError: A vector has another length.
            MachineError: A vector has a value that is not finite; it would be kept for ever.
        """
        if vectors.shape != (len(chunk_hashes), self.dimensions):
            message = f"expected vectors of shape {(len(chunk_hashes), self.dimensions)}, got {vectors.shape}"
            raise ValueError(message)
        if not np.isfinite(vectors).all():
            message = "The embedder gave vectors with values that are not finite."
            remedy = 'Its arithmetic may overflow on this device: set `embedder.precision = "float32"`.'
            raise MachineError(message, remedy=remedy)
        flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
        columns = [
            pa.array(chunk_hashes, pa.string()),
            pa.array(texts, pa.string()),
            pa.array(tokens, pa.int32()),
            pa.FixedSizeListArray.from_arrays(flat, self.dimensions),
        ]
        self._table.add(pa.Table.from_arrays(columns, schema=chunk_table_schema(self.dimensions)))

    def pin(self, release_id: str) -> None:
        """Tag the version that is read for a release, so that no clean-up removes it."""
        self._table.tags.create(release_id, self.version)

    def stream(self, columns: Sequence[str], *, batch_rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Batches of the chosen columns of every row, in no particular order."""
        reader = self._table.search().select(list(columns)).limit(None).to_batches(batch_rows)
        yield from reader

    def hashes(self) -> pa.RecordBatchReader:
        """A reader of the one column ``chunk_hash``."""
        schema = pa.schema([chunk_table_schema(self.dimensions).field("chunk_hash")])
        return pa.RecordBatchReader.from_batches(schema, self.stream(["chunk_hash"]))

    def rows(self, chunk_hashes: pa.Array, columns: Sequence[str]) -> pa.Table:
        """The rows of some chunks, found in one pass over the table.

        Args:
            chunk_hashes: string (n,), distinct.
            columns: Wanted beside ``chunk_hash``.

        Returns:
            A table with ``chunk_hash`` and the columns asked for; chunks that are not there are missing.
        """
        chosen = ["chunk_hash", *columns]
        schema = chunk_table_schema(self.dimensions)
        parts = [
            batch.filter(pc.is_in(batch.column("chunk_hash"), value_set=chunk_hashes)) for batch in self.stream(chosen)
        ]
        return pa.Table.from_batches(parts, schema=pa.schema([schema.field(name) for name in chosen]))


def vectors_of(batch: pa.RecordBatch | pa.Table, dimensions: int) -> NDArray[np.float32]:
    """The column ``vector`` as float32 (n, dimensions), without a copy where it is one block."""
    column = batch.column("vector")
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    flat: NDArray[np.float32] = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, dimensions)


def _name_of(embedder: str) -> str:
    return f"chunks_{embedder}"


def no_hashes() -> pa.RecordBatchReader:
    """A reader like ``ChunkTable.hashes`` where there is no table yet."""
    return pa.RecordBatchReader.from_batches(pa.schema([chunk_table_schema(1).field("chunk_hash")]), [])
