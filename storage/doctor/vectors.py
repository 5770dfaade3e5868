"""Whether LanceDB holds one sound row for every chunk of a release, asked in one pass over its table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.doctor.faults import find_faults
from nightrank.storage.files.database import connect, only_row
from nightrank.storage.keys import digest
from nightrank.storage.lance.table import vectors_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nightrank.storage.doctor.faults import Fault
    from nightrank.storage.lance.table import ChunkTable

BATCH_ROWS = 4096

_ROWS = pa.schema(
    [
        pa.field("chunk_hash", pa.string(), nullable=False),
        pa.field("text_key", pa.string(), nullable=False),
        pa.field("length", pa.float64(), nullable=False),  # of the vector; not finite where a value is not
    ]
)

_READ = "CREATE TEMP TABLE vectors AS SELECT * FROM streamed"

_FAULTS = {
    "chunks without a vector": """
        SELECT chunk_id AS example FROM chunks ANTI JOIN vectors USING (chunk_hash)
    """,
    "texts that have more than one row": """
        SELECT chunk_hash AS example FROM vectors GROUP BY chunk_hash HAVING count(*) > 1
    """,
    "texts that are not what their key says": """
        SELECT chunk_hash AS example FROM vectors WHERE text_key != chunk_hash
    """,
    "vectors with values that are not finite": """
        SELECT chunk_hash AS example FROM vectors WHERE NOT isfinite(length)
    """,
    "vectors that are not of unit length": """
        SELECT chunk_hash AS example FROM vectors WHERE isfinite(length) AND abs(length - 1) > 1e-3
    """,
}


def vector_faults(bm25: Path, table: ChunkTable, *, on_rows: Callable[[int], None]) -> tuple[int, list[Fault]]:
    """What is wrong between a release's chunks and their rows in LanceDB.

    Texts and vectors are seen a batch at a time; of each row its keys and its vector's length are kept, in a table
    that spills.

    Args:
        bm25: The file with the table of chunks.
        table: The vectors, as the release reads them; rows that the release does not reach are looked at too.
        on_rows: Called with how many more rows are done.

    Returns:
        How many rows there are, and the faults.
    """
    with connect(bm25, read_only=True) as connection:
        connection.register("streamed", pa.RecordBatchReader.from_batches(_ROWS, _measured(table, on_rows)))
        connection.execute(_READ)
        connection.unregister("streamed")
        count = int(only_row(connection, "SELECT count(*) FROM vectors")[0])
        return count, find_faults(connection, _FAULTS)


def _measured(table: ChunkTable, on_rows: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
    for batch in table.stream(["chunk_hash", "text", "vector"], batch_rows=BATCH_ROWS):
        keys = [digest("chunk", text) for text in batch.column("text").to_pylist()]
        lengths = np.linalg.norm(vectors_of(batch, table.dimensions).astype(np.float64), axis=1)
        yield pa.record_batch([batch.column("chunk_hash"), pa.array(keys, pa.string()), lengths], schema=_ROWS)
        on_rows(batch.num_rows)
