"""Segments of a query log: what its column ``segment`` says of queries that have an id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.records import BadRow
from nightrank.tasks.personal_data import impersonal_id
from nightrank.tasks.query_log.file.find import log_files
from nightrank.tasks.read.account import Account
from nightrank.tasks.read.values import identifier

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.tasks.query_log.file.rows import LogFile
    from nightrank.tasks.settings.inputs import QueriesSettings


def read_segments(settings: QueriesSettings, *, base: Path) -> dict[str, str]:
    """The segment of each query, by query id; of an id that comes again the last one counts.

    A file of the log has segments where its first row has the column.

    Args:
        settings: They name the query log.
        base: The folder that it is relative to.

    Returns:
        Empty where the log has none, or is not there any more. Rows that cannot be read say nothing.

    Raises:
        InputError: A file as a whole cannot be read.
    """
    try:
        logs = log_files(settings, base=base, account=Account())  # the first stage of a night told it
    except InputError:
        return {}
    segments: dict[str, str] = {}
    for log in logs:
        if log.file.path.is_file():
            segments |= _segments_of(log)
    return segments


def _segments_of(log: LogFile) -> dict[str, str]:
    segments: dict[str, str] = {}
    has_segments = False
    for row in log.rows():
        if isinstance(row, BadRow):
            continue
        columns = log.columns.taken(tuple(row.values)).columns
        has_segments = has_segments or "segment" in columns
        if not has_segments:
            break
        segment = next((row.values[column] for column in columns.get("segment", ())), None)
        query_ids = (row.values[column] for column in columns.get("query_id", ()))
        query_id = next((value for value in query_ids if value not in (None, "")), None)
        if isinstance(segment, str) and segment.strip() and query_id is not None:
            segments[impersonal_id(identifier(query_id))] = " ".join(segment.split())
    return segments
