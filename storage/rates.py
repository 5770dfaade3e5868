"""How many queries a user sent in each minute, counted in DuckDB, which spills to disk where there are many users."""

from __future__ import annotations

import pyarrow as pa
from typing_extensions import override

from nightrank.storage.closing import Closing
from nightrank.storage.files.database import connect

BATCH = 100_000

_SCHEMA = pa.schema([("user", pa.int64()), ("minute", pa.int64()), ("queries", pa.int64())])
_CREATE = "CREATE TABLE sent (user_number BIGINT NOT NULL, minute BIGINT NOT NULL, queries BIGINT NOT NULL)"
_APPEND = 'INSERT INTO sent SELECT "user", minute, sum(queries) FROM batch GROUP BY ALL'
_OVER = """
SELECT DISTINCT user_number FROM (
    SELECT user_number FROM sent GROUP BY user_number, minute HAVING sum(queries) > $limit
)
"""


class BurstCounter(Closing):
    """Counts queries by user and minute; it lives as long as one reading of a log."""

    def __init__(self) -> None:
        self._connection = connect()
        self._connection.execute(_CREATE)
        self._rows: list[tuple[int, int, int]] = []

    @override
    def close(self) -> None:
        self._connection.close()

    def add(self, user: int, *, minute: int, queries: int) -> None:
        """Count queries of a user.

        Args:
            user: What stands for the user.
            minute: Since 1970.
            queries: How many.
        """
        self._rows.append((user, minute, queries))
        if len(self._rows) >= BATCH:
            self._flush()

    def users_over(self, limit: int) -> frozenset[int]:
        """The users who sent more than ``limit`` queries in some minute."""
        self._flush()
        return frozenset(user for (user,) in self._connection.execute(_OVER, {"limit": limit}).fetchall())

    def _flush(self) -> None:
        if self._rows:
            columns = zip(*self._rows, strict=True)
            self._connection.register("batch", pa.table([pa.array(c, pa.int64()) for c in columns], schema=_SCHEMA))
            self._connection.execute(_APPEND)
            self._connection.unregister("batch")
            self._rows = []
