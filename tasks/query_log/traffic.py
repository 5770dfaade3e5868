"""The traffic of a query log: how often each distinct query was searched for on each day, and by how many users.

A query is its text and its filter. It grows with the distinct queries of each day, 32 bytes each, with the distinct
texts, and with the distinct query ids: a log that gives each row an id of its own grows with its rows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from nightrank.storage.errors import InputError
from nightrank.tasks.personal_data import masked
from nightrank.tasks.read.values import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.records import LoggedQuery

UNDATED = -1
"""The day of rows without a timestamp; days are counted from the first of the first year, as Python does."""
BUFFERED = 500_000


@dataclass(frozen=True, slots=True)
class Entries:
    """Who was searched for when: one entry a number and day, by number, then day.

    Attributes:
        numbers: int64 (n,), of the text, or of the query that it belongs to.
        days: int64 (n,), ``UNDATED`` or a day.
        rows: int64 (n,), of the log.
        counts: int64 (n,), searches.
    """

    numbers: NDArray[np.int64]
    days: NDArray[np.int64]
    rows: NDArray[np.int64]
    counts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numbers)

    def where(self, mask: NDArray[np.bool_]) -> Entries:
        """The entries (m,) that a mask (n,) keeps."""
        return Entries(self.numbers[mask], self.days[mask], self.rows[mask], self.counts[mask])

    def renumbered(self, numbers: NDArray[np.int64]) -> Entries:
        """The entries under other numbers: those that now share number and day are added up.

        Args:
            numbers: int64 (k,), the new number of each old one.
        """
        return added_up(numbers[self.numbers], self.days, self.rows, self.counts)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a log holds, distinct query by distinct query.

    Attributes:
        texts: Normalised, in the order in which the queries first came, (k,).
        conditions: The canonical text of each query's filter, (k,); None without one.
        query_ids: Of each query, in the order met, each once, (k,).
        users: What stands for the users of each query, (k,); as many as were asked for at most.
        entries: Traffic by query and day.
        watched: Searches of each query that would show clicks, (k,).
        clicks: Clicks after searches of each query, (k,).
        unanswered: Searches by day that count as traffic though their text may not be kept.
        has_users: Whether any row named its user.
    """

    texts: list[str]
    conditions: list[str | None]
    query_ids: list[Sequence[str]]
    users: list[frozenset[int]]
    entries: Entries
    watched: list[int]
    clicks: list[int]
    unanswered: Mapping[int, int]
    has_users: bool


class TrafficCounter:
    """Counts the rows of a log.

    Args:
        most_users: How many users of a query to tell apart; no more are remembered.
    """

    def __init__(self, *, most_users: int) -> None:
        self._most_users = most_users
        self._numbers: dict[tuple[str, str | None], int] = {}
        self._ids: dict[int, list[str]] = {}
        self._owners: dict[str, tuple[int, int]] = {}  # of an id: its query, and the row that said so
        self._users: dict[int, set[int]] = {}
        self._has_users = False
        self._unanswered: dict[int, int] = {}
        self._watched: Counter[int] = Counter()
        self._clicks: Counter[tuple[str, str | None]] = Counter()
        self._buffer: list[tuple[int, int, int, int]] = []
        self._entries = added_up(*np.zeros((4, 0), dtype=np.int64))

    def add(self, row: LoggedQuery, text: str) -> None:
        """Count a row; one with a count of 0 as a click alone.

        Args:
            row: Of the log.
            text: What is kept of its query, normalised.

        Raises:
            InputError: Its ``query_id`` was another query's before.
        """
        if row.clicked:
            self._clicks[text, row.condition] += max(1, row.count)
        if row.count == 0:
            return
        number = self._numbers.setdefault((text, row.condition), len(self._numbers))
        self._buffer.append((number, day_of(row), 1, row.count))
        if len(self._buffer) >= BUFFERED:
            self._flush()
        if row.user is not None:
            self._has_users = True
            users = self._users.setdefault(number, set()) if self._most_users > 1 else set()
            if len(users) < self._most_users:
                users.add(row.user)
        if row.shows_clicks:
            self._watched[number] += row.count
        if row.query_id is not None:
            self._note_id(row.query_id, number, row)

    def add_unanswered(self, row: LoggedQuery) -> None:
        """Count a row as traffic, and forget its text."""
        day = day_of(row)
        self._unanswered[day] = self._unanswered.get(day, 0) + row.count
        self._has_users = self._has_users or row.user is not None

    def traffic(self) -> Traffic:
        """What was counted."""
        self._flush()
        numbers = range(len(self._numbers))
        return Traffic(
            texts=[text for text, _ in self._numbers],
            conditions=[condition for _, condition in self._numbers],
            query_ids=[self._ids.get(number, []) for number in numbers],
            users=[frozenset(self._users.get(number, ())) for number in numbers],
            entries=self._entries,
            watched=[self._watched[number] for number in numbers],
            clicks=[self._clicks[query] for query in self._numbers],
            unanswered=self._unanswered,
            has_users=self._has_users,
        )

    def _note_id(self, query_id: str, number: int, row: LoggedQuery) -> None:
        if query_id not in self._owners:
            self._owners[query_id] = number, row.row
            self._ids.setdefault(number, []).append(query_id)
        owner, first = self._owners[query_id]
        if owner != number:
            raise InputError(
                f"{row.file}, rows {first} and {row.row}: the query_id {shown(masked(query_id))} "
                "stands for two different queries.",
                remedy="Give each query an id of its own; the same text with another filter is another query.",
            )

    def _flush(self) -> None:
        if self._buffer:
            fresh = np.array(self._buffer, dtype=np.int64).T
            old = self._entries
            held = np.array([old.numbers, old.days, old.rows, old.counts])
            self._entries = added_up(*np.concatenate([held, fresh], axis=1))
            self._buffer = []


def day_of(row: LoggedQuery) -> int:
    """The day of a row, in UTC where its timestamp says how far it is from it."""
    if row.timestamp is None:
        return UNDATED
    at = datetime.fromisoformat(row.timestamp)
    return (at if at.tzinfo is None else at.astimezone(UTC)).toordinal()


def totals(entries: Entries, values: NDArray[np.int64], *, size: int) -> NDArray[np.int64]:
    """The sum of values (n,), one an entry, by number: int64 (size,)."""
    sums = np.zeros(size, dtype=np.int64)
    np.add.at(sums, entries.numbers, values)
    return sums


def added_up(
    numbers: NDArray[np.int64], days: NDArray[np.int64], rows: NDArray[np.int64], counts: NDArray[np.int64]
) -> Entries:
    """Entries (m,) from parts (n,) that may come more than once.

    >>> numbers, days, one = np.array([1, 0, 1]), np.array([5, 5, 5]), np.ones(3, dtype=np.int64)
    >>> added_up(numbers, days, one, np.array([2, 7, 1])).counts.tolist()
    [7, 3]
    """
    order = np.lexsort((days, numbers))
    numbers, days = numbers[order], days[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(numbers) != 0) | (np.diff(days) != 0)][: len(numbers)])
    return Entries(
        numbers[starts],
        days[starts],
        *(np.add.reduceat(values[order], starts) if starts.size else values for values in (rows, counts)),
    )
