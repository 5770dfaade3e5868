"""Rows of query logs for tests, written short."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.keys import normalise_query
from nightrank.storage.records import LoggedQuery
from nightrank.tasks.query_log.traffic import TrafficCounter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nightrank.tasks.query_log.traffic import Traffic


def logged(
    text: str,
    *,
    count: int = 1,
    at: str | None = None,
    query_id: str | None = None,
    user: int | None = None,
    session: int | None = None,
    agent: str = "",
    row: int = 1,
) -> LoggedQuery:
    return LoggedQuery(text, query_id, count, at, "log.jsonl", row, user=user, session=session, user_agent=agent)


def traffic_of(rows: Iterable[LoggedQuery], *, most_users: int = 1) -> Traffic:
    counter = TrafficCounter(most_users=most_users)
    for row in rows:
        counter.add(row, normalise_query(row.text))
    return counter.traffic()
