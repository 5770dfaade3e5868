"""What a night cost and set aside, as its report counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.files.parquet import read_table
from nightrank.storage.records import BAD_ROWS
from nightrank.storage.release.evaluation import DROPPED
from nightrank.tasks.report.sections import REASONS, bad_rows, dropped, stage_seconds
from tests.support.reported import write_rows

if TYPE_CHECKING:
    from pathlib import Path


def test_bad_rows_are_counted_by_reason_with_the_place_of_the_first(tmp_path: Path) -> None:
    rows = [("a.csv", 2, "no text"), ("a.csv", 5, "no id"), ("b.csv", 1, "no id")]
    write_rows(tmp_path / "bad.parquet", BAD_ROWS, rows)

    assert bad_rows(read_table(tmp_path / "bad.parquet")) == [
        ("no id", 2, "a.csv, row 5"),
        ("no text", 1, "a.csv, row 2"),
    ]


def test_many_reasons_end_in_one_line_for_the_others(tmp_path: Path) -> None:
    write_rows(tmp_path / "bad.parquet", BAD_ROWS, [("a.csv", row, f"reason {row:03}") for row in range(100)])

    reported = bad_rows(read_table(tmp_path / "bad.parquet"))

    assert len(reported) == REASONS + 1
    assert reported[-1] == (f"{100 - REASONS} other reasons", 100 - REASONS, f"a.csv, row {REASONS}")


def test_drops_come_by_the_traffic_that_they_cost(tmp_path: Path) -> None:
    write_rows(tmp_path / "dropped.parquet", DROPPED, [("a robot", 9, 10), ("a replay", 1, 40)])

    assert [drop.reason for drop in dropped(read_table(tmp_path / "dropped.parquet"))] == ["a replay", "a robot"]


def test_stages_stand_beside_what_they_took_the_night_before() -> None:
    assert stage_seconds({"total": 3.0, "read": 1.0, "new": 2.0}, {"total": 8.0, "read": 4.0}) == [
        ("read", 1.0, 0.5, 4.0),
        ("new", 2.0, 1.0, None),
    ]
