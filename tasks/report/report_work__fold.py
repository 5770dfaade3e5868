"""What a night cost and what it set aside, as the report tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

REASONS = 12  # kinds of bad rows that are told one by one


class StageSeconds(NamedTuple):
    """How long a stage took, its share of the longest stage's time, and how long it took the night before."""

    name: str
    seconds: float
    share: float
    before: float | None


class Drop(NamedTuple):
    """Why rows of the log were not kept."""

    reason: str
    rows: int
    traffic: int


class BadRows(NamedTuple):
    """Rows with one fault, and where the first of them is; the last record may stand for all further reasons."""

    reason: str
    rows: int
    first: str


def stage_seconds(seconds: Mapping[str, float], before: Mapping[str, float]) -> list[StageSeconds]:
    """The stages in their order, without the total.

    >>> [(stage.name, stage.share) for stage in stage_seconds({"total": 9.0, "read": 1.0, "embed": 4.0}, {})]
    [('read', 0.25), ('embed', 1.0)]
    """
    stages = {name: value for name, value in seconds.items() if name != "total"}
    longest = max(stages.values(), default=0.0) or 1.0
    return [StageSeconds(name, value, value / longest, before.get(name)) for name, value in stages.items()]


def drops(table: pa.Table) -> list[Drop]:
    """The rows of a table of schema DROPS, most traffic first."""
    return sorted((Drop(**row) for row in table.to_pylist()), key=lambda drop: (-drop.traffic, drop.reason))


def bad_rows(table: pa.Table) -> list[BadRows]:
    """Bad rows by reason, most frequent first; beyond a dozen reasons the others are one entry.

    Args:
        table: Schema BAD_ROWS.
    """
    groups = table.group_by("reason", use_threads=False)  # with threads there is no first one
    counted = groups.aggregate([([], "count_all"), ("file", "first"), ("row", "first")])
    ordered = counted.sort_by([("count_all", "descending"), ("reason", "ascending")])
    told = [
        BadRows(row["reason"], row["count_all"], f"{row['file_first']}, row {row['row_first']}")
        for row in ordered.slice(0, REASONS + 1).to_pylist()
    ]
    if len(told) > REASONS:
        others = ordered.slice(REASONS)
        rows = pc.sum(others.column("count_all")).as_py()
        told[REASONS] = BadRows(f"{len(others)} other reasons", rows, told[REASONS].first)
    return told
