"""The sets of chunks that filters let through, one bit a chunk, as stages of one run hand them on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.files.parquet import read_table, write_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

ALLOWED_CHUNKS = pa.schema(
    [
        pa.field("filter", pa.string(), nullable=False),  # canonical text
        pa.field("chunk_count", pa.int64(), nullable=False),  # of the collection
        pa.field("bits", pa.large_binary(), nullable=False),  # whether each chunk is let through, by chunk number
    ]
)


@dataclass(frozen=True, slots=True)
class AllowedChunks:
    """Which chunks of one collection each of some filters lets through.

    Attributes:
        chunk_count: Of the collection.
        packed: Bits by the filter's canonical text.
    """

    chunk_count: int
    packed: Mapping[str, bytes]

    @classmethod
    def of(cls, masks: Mapping[str, NDArray[np.bool_]], *, chunk_count: int) -> AllowedChunks:
        """The sets as bool (chunk_count,), by the filter's canonical text."""
        return cls(chunk_count, {condition: np.packbits(mask).tobytes() for condition, mask in masks.items()})

    def by(self, condition: str) -> NDArray[np.bool_]:
        """The chunks that a filter lets through, bool (chunk_count,)."""
        bits = np.frombuffer(self.packed[condition], dtype=np.uint8)
        return np.unpackbits(bits, count=self.chunk_count).astype(np.bool_)


def write_allowed_chunks(path: Path, allowed: AllowedChunks) -> None:
    """Write the sets of a collection."""
    conditions = list(allowed.packed)
    columns = [conditions, [allowed.chunk_count] * len(conditions), [allowed.packed[name] for name in conditions]]
    arrays = [pa.array(column, of.type) for column, of in zip(columns, ALLOWED_CHUNKS, strict=True)]
    write_table(path, pa.table(arrays, schema=ALLOWED_CHUNKS))


def read_allowed_chunks(path: Path) -> AllowedChunks:
    """The sets that a stage before has written; none where it had no filter to write any for."""
    rows = read_table(path).to_pylist() if path.is_file() else []
    count = rows[0]["chunk_count"] if rows else 0
    return AllowedChunks(count, {row["filter"]: row["bits"] for row in rows})
