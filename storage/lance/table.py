"""LanceDB: one table of chunks an embedder, addressed by content.

A row is what a text *says*: its ``chunk_hash``, the text that models read, its length in tokens and its
vector. Where a text stands (document, ordinal, metadata) is a release's own business, so two documents
with the same text share one row, a change of metadata touches nothing here, and a killed run leaves rows
that the next run finds. A row never changes and goes only when no kept release reaches it, so a newer version
serves a release as well as the one it was made from: each release has a tag of its name, and
``storage.release.prune`` moves the tags on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.errors import MachineError, NotStored
from nightrank.storage.files.database import require_finite
from nightrank.storage.foreign import machine_error, placed, said_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.lance.place import LancePlace

BATCH_ROWS = 16_384
HASHES_HELD = 1_000_000  # compared at a time when rows are looked for, some 50 MB
# What one row taken by its id costs, in rows of a scan (180,000 rows of 384 dimensions: level at a sixth of them).
ROWS_SCANNED_FOR_ONE_TAKEN = 6


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
    """The chunks of one embedder; made by ``create``, ``find``, ``open`` and ``of_release``.

    Attributes:
        place: Where LanceDB's tables are.
        name: The table's there.
        dimensions: Of a vector.
    """

    def __init__(self, table: Any, place: LancePlace) -> None:  # noqa: ANN401 (lancedb ships no types)
        self._table, self.place = table, place
        self.name: str = table.name
        self.dimensions: int = table.schema.field("vector").type.list_size

    @classmethod
    def create(cls, place: LancePlace, *, embedder: str, dimensions: int) -> Self:
        """Open the newest version of an embedder's table for writing; made where it is missing.

        Args:
            place: Where LanceDB's tables are.
            embedder: The embedder's fingerprint; it names the table, so models never mix.
            dimensions: Length of a vector.
        """
        schema = chunk_table_schema(dimensions)
        with placed(place):
            return cls(place.connect().create_table(_name_of(embedder), schema=schema, exist_ok=True), place)

    @classmethod
    def find(cls, place: LancePlace, *, embedder: str) -> Self | None:
        """The newest version of an embedder's table, or None where it has none yet.

        A process that ended while it made a table has left files, and no table.
        """
        name = _name_of(embedder)
        if not place.is_there() or name not in place.table_names():
            return None
        with placed(place):
            try:
                return cls(place.connect().open_table(name), place)
            except (ValueError, RuntimeError, FileNotFoundError) as error:
                if _is_not_there(error):
                    return None
                raise

    @classmethod
    def open(cls, place: LancePlace, *, name: str, version: int) -> Self:
        """One version of a table, for reading while no version is removed: by the run that wrote it.

        Raises:
            MachineError: It is not there.
        """
        return cls(_checked_out(place, name, version, f"no version {version}"), place)

    @classmethod
    def of_release(cls, place: LancePlace, *, name: str, release_id: str) -> Self:
        """The version that a release's tag names now, for reading.

        Raises:
            MachineError: The table or the tag is not there.
        """
        return cls(_checked_out(place, name, release_id, f"no tag of the release {release_id}"), place)

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
        require_finite(vectors, what="embeddings", section="embedder")
        flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
        self.place.check_writer()
        columns = [
            pa.array(chunk_hashes, pa.string()),
            pa.array(texts, pa.string()),
            pa.array(tokens, pa.int32()),
            pa.FixedSizeListArray.from_arrays(flat, self.dimensions),
        ]
        with placed(self.place):
            self._table.add(pa.Table.from_arrays(columns, schema=chunk_table_schema(self.dimensions)))

    def tag(self, release_id: str) -> None:
        """Make a release's tag, which may be there already, name the version that is read: no clean-up removes it."""
        self.place.check_writer()
        with placed(self.place):
            self._tag(release_id)

    def _tag(self, release_id: str) -> None:
        tags = self._table.tags
        (tags.update if release_id in tags.list() else tags.create)(release_id, self.version)

    def stream(self, columns: Sequence[str], *, batch_rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Batches of the chosen columns of every row, in an order that tells nothing and stays a version's own."""
        with placed(self.place):
            yield from self._table.search().select(list(columns)).limit(None).to_batches(batch_rows)

    def hashes(self) -> pa.RecordBatchReader:
        """A reader of the one column ``chunk_hash``."""
        schema = pa.schema([chunk_table_schema(self.dimensions).field("chunk_hash")])
        return pa.RecordBatchReader.from_batches(schema, self.stream(["chunk_hash"]))

    def stream_with_row_ids(self, columns: Sequence[str], *, batch_rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Like ``stream``, with ``_rowid`` (uint64) last: where a row lies, until the table is compacted."""
        with placed(self.place):
            yield from self._table.search().select(list(columns)).with_row_id(True).limit(None).to_batches(batch_rows)

    def rows(self, chunk_hashes: pa.Array, columns: Sequence[str]) -> pa.Table:
        """The rows of some chunks, in no particular order; only these are read where they are few.

        Args:
            chunk_hashes: string (n,), distinct.
            columns: Wanted beside ``chunk_hash``.

        Returns:
            A table with ``chunk_hash`` and the columns asked for; chunks that are not there are missing.
        """
        return pa.Table.from_batches(self.batches(chunk_hashes, columns), schema=self._schema_of(columns))

    def batches(
        self, chunk_hashes: pa.Array, columns: Sequence[str], *, rows: int = BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """The rows of some chunks as a stream, in no particular order; only these are read where they are few.

        Args:
            chunk_hashes: string (n,), distinct.
            columns: Wanted beside ``chunk_hash``.
            rows: A batch has at most so many, and at least one.

        Returns:
            Batches with ``chunk_hash`` and the columns asked for; chunks that are not there are missing.
        """
        if len(chunk_hashes) == 0:
            return
        chosen = self._schema_of(columns).names
        row_ids = self._row_ids_of(chunk_hashes)
        if len(row_ids) * ROWS_SCANNED_FOR_ONE_TAKEN <= len(self):
            for start in range(0, len(row_ids), rows):
                taken = self._table.take_row_ids(row_ids[start : start + rows].tolist()).select(chosen)
                yield from taken.to_batches(max_batch_length=rows)
            return
        for batch in self.stream_with_row_ids(chosen, batch_rows=rows):
            wanted = batch.filter(pa.array(_contains(row_ids, batch.column("_rowid").to_numpy())))
            if wanted.num_rows:
                yield wanted.select(chosen)

    def at(
        self, places: NDArray[np.int64], columns: Sequence[str], *, rows: int = BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """The rows at some places of this version's ``stream``; what lies between them is read only where it is little.

        Args:
            places: int64 (n,), ascending, none twice.
            columns: Wanted beside ``chunk_hash``.
            rows: A batch has at most so many.

        Returns:
            Batches as those of ``batches``, in no particular order.
        """
        if places.size == 0:
            return
        chosen, first = self._schema_of(columns).names, int(places[0])
        span = int(places[-1]) + 1 - first
        with placed(self.place):
            if span > places.size * ROWS_SCANNED_FOR_ONE_TAKEN:
                for start in range(0, places.size, rows):
                    taken = self._table.take_offsets(places[start : start + rows].tolist()).select(chosen)
                    yield from taken.to_batches(max_batch_length=rows)
                return
            wanted = np.zeros(span, dtype=np.bool_)
            wanted[places - first], seen = True, 0
            for batch in self._table.search().select(chosen).limit(span).offset(first).to_batches(rows):
                there = wanted[seen : seen + batch.num_rows]
                seen += batch.num_rows
                if there.any():
                    yield batch if there.all() else batch.filter(pa.array(there))

    def sample(self, count: int, columns: Sequence[str], *, generator: np.random.Generator) -> pa.Table:
        """Rows drawn at random without replacement, in no particular order; only these are read.

        Args:
            count: How many; all where there are fewer.
            columns: Wanted beside ``chunk_hash``.
            generator: What decides which.
        """
        offsets = generator.choice(len(self), size=min(count, len(self)), replace=False)
        schema = self._schema_of(columns)
        taken = self._table.take_offsets(offsets.tolist()).select(schema.names)
        return pa.Table.from_batches(taken.to_batches(), schema=schema)

    def _schema_of(self, columns: Sequence[str]) -> pa.Schema:
        schema = chunk_table_schema(self.dimensions)
        return pa.schema([schema.field(name) for name in dict.fromkeys(("chunk_hash", *columns))])

    def _row_ids_of(self, chunk_hashes: pa.Array) -> NDArray[np.uint64]:
        """The ids of some chunks' rows, ascending, from the hashes alone."""
        found = [np.zeros(0, dtype=np.uint64)]
        for block in _blocks(self.stream_with_row_ids(["chunk_hash"]), HASHES_HELD):
            wanted = block.filter(pc.is_in(block.column("chunk_hash"), value_set=chunk_hashes))
            found.append(wanted.column("_rowid").to_numpy())
        return np.sort(np.concatenate(found))


def vectors_of(batch: pa.RecordBatch | pa.Table, dimensions: int) -> NDArray[np.float32]:
    """The column ``vector`` as float32 (n, dimensions), without a copy where it is one block."""
    column = batch.column("vector")
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    flat: NDArray[np.float32] = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, dimensions)


_NOT_THERE = ("not found", "not exist", "no longer exists", "no such file")  # as LanceDB says it


def _checked_out(place: LancePlace, name: str, version: int | str, missing: str) -> Any:  # noqa: ANN401 (lancedb ships no types)
    """A table at a version or a tag; what is ``missing`` is told where it is not there."""
    try:
        if not place.is_there():
            raise FileNotFoundError(place)
        table = place.connect().open_table(name)
        table.checkout(version)
    except (ValueError, RuntimeError, FileNotFoundError) as error:
        if _is_not_there(error):
            message = f"LanceDB's table {name} in {place} has {missing}."
            raise NotStored(message, remedy="Run `nightrank refresh` to build a new release.") from error
        told = machine_error(error)
        message = f"LanceDB's table {name} in {place} cannot be opened: {told.message if told else said_by(error)}"
        raise MachineError(message, remedy=told.remedy if told else "Run again.") from error
    return table


def _is_not_there(error: Exception) -> bool:
    return isinstance(error, FileNotFoundError) or any(words in str(error).lower() for words in _NOT_THERE)


def _blocks(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """Batches put together: each comparison with a set of hashes makes a hash table of the set first."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(map(len, held)) >= rows:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


def _contains(ascending: NDArray[np.uint64], values: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which values are among some that ascend."""
    places = np.searchsorted(ascending, values)
    return ascending.take(places, mode="clip") == values if ascending.size else np.zeros(values.shape, dtype=bool)


def _name_of(embedder: str) -> str:
    return f"chunks_{embedder}"


def no_hashes() -> pa.RecordBatchReader:
    """A reader like ``ChunkTable.hashes`` where there is no table yet."""
    return pa.RecordBatchReader.from_batches(pa.schema([chunk_table_schema(1).field("chunk_hash")]), [])
