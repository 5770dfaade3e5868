from __future__ import annotations

import json
import logging
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError
from nightrank.storage.visits.days import file_of, remove_old, salt_of
from nightrank.storage.visits.log import VisitLog
from nightrank.storage.visits.rows import ClickRow, SearchRow, filter_of

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def search(query: str, *, impression: str = "i") -> SearchRow:
    return SearchRow(
        timestamp=NOON.isoformat(),
        query=query,
        filter=filter_of(None),
        user=None,
        how="exact",
        impression=impression,
        release_id="r1",
        results=1,
        score=0.5,
        shown=("d1",),
    )


def opened(folder: Path) -> VisitLog:
    """A log on the day of ``NOON``."""
    return VisitLog(folder, keep_days=None, clock=lambda: NOON)


def queries(path: Path) -> list[str]:
    data = path.read_bytes()
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line)["query"] for line in data.splitlines()]


def test_a_row_is_a_line_with_the_columns_of_a_query_log(tmp_path: Path) -> None:
    click = ClickRow(
        timestamp=NOON.isoformat(), query="tea\n\u2028", filter=filter_of('{"a":1}'), clicked="d", user="u",
        impression="i", rank=2,
    )  # fmt: skip
    with opened(tmp_path) as log:
        log.write(search("tea"), at=NOON)
        log.write(click, at=NOON)
    [first, second] = file_of(tmp_path, NOON.date()).read_bytes().split(b"\n")[:2]
    assert json.loads(first) == {
        "timestamp": "2026-03-01T12:00:00+00:00", "query": "tea", "filter": None, "count": 1, "clicked": None,
        "user": None, "how": "exact", "impression": "i", "release_id": "r1", "results": 1, "score": 0.5,
        "shown": ["d1"],
    }  # fmt: skip
    assert json.loads(second) == {
        "timestamp": "2026-03-01T12:00:00+00:00", "query": "tea\n\u2028", "filter": {"a": 1}, "count": 0,
        "clicked": "d", "user": "u", "impression": "i", "rank": 2,
    }  # fmt: skip


def test_each_day_has_a_file_whichever_row_comes_first(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        for hours in (0, 12, 11, 13, 36):
            log.write(search(f"q{hours}"), at=NOON + timedelta(hours=hours))
        assert log.counts.lost == 0
    found = {path.name: queries(path) for path in sorted(tmp_path.glob("*.jsonl"))}
    assert found == {
        "queries-2026-03-01.jsonl": ["q0", "q11"],
        "queries-2026-03-02.jsonl": ["q12", "q13"],
        "queries-2026-03-03.jsonl": ["q36"],
    }


def test_rows_of_many_threads_are_whole_and_all_there(tmp_path: Path) -> None:
    with opened(tmp_path) as log, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: log.write(search(f"query {number} " + "x" * number), at=NOON), range(1000)))
        log.flush()
        assert log.counts == (1000, 0)
    assert sorted(queries(file_of(tmp_path, NOON.date()))) == sorted(f"query {n} " + "x" * n for n in range(1000))


def test_what_a_crash_left_of_a_row_is_cut_off_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = file_of(tmp_path, NOON.date())
    path.write_bytes(b'{"query":"old"}\n{"query":"to')
    with caplog.at_level(logging.WARNING), opened(tmp_path) as log:
        log.write(search("new"), at=NOON)
    assert queries(path) == ["old", "new"]
    assert "ended in the midst of a row" in caplog.text


def test_a_file_that_was_taken_away_is_begun_anew(tmp_path: Path) -> None:
    path = file_of(tmp_path, NOON.date())
    with opened(tmp_path) as log:
        log.write(search("first"), at=NOON)
        log.flush()
        path.rename(tmp_path / "taken")
        log.write(search("second"), at=NOON)
    assert queries(path) == ["second"]
    assert queries(tmp_path / "taken") == ["first"]


def test_who_writes_a_log_at_the_same_time_has_files_of_its_own(tmp_path: Path) -> None:
    day = NOON.date()
    with opened(tmp_path) as one, opened(tmp_path) as other:
        one.write(search("one"), at=NOON)
        other.write(search("other"), at=NOON)
        assert one.user("s", at=NOON) == other.user("s", at=NOON)
    with opened(tmp_path) as later:
        later.write(search("later"), at=NOON)
    assert queries(file_of(tmp_path, day)) == ["one", "later"]
    assert queries(file_of(tmp_path, day, writer=2)) == ["other"]
    remove_old(tmp_path, today=day + timedelta(days=9), keep_days=1)
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_folder_that_cannot_be_made_is_an_error_before_anything_is_served(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        VisitLog(tmp_path / "file" / "log", keep_days=None)


def test_where_the_disk_takes_no_more_rows_are_lost_whole_counted_and_told_once(tmp_path: Path) -> None:
    """The limit of a file's size stands for a full disk: the last write is cut short, as there."""
    code = f"""
import resource, logging, sys
from datetime import UTC, datetime
from pathlib import Path
from nightrank.storage.visits.log import VisitLog
from tests.storage.visits.test_log import NOON, search
logging.basicConfig(stream=sys.stdout)
with VisitLog(Path({str(tmp_path)!r}), keep_days=None) as log:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    for number in range(20):
        log.write(search(f"q{{number}}"), at=NOON)
        log.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    log.write(search("again"), at=NOON)
    log.flush()
    print(*log.counts)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    rows = queries(file_of(tmp_path, NOON.date()))
    assert rows == [*(f"q{number}" for number in range(len(rows) - 1)), "again"]
    assert run.stdout.splitlines()[-1] == f"{len(rows)} {21 - len(rows)}"
    assert run.stdout.count("are lost") == run.stdout.count("is written again") == 1


def test_days_that_are_over_leave_no_salt_and_old_files_go(tmp_path: Path) -> None:
    today = date(2026, 3, 10)
    old, kept, mine = file_of(tmp_path, date(2026, 3, 6)), file_of(tmp_path, date(2026, 3, 7)), tmp_path / "mine.jsonl"
    for path in (old, kept, mine, tmp_path / "queries-2026-99-99.jsonl"):
        path.write_text("")
    first, second = salt_of(tmp_path, date(2026, 3, 9)), salt_of(tmp_path, today)
    assert first != second
    assert salt_of(tmp_path, today) == second
    remove_old(tmp_path, today=today, keep_days=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".salt-2026-03-10", "mine.jsonl", "queries-2026-03-07.jsonl", "queries-2026-99-99.jsonl"
    ]  # fmt: skip
    remove_old(tmp_path, today=date(2030, 1, 1), keep_days=None)
    assert kept.exists()


def test_a_session_is_the_same_all_day_also_after_a_restart_and_another_on_the_next(tmp_path: Path) -> None:
    clock = [NOON]
    with VisitLog(tmp_path, keep_days=None, clock=lambda: clock[0]) as log:
        first = log.user("session-1", at=NOON)
        assert first == log.user("session-1", at=NOON + timedelta(hours=11)) != log.user("session-2", at=NOON)
    with VisitLog(tmp_path, keep_days=None, clock=lambda: clock[0]) as log:
        assert log.user("session-1", at=NOON) == first
        [salt] = tmp_path.glob(".salt-*")
        assert stat.S_IMODE(salt.stat().st_mode) == 0o600
        assert log.user("session-1", at=NOON + timedelta(days=1)) != first
        clock[0] = NOON + timedelta(days=1)
        log.write(search("q"), at=clock[0])
        log.flush()
        assert [path.name for path in tmp_path.glob(".salt-*")] == [".salt-2026-03-02"]
    assert "session-1" not in "".join(path.read_text(errors="replace") for path in tmp_path.iterdir())
