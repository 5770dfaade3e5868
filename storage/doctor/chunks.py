"""Whether the documents and the chunks of a release agree, asked of DuckDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.doctor.faults import find_faults
from nightrank.storage.files.database import connect, one_file, only_row

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.doctor.faults import Fault

_READ_DOCUMENTS = """
CREATE TEMP TABLE documents AS
SELECT document_id, file_row_number AS position
FROM read_parquet($documents, hive_partitioning = false, file_row_number = true)
"""

_OF_DOCUMENTS = {
    "documents without a chunk": """
        SELECT document_id AS example FROM documents ANTI JOIN chunks USING (document_id)
    """,
    "chunks of no document": """
        SELECT chunk_id AS example FROM chunks ANTI JOIN documents USING (document_id)
    """,
    "documents that are repeated or out of order": """
        SELECT document_id AS example
        FROM (SELECT document_id, lag(document_id) OVER (ORDER BY position) AS before FROM documents)
        WHERE document_id >= before
    """,
}

_OF_CHUNKS = {
    "chunks whose number is not their place in the order that breaks ties": """
        SELECT chunk_id AS example
        FROM (
            SELECT chunk_id, chunk_number, row_number() OVER (ORDER BY document_id DESC, ordinal) - 1 AS place
            FROM chunks
        )
        WHERE chunk_number IS DISTINCT FROM place
    """,
    "chunk ids that are not their document and ordinal": """
        SELECT chunk_id AS example FROM chunks WHERE chunk_id IS DISTINCT FROM document_id || '#' || ordinal
    """,
    "chunk ids that come more than once": """
        SELECT chunk_id AS example FROM chunks GROUP BY chunk_id HAVING count(*) > 1
    """,
    "documents whose ordinals do not run from 0 without a gap": """
        SELECT document_id AS example FROM chunks GROUP BY document_id
        HAVING min(ordinal) != 0 OR max(ordinal) != count(*) - 1 OR count(DISTINCT ordinal) != count(*)
    """,
}


def document_faults(bm25: Path, documents: Path) -> tuple[int, list[Fault]]:
    """What is wrong between a release's documents and their chunks.

    Args:
        bm25: The file with the table of chunks.
        documents: A Parquet file with ``document_id``.

    Returns:
        How many documents there are, and the faults.
    """
    with connect(bm25, read_only=True) as connection:
        connection.execute(_READ_DOCUMENTS, {"documents": one_file(documents)})
        count = int(only_row(connection, "SELECT count(*) FROM documents")[0])
        return count, find_faults(connection, _OF_DOCUMENTS)


def chunk_faults(bm25: Path) -> tuple[int, list[Fault]]:
    """What is wrong with the numbers, ids and ordinals of a release's chunks.

    Args:
        bm25: The file with the table of chunks.

    Returns:
        How many chunks there are, and the faults.
    """
    with connect(bm25, read_only=True) as connection:
        count = int(only_row(connection, "SELECT count(*) FROM chunks")[0])
        return count, find_faults(connection, _OF_CHUNKS)
