"""The lists of a leg over vectors as a release keeps them: each query's best texts, by hash, for the next night."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from nightrank.storage.files.parquet import table_writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LEG_LISTS = pa.schema(
    [
        pa.field("query_key", pa.string(), nullable=False),
        pa.field("vector_key", pa.string(), nullable=False),  # digest of the query's vector that gave the scores
        pa.field("floor", pa.float32(), nullable=False),  # every text that scores above it is in the list
        pa.field("chunk_hashes", pa.list_(pa.string()), nullable=False),
        pa.field("scores", pa.list_(pa.float32()), nullable=False),  # descending
    ]
)

ROWS = 4096


def write_leg_lists(path: Path, blocks: Iterable[pa.Table]) -> None:
    """Write the lists of a release; the file appears when it is whole.

    Args:
        path: The file.
        blocks: Tables of schema LEG_LISTS, each query once.
    """
    with table_writer(path, LEG_LISTS) as writer:
        for block in blocks:
            writer.write_table(block)


def read_leg_lists(path: Path) -> Iterator[pa.RecordBatch]:
    """The lists of a release, schema LEG_LISTS, some thousand queries in memory at a time."""
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=ROWS)
