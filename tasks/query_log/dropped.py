"""What of a query log was not kept: a tally by reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa

from nightrank.storage.release.evaluation import DROPPED

BAD_ROW = "bad row"
NO_TRAFFIC = "count 0"
BURST = "robot by rate"
AGENT = "robot by user agent"
LISTED = "drop list"
PERSONAL = "personal data"
FILTER = "filter that cannot be applied"
TOO_FEW_USERS = "too few users"
OVER_BUDGET = "over the budget"
REASONS = (BAD_ROW, NO_TRAFFIC, BURST, AGENT, LISTED, FILTER, PERSONAL, TOO_FEW_USERS, OVER_BUDGET)


class Dropped(NamedTuple):
    """Rows of the log that were not kept for one reason, and the sum of their counts."""

    reason: str
    rows: int
    traffic: int


@dataclass(slots=True)
class Tally:
    """Rows and traffic by reason, counted up while a log is read."""

    _rows: dict[str, int] = field(default_factory=dict)
    _traffic: dict[str, int] = field(default_factory=dict)

    def add(self, reason: str, *, rows: int = 1, traffic: int) -> None:
        """Count rows of that reason, and the sum of their counts."""
        self._rows[reason] = self._rows.get(reason, 0) + rows
        self._traffic[reason] = self._traffic.get(reason, 0) + traffic

    def traffic_of(self, *reasons: str) -> int:
        """The traffic that some reasons took together."""
        return sum(self._traffic.get(reason, 0) for reason in reasons)

    def rows_of(self, reason: str) -> int:
        """How many rows a reason took."""
        return self._rows.get(reason, 0)

    def table(self) -> pa.Table:
        """The tally, schema DROPPED, in the order of ``REASONS``; reasons that met no row are left out."""
        met = [reason for reason in REASONS if self._rows.get(reason)]
        columns = [met, [self._rows[reason] for reason in met], [self._traffic[reason] for reason in met]]
        return pa.table(
            [pa.array(column, of.type) for column, of in zip(columns, DROPPED, strict=True)],
            schema=DROPPED,
        )
