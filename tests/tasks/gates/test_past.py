from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from nightrank.storage.files.parquet import read_table, write_table
from nightrank.storage.release.gate_records import PAST_RANKINGS
from nightrank.tasks.gates.judgments import JudgmentCounts
from nightrank.tasks.gates.past import HELD_FOR, Past, PastRelease

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 3, 31, 2, tzinfo=UTC)


def release(name: str, *, days: float, mean: float | None = None, hours: float = 0.0) -> PastRelease:
    at = NOW - timedelta(days=days, hours=hours)
    return PastRelease(name, at, "nDCG@10", mean, JudgmentCounts(1, 2, 1), 10, 100)


def past_of(*releases: PastRelease) -> Past:
    past = Past()
    for one in releases:
        row = {
            "release_id": one.release_id,
            "query_key": "k",
            "query_ids": ["q"],
            "value": 0.5,
            "document_ids": ["a"],
            "content_digests": ["x"],
        }
        past = past.followed_by(one, pa.Table.from_pylist([row], schema=PAST_RANKINGS))
    return past


def names(past: Past) -> list[str]:
    assert past.rankings.column("release_id").to_pylist() == [one.release_id for one in past.releases]
    return [one.release_id for one in past.releases]


def test_releases_are_kept_for_so_many_days_and_none_where_no_days_are_asked_for() -> None:
    past = past_of(release("old", days=30.1), release("month", days=30), release("last", days=1))
    assert names(past.within(30, now=NOW)) == ["month", "last"]
    assert names(past.within(1, now=NOW)) == ["last"]
    assert names(past.within(None, now=NOW)) == []


def test_of_the_releases_of_a_day_the_best_is_kept_and_of_equal_ones_the_first() -> None:
    past = past_of(
        release("first", days=3, mean=0.5),
        release("best", days=3, hours=-1, mean=0.7),
        release("equal", days=3, hours=-2, mean=0.7),
        release("unmeasured", days=2),
        release("later", days=2, hours=-1),
    )
    assert names(past.within(30, now=NOW)) == ["best", "unmeasured"]


def test_a_night_a_minute_leaves_a_release_a_day() -> None:
    past = Past()
    for minute in range(3 * 24 * 60, 0, -60):
        past = past_of(*past.within(30, now=NOW).releases, release(f"r{minute}", days=minute / 1440))
    assert len(past.within(30, now=NOW).releases) <= 4


def test_what_was_accepted_ends_what_earlier_releases_are_held_for_and_nothing_else() -> None:
    past = past_of(release("before", days=2))
    later = past.accepting(["overlap_drift"])
    assert names(later.held_for("rankings")) == []
    assert names(later.held_for("quality")) == names(later.held_for("judgments")) == ["before"]
    assert names(past.accepting([gate for gates in HELD_FOR.values() for gate in gates])) == []
    assert names(past.accepting(["kept", "empty"]).held_for("rankings")) == ["before"]


def test_a_better_release_that_is_no_longer_held_for_something_hides_none_that_is() -> None:
    """Of one day: the better one was published before rankings began anew, the other one after that."""
    better = past_of(release("better", days=2, hours=1, mean=0.9)).accepting(["overlap"])
    both = past_of(*better.releases, release("other", days=2, mean=0.1))
    kept = both.within(30, now=NOW)
    assert names(kept.held_for("quality")) == ["better", "other"]
    assert names(kept.held_for("rankings")) == ["other"]


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    past = past_of(release("a", days=2, mean=0.25), release("b", days=1)).accepting(["judgments"])
    write_table(tmp_path / "releases.parquet", past.table())
    write_table(tmp_path / "rankings.parquet", past.rankings)
    read = Past.of(read_table(tmp_path / "releases.parquet"), read_table(tmp_path / "rankings.parquet"))
    assert read.releases == past.releases
    assert read.rankings.equals(past.rankings)
