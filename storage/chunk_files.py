"""Questions about a release's chunks, answered by DuckDB over the Parquet file that holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from storage.duck import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    import pyarrow as pa

# A text's length stands in for its tokens: batches of like length are cut again by tokens.
_MISSING = """
CREATE TEMP TABLE missing AS
SELECT chunk_hash, any_value(text) AS text, length(any_value(text)) AS characters
FROM read_parquet($chunks) ANTI JOIN known USING (chunk_hash)
GROUP BY chunk_hash
"""
_COUNT_MISSING = "SELECT count(*) FROM missing"
_BATCHES = "SELECT chunk_hash, text FROM missing ORDER BY characters DESC, chunk_hash"
_COUNT_DISTINCT = "SELECT count(DISTINCT chunk_hash) FROM read_parquet($chunks)"


class MissingChunks:
    """The distinct texts of a release that are not known yet, longest first.

    Args:
        chunks: A file of schema CHUNKS.
        known: A reader with the column ``chunk_hash``.
    """

    def __init__(self, chunks: Path, known: pa.RecordBatchReader) -> None:
        self._connection = connect()
        self._connection.register("known", known)
        self._connection.execute(_MISSING, {"chunks": str(chunks)})
        self._connection.unregister("known")
        row = self._connection.execute(_COUNT_MISSING).fetchone()
        assert row is not None
        self._count = int(row[0])

    def __len__(self) -> int:
        return self._count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def batches(self, rows: int) -> Iterator[tuple[list[str], list[str]]]:
        """Hashes and texts, at most ``rows`` at a time."""
        cursor = self._connection.execute(_BATCHES)
        while block := cursor.fetchmany(rows):
            yield [row[0] for row in block], [row[1] for row in block]


def distinct_chunks(chunks: Path) -> int:
    """How many different texts a file of schema CHUNKS holds."""
    with connect() as connection:
        row = connection.execute(_COUNT_DISTINCT, {"chunks": str(chunks)}).fetchone()
    assert row is not None
    return int(row[0])
