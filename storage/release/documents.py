"""The documents of a release: each once, in the order that rankings break ties by, and what changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from nightrank.storage.files.database import connect, one_file, only_row
from nightrank.storage.files.parquet import read_column, stream_rows, table_writer
from nightrank.storage.keys import digest_of_sequence
from nightrank.storage.records import DOCUMENTS, BadRow, Document

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

RAW_DOCUMENTS = DOCUMENTS.append(pa.field("position", pa.int64(), nullable=False))

_FIRSTS = """
SELECT document_id, min(position) AS position, count(*) AS copies
FROM read_parquet($raw, hive_partitioning = false) GROUP BY document_id
"""
_SETTLED = """
SELECT raw.* EXCLUDE (position)
FROM read_parquet($raw, hive_partitioning = false) AS raw SEMI JOIN firsts USING (document_id, position)
ORDER BY document_id DESC
"""
_REPEATED = """
SELECT raw.file, raw.row, raw.document_id, first.file AS first_file, first.row AS first_row
FROM read_parquet($raw, hive_partitioning = false) AS raw
JOIN firsts ON raw.document_id = firsts.document_id AND raw.position > firsts.position AND firsts.copies > 1
JOIN read_parquet($raw, hive_partitioning = false) AS first
    ON first.document_id = firsts.document_id AND first.position = firsts.position
ORDER BY raw.position
"""
_CHANGES = """
SELECT count(*) FILTER (before.document_id IS NULL) AS added,
       count(*) FILTER (before.content_digest != after.content_digest) AS edited,
       count(*) FILTER (before.content_digest = after.content_digest
                        AND before.document_digest != after.document_digest) AS metadata,
       count(*) FILTER (after.document_id IS NULL) AS removed
FROM read_parquet($before, hive_partitioning = false) AS before
FULL OUTER JOIN read_parquet($after, hive_partitioning = false) AS after USING (document_id)
"""
_ALL_ADDED = """
SELECT count(*) AS added, 0 AS edited, 0 AS metadata, 0 AS removed
FROM read_parquet($after, hive_partitioning = false)
"""

# What a release keeps of its documents, for the next night to compare with.
DIGESTS = ["document_id", "document_digest", "content_digest"]


@dataclass(frozen=True, slots=True)
class Changes:
    """How the documents of two releases differ, in documents.

    Attributes:
        added: New ids.
        edited: Another title or text, whatever became of the metadata.
        metadata: The same title and text with other metadata: nothing that a model reads.
        removed: Ids that are gone.
    """

    added: int
    edited: int
    metadata: int
    removed: int


def raw_row(document: Document, *, position: int) -> dict[str, Any]:
    """A document as a row of RAW_DOCUMENTS; ``position`` is its place in reading order."""
    return {
        "document_id": document.document_id,
        "title": document.title,
        "text": document.text,
        "metadata": json.dumps(document.metadata, ensure_ascii=False, sort_keys=True),
        "language": document.language,
        "document_digest": document.digest(),
        "content_digest": document.content_digest(),
        "file": document.file,
        "row": document.row,
        "position": position,
    }


def document_of(row: Mapping[str, Any]) -> Document:
    """The document of a row of DOCUMENTS."""
    return Document(
        document_id=row["document_id"],
        title=row["title"],
        text=row["text"],
        metadata=json.loads(row["metadata"]),
        file=row["file"],
        row=row["row"],
        language=row["language"],
    )


def deduplicate_documents(raw: Path, settled: Path) -> list[BadRow]:
    """Keep the first document of each id, ordered by id descending.

    Args:
        raw: A file of schema RAW_DOCUMENTS.
        settled: The file to write, of schema DOCUMENTS.

    Returns:
        The later rows of ids that came more than once.
    """
    with connect() as connection:
        connection.execute(f"CREATE TEMP TABLE firsts AS {_FIRSTS}", {"raw": one_file(raw)})
        repeated = connection.execute(_REPEATED, {"raw": one_file(raw)}).fetchall()
        with table_writer(settled, DOCUMENTS) as writer:
            for batch in connection.sql(_SETTLED, params={"raw": one_file(raw)}).to_arrow_reader(4096):
                writer.write_table(pa.Table.from_batches([batch]).cast(DOCUMENTS))
    return [
        BadRow(file, row, f"the id {document_id!r} was used before, in {first_file}, row {first_row}")
        for file, row, document_id, first_file, first_row in repeated
    ]


def documents_digest(settled: Path) -> str:
    """The key of a whole collection."""
    digests = (digest for part in read_column(settled, "document_digest") for digest in part.to_pylist())
    return digest_of_sequence(digests)


def documents_of(settled: Path) -> Iterator[Document]:
    """The documents of a settled file, in its order."""
    return (document_of(row) for row in stream_rows(settled))


def changes_between(before: Path | None, after: Path) -> Changes:
    """How the documents of the release ``before`` (None: there was none) and ``after`` differ.

    Both are Parquet files with the columns DIGESTS.
    """
    with connect() as connection:
        if before is None:
            row = only_row(connection, _ALL_ADDED, {"after": one_file(after)})
        else:
            row = only_row(connection, _CHANGES, {"before": one_file(before), "after": one_file(after)})
    return Changes(added=row[0], edited=row[1], metadata=row[2], removed=row[3])
