"""Segments of a query log: what its column ``segment`` says of queries that have an id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.records import BadRow
from nightrank.tasks.query_log.rows import ID_COLUMNS, MAX_ROW_BYTES
from nightrank.tasks.read.account import Account
from nightrank.tasks.read.table_rows import read_rows

if TYPE_CHECKING:
    from pathlib import Path

SEGMENT_COLUMN = "segment"


def read_segments(path: Path, *, name: str) -> dict[str, str]:
    """The segment of each query, by query id; of an id that comes again the last one counts.

    A log has segments where its first row has the column.

    Args:
        path: The query log.
        name: What the user calls it.

    Returns:
        Empty where the log has none, or is not there any more. Rows that cannot be read say nothing.

    Raises:
        InputError: The file as a whole cannot be read.
    """
    segments: dict[str, str] = {}
    has_segments = False
    known = Account()  # the first stage told it
    rows = read_rows(path, name=name, max_bytes=MAX_ROW_BYTES, account=known, part="queries") if path.is_file() else ()
    for row in rows:
        if isinstance(row, BadRow):
            continue
        has_segments = has_segments or SEGMENT_COLUMN in row.values
        if not has_segments:
            break
        segment = row.values.get(SEGMENT_COLUMN)
        query_id = next((row.values[column] for column in ID_COLUMNS if row.values.get(column) not in (None, "")), None)
        if isinstance(segment, str) and segment.strip() and query_id is not None:
            segments[str(query_id)] = " ".join(segment.split())
    return segments
