from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.serving.cache import Result
from nightrank.storage.visits.log import VisitLog
from nightrank.tasks.online import visits
from nightrank.tasks.online.visits import Visits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.tasks.personal_data import PersonalData

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RESULTS = tuple(Result(rank, name, f"{name}#{rank}", 1.0 / rank, "", "", {}) for rank, name in enumerate("aba", 1))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[VisitLog]:
    with VisitLog(tmp_path / "log", keep_days=None) as made:
        yield made


def rows(log: VisitLog, folder: Path) -> list[dict[str, object]]:
    log.flush()
    return [json.loads(line) for path in folder.glob("log/*.jsonl") for line in path.read_text().splitlines()]


def noting(log: VisitLog, personal_data: PersonalData = "drop") -> Visits:
    return Visits(log, personal_data=personal_data, clock=lambda: NOON)


def test_a_search_and_the_clicks_on_its_results_are_rows(log: VisitLog, tmp_path: Path) -> None:
    note = noting(log)
    impression = note.searched("  Read A csv ", '{"a":1}', RESULTS, how="live", release_id="r1", session="s")
    assert note.clicked(impression, "b") == "noted"
    assert note.clicked(impression, "a", rank=3) == "noted"
    searched, first, second = rows(log, tmp_path)
    assert (searched["query"], searched["filter"], searched["how"]) == ("read a csv", {"a": 1}, "live")
    assert (searched["results"], searched["score"], searched["impression"]) == (3, 1.0, impression)
    assert [(row["clicked"], row["rank"], row["count"], row["query"]) for row in (first, second)] == [
        ("b", 2, 0, "read a csv"),
        ("a", 3, 0, "read a csv"),
    ]
    assert searched["user"] == first["user"] == second["user"] != "s"


def test_a_result_is_clicked_once_and_nothing_else_can_be(log: VisitLog, tmp_path: Path) -> None:
    note = noting(log)
    impression = note.searched("tea", None, RESULTS, how="exact", release_id="r1")
    assert [note.clicked(impression, "a"), note.clicked(impression, "a", rank=1)] == ["noted", "noted"]
    assert note.clicked(impression, "z") == "not a result"
    assert note.clicked(impression, "b", rank=1) == "not a result"
    assert note.clicked("no-such-impression", "a") == "unknown"
    assert [row["clicked"] for row in rows(log, tmp_path)] == [None, "a"]


@pytest.mark.parametrize(
    ("personal_data", "query", "condition", "noted"),
    [
        ("drop", "mail jane.doe@example.org", None, []),
        ("mask", "mail jane.doe@example.org", None, ["mail [email]"]),
        ("keep", "mail jane.doe@example.org", None, ["mail jane.doe@example.org"]),
        ("drop", "tea", '{"owner":"jane.doe@example.org"}', []),
        ("mask", "tea", '{"owner":"jane.doe@example.org"}', []),
        ("drop", " \t", None, []),
        ("drop", "x" * 1001, None, []),
        ("drop", "half \ud83d of a character", None, ["half ? of a character"]),
    ],
)
def test_what_may_not_be_kept_is_not_noted_and_neither_are_clicks_on_it(
    log: VisitLog, tmp_path: Path, personal_data: PersonalData, query: str, condition: str | None, noted: list[str]
) -> None:
    note = noting(log, personal_data)
    impression = note.searched(query, condition, RESULTS, how="exact", release_id="r1", session="s")
    assert note.clicked(impression, "a") == "noted"
    assert [row["query"] for row in rows(log, tmp_path)] == [text for text in noted for _ in range(2)]


def test_searches_are_forgotten_when_enough_came_after_them(log: VisitLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visits, "SEARCHES_REMEMBERED", 2)
    note = noting(log)
    first, second, third = (note.searched("tea", None, RESULTS, how="exact", release_id="r1") for _ in range(3))
    assert [note.clicked(one, "a") for one in (first, second, third)] == ["unknown", "noted", "noted"]


def test_without_a_log_impressions_are_given_out_and_nothing_is_noted() -> None:
    note = Visits(None, personal_data="drop")
    assert note.clicked(note.searched("tea", None, RESULTS, how="exact", release_id="r1"), "a") == "unknown"
