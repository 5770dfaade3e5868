"""The rows of the log that a server writes: searches, and clicks on their results, as ``[queries].log`` reads them.

Both have the columns that a query log has. A click is a row of its own, with a count of 0 since it is no search.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

How: TypeAlias = Literal["exact", "near", "live", "none"]


class SearchRow(msgspec.Struct, frozen=True, kw_only=True):
    """A search.

    Attributes:
        timestamp: ISO 8601, in UTC.
        query: Normalised.
        filter: As JSON; null without one.
        count: 1.
        clicked: Null: clicks come later. That the column is there says that they would be seen.
        user: What stands for the session on this day; null where none was given.
        how: How it was answered; ``none``: not at all.
        impression: By which clicks name it.
        release_id: Of the release that answered.
        results: How many it had.
        score: Of the first of them; null without one.
        shown: The ids of their documents, best first: what clicks chose among.
    """

    timestamp: str
    query: str
    filter: msgspec.Raw
    count: int = 1
    clicked: None = None
    user: str | None
    how: How
    impression: str
    release_id: str
    results: int
    score: float | None
    shown: tuple[str, ...]


class ClickRow(msgspec.Struct, frozen=True, kw_only=True):
    """A click on a result.

    Attributes:
        timestamp: ISO 8601, in UTC.
        query: Of its search.
        filter: Of its search.
        count: 0.
        clicked: The document's id.
        user: Of its search.
        impression: Of its search.
        rank: Of the result, from 1.
    """

    timestamp: str
    query: str
    filter: msgspec.Raw
    count: int = 0
    clicked: str
    user: str | None
    impression: str
    rank: int


def filter_of(condition: str | None) -> msgspec.Raw:
    """The column of a filter, by its canonical text."""
    return msgspec.Raw(b"null" if condition is None else condition.encode())


def line_of(row: SearchRow | ClickRow) -> bytes:
    """A row as a line, its end included."""
    return msgspec.json.encode(row) + b"\n"
