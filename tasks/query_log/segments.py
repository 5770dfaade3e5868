"""Segments of a query log: what its column ``segment`` says of queries that have an id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.records import BadRow
from nightrank.tasks.query_log.files import log_files
from nightrank.tasks.query_log.rows import ID_COLUMNS, MAX_ROW_BYTES
from nightrank.tasks.read.account import Account
from nightrank.tasks.read.table_rows import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.tasks.read.table_rows import Row

SEGMENT_COLUMN = "segment"


def read_segments(log: str, *, base: Path) -> dict[str, str]:
    """The segment of each query, by query id; of an id that comes again the last one counts.

    A file of the log has segments where its first row has the column.

    Args:
        log: The query log, as the settings name it.
        base: The folder that it is relative to.

    Returns:
        Empty where the log has none, or is not there any more. Rows that cannot be read say nothing.

    Raises:
        InputError: A file as a whole cannot be read.
    """
    known = Account()  # the first stage of a night told it
    try:
        files = [file for file in log_files(log, base=base, account=known) if file.path.is_file()]
    except InputError:
        return {}
    segments: dict[str, str] = {}
    for file in files:
        segments |= _segments_of(
            read_rows(file.path, name=file.name, max_bytes=MAX_ROW_BYTES, account=known, part="queries")
        )
    return segments


def _segments_of(rows: Iterator[Row | BadRow]) -> dict[str, str]:
    segments: dict[str, str] = {}
    has_segments = False
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
