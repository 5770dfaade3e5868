"""What a night still has to embed, answered by DuckDB over the Parquet file that holds its freshly cut chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from nightrank.storage.closing import Closing
from nightrank.storage.files.database import connect, one_file, only_row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

# A text's length stands in for its tokens: batches of like length are cut again by tokens.
_MISSING = """
CREATE TEMP TABLE missing AS
SELECT chunk_hash, any_value(text) AS text, length(any_value(text)) AS characters
FROM read_parquet($chunks, hive_partitioning = false) ANTI JOIN known USING (chunk_hash)
GROUP BY chunk_hash
"""
_COUNT_MISSING = "SELECT count(*) FROM missing"
_BATCHES = "SELECT chunk_hash, text FROM missing ORDER BY characters DESC, chunk_hash"


class MissingChunks(Closing):
    """The distinct texts of freshly cut chunks that are not known yet, longest first.

    Args:
        chunks: A file of schema FRESH_CHUNKS.
        known: A reader with the column ``chunk_hash``.
    """

    def __init__(self, chunks: Path, known: pa.RecordBatchReader) -> None:
        self._connection = connect()
        self._connection.register("known", known)
        self._connection.execute(_MISSING, {"chunks": one_file(chunks)})
        self._connection.unregister("known")
        self._count = int(only_row(self._connection, _COUNT_MISSING)[0])

    def __len__(self) -> int:
        return self._count

    @override
    def close(self) -> None:
        self._connection.close()

    def batches(self, rows: int) -> Iterator[tuple[list[str], list[str]]]:
        """Hashes and texts, at most ``rows`` at a time."""
        cursor = self._connection.execute(_BATCHES)
        while block := cursor.fetchmany(rows):
            yield [row[0] for row in block], [row[1] for row in block]
