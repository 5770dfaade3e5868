"""The chunks of a release from those of the one before: documents that read the same keep theirs.

A document keeps its chunks where its title and text are what they were and LanceDB holds every one of them; all others
are cut anew. So a listing is the same whatever it was made from, and a text that LanceDB has lost comes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from typing_extensions import override

from nightrank.storage.closing import Closing
from nightrank.storage.files.database import connect, one_file, only_row
from nightrank.storage.files.parquet import table_writer
from nightrank.storage.records import CHUNKS
from nightrank.storage.release.documents import document_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.storage.records import Document

# What a listing needs to know of the chunks of the release before.
KEPT_COLUMNS = ["chunk_hash", "document_id", "ordinal", "body_start"]

_NOTHING_KEPT = """
CREATE TABLE kept AS
SELECT NULL::VARCHAR AS chunk_hash, NULL::VARCHAR AS document_id, NULL::INTEGER AS ordinal, NULL::INTEGER AS body_start
LIMIT 0
"""
_KEPT = """
CREATE TABLE kept AS
WITH same AS (
    SELECT after.document_id
    FROM read_parquet($documents, hive_partitioning = false) AS after
    SEMI JOIN read_parquet($before, hive_partitioning = false) AS before
    ON after.document_id = before.document_id AND after.content_digest = before.content_digest
), listed AS MATERIALIZED (
    SELECT chunk_hash, document_id, ordinal, body_start FROM chunks_before SEMI JOIN same USING (document_id)
), lost AS (
    SELECT DISTINCT document_id FROM listed ANTI JOIN stored USING (chunk_hash)
)
SELECT * FROM listed ANTI JOIN lost USING (document_id)
"""
_CHANGED = """
CREATE TABLE changed AS
SELECT document_id FROM read_parquet($documents, hive_partitioning = false) ANTI JOIN kept USING (document_id)
"""
_COUNT_CHANGED = "SELECT count(*) FROM changed"
_CHANGED_DOCUMENTS = """
SELECT * FROM read_parquet($documents, hive_partitioning = false) SEMI JOIN changed USING (document_id)
ORDER BY document_id DESC
"""
_LISTING = """
SELECT document_id || '#' || ordinal AS chunk_id, chunk_hash, document_id, ordinal, title, body_start,
    metadata, language
FROM (
    SELECT chunk_hash, document_id, ordinal, body_start FROM kept
    UNION ALL
    SELECT chunk_hash, document_id, ordinal, body_start FROM read_parquet($fresh, hive_partitioning = false)
) JOIN read_parquet($documents, hive_partitioning = false) USING (document_id)
ORDER BY document_id DESC, ordinal
"""
_DISTINCT = "SELECT count(DISTINCT chunk_hash) FROM read_parquet($chunks, hive_partitioning = false)"
_WITHOUT_ROW = """
SELECT count(DISTINCT chunk_hash)
FROM read_parquet($chunks, hive_partitioning = false) ANTI JOIN stored USING (chunk_hash)
"""
_ADDED = """
SELECT DISTINCT chunk_hash
FROM read_parquet($chunks, hive_partitioning = false) ANTI JOIN chunks_before USING (chunk_hash)
ORDER BY chunk_hash
"""


class ChunkListing(Closing):
    """Which documents must be cut anew, and the listing of all chunks once they have been.

    Args:
        documents: Tonight's, schema DOCUMENTS.
    """

    def __init__(self, documents: Path) -> None:
        self._documents = one_file(documents)
        self._connection = connect()
        self._connection.execute(_NOTHING_KEPT)

    @override
    def close(self) -> None:
        self._connection.close()

    def keep(self, before: Path, chunks_before: pa.RecordBatchReader, stored: pa.RecordBatchReader) -> None:
        """Keep the chunks of documents that read the same.

        Args:
            before: The documents of the release before, with ``document_id`` and ``content_digest``.
            chunks_before: Its chunks, cut as they would be tonight: columns KEPT_COLUMNS.
            stored: The column ``chunk_hash`` of what LanceDB holds.
        """
        self._connection.execute("DROP TABLE kept")
        self._connection.register("chunks_before", chunks_before)
        self._connection.register("stored", stored)
        self._connection.execute(_KEPT, {"documents": self._documents, "before": one_file(before)})
        self._connection.unregister("chunks_before")
        self._connection.unregister("stored")

    def changed(self) -> tuple[int, Iterator[Document]]:
        """How many documents must be cut anew, and these, by id descending."""
        self._connection.execute("DROP TABLE IF EXISTS changed")
        self._connection.execute(_CHANGED, {"documents": self._documents})
        count = int(only_row(self._connection, _COUNT_CHANGED)[0])
        return count, self._changed_documents()

    def write(self, path: Path, *, fresh: Path) -> int:
        """Write the listing, schema CHUNKS, by chunk number.

        Args:
            path: The file to write.
            fresh: The chunks of the changed documents, schema FRESH_CHUNKS.

        Returns:
            How many chunks there are.
        """
        rows = 0
        with table_writer(path, CHUNKS) as writer:
            files = {"documents": self._documents, "fresh": one_file(fresh)}
            for batch in self._connection.sql(_LISTING, params=files).to_arrow_reader(65_536):
                writer.write_table(pa.Table.from_batches([batch]).cast(CHUNKS))
                rows += batch.num_rows
        return rows

    def _changed_documents(self) -> Iterator[Document]:
        with self._connection.cursor() as cursor:  # an unread result blocks its connection
            documents = {"documents": self._documents}
            for batch in cursor.sql(_CHANGED_DOCUMENTS, params=documents).to_arrow_reader(256):
                yield from map(document_of, batch.to_pylist())


def distinct_texts(chunks: Path) -> int:
    """How many distinct texts a listing of schema CHUNKS has."""
    with connect() as connection:
        return int(only_row(connection, _DISTINCT, {"chunks": one_file(chunks)})[0])


def texts_without_row(chunks: Path, stored: pa.RecordBatchReader) -> int:
    """How many distinct texts of a listing LanceDB lacks.

    Args:
        chunks: Schema CHUNKS.
        stored: The column ``chunk_hash`` of what LanceDB holds.
    """
    with connect() as connection:
        connection.register("stored", stored)
        return int(only_row(connection, _WITHOUT_ROW, {"chunks": one_file(chunks)})[0])


def texts_added(chunks: Path, chunks_before: pa.RecordBatchReader) -> pa.Array:
    """The distinct hashes of a listing that an earlier release does not have, string (n,), in order.

    Args:
        chunks: Schema CHUNKS.
        chunks_before: With the column ``chunk_hash``.
    """
    with connect() as connection:
        connection.register("chunks_before", chunks_before)
        found = connection.sql(_ADDED, params={"chunks": one_file(chunks)}).to_arrow_table()
    return found.column(0).combine_chunks()
