from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from nightrank.storage.errors import InputError
from nightrank.storage.serving.cache import Result
from nightrank.storage.visits.log import VisitLog
from nightrank.tasks.judgments.clicks.impressions import ImpressionsRead, read_impressions
from nightrank.tasks.online.visits import Visits
from nightrank.tasks.settings.inputs import QueriesSettings

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def read(folder: Path, rows: list[dict[str, Any]], **settings: object) -> ImpressionsRead:
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_impressions(QueriesSettings.model_validate({"log": "log.jsonl", **settings}), base=folder)


def cells(found: ImpressionsRead) -> dict[tuple[str, str, int], tuple[float, float]]:
    """Shown and clicked, by query, document and rank from 0."""
    counts = found.counts
    rows = zip(counts.pair_of, counts.ranks, counts.shown, counts.clicked, strict=True)
    return {(*counts.pairs[pair], int(rank)): (float(shown), float(clicked)) for pair, rank, shown, clicked in rows}


def test_what_a_server_wrote_is_what_visitors_saw_and_opened(tmp_path: Path) -> None:
    results = [Result(rank, name, f"{name}#0", 1.0, "", "", {}) for rank, name in enumerate("ab", 1)]
    with VisitLog(tmp_path / "log", keep_days=None, clock=lambda: NOW) as log:
        visits = Visits(log, personal_data="drop", clock=lambda: NOW)
        first, second = (
            visits.searched(text, None, results, how="live", release_id="r", session=session)
            for text, session in (("Black  tea", "s1"), ("black tea?", "s2"))
        )
        visits.clicked(first, "b")
        visits.clicked(second, "b", 2)
        visits.clicked(second, "b", 2)
        visits.searched("call jane@example.org", None, results, how="live", release_id="r")
    found = read_impressions(QueriesSettings(log="log"), base=tmp_path)
    assert cells(found) == {("black tea", "a", 0): (2.0, 0.0), ("black tea", "b", 1): (2.0, 2.0)}
    assert (found.impressions, found.without_list, found.lost_clicks) == (2, 0, 0)
    assert read_impressions(QueriesSettings(log="log", min_users=2), base=tmp_path).impressions == 2
    few = read_impressions(QueriesSettings(log="log", min_users=3), base=tmp_path)
    assert (few.impressions, few.too_few_users) == (0, 1)


def test_a_log_whose_rows_hold_both_is_read_as_well(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        [
            {"query": "tea", "shown": ["a", "b"], "clicked": ["b", "z"]},
            {"query": "tea", "shown": '["b", "a"]', "clicked": "b"},
            {"query": "salt"},
        ],
    )
    assert cells(found) == {
        ("tea", "a", 0): (1.0, 0.0),
        ("tea", "a", 1): (1.0, 0.0),
        ("tea", "b", 0): (1.0, 1.0),
        ("tea", "b", 1): (1.0, 1.0),
    }
    assert (found.without_list, found.lost_clicks) == (1, 1)


def test_robots_what_is_filtered_and_clicks_of_nothing_do_not_count(tmp_path: Path) -> None:
    search = {"shown": ["a"], "clicked": None, "count": 1}
    robot = [
        {"query": "spam", "user": "r", "timestamp": f"2026-03-01T12:00:{second:02}+00:00", **search}
        for second in range(5)
    ]
    found = read(
        tmp_path,
        [
            *robot,
            {"query": "tea", "user_agent": "Googlebot/2", **search},
            {"query": "tea", "filter": {"year": 2024}, **search},
            {"query": "tea", "impression": "i1", **search},
            {"query": "tea", "count": 0, "clicked": "a", "impression": "another", "rank": 1},
            {"query": "tea", "count": 0, "clicked": "b", "impression": "i1", "rank": 1},
        ],
        max_per_minute=3,
    )
    assert cells(found) == {("tea", "a", 0): (1.0, 0.0)}
    assert found.lost_clicks == 2


def test_one_user_who_clicks_without_end_counts_once(tmp_path: Path) -> None:
    one = {"query": "tea", "shown": ["a", "b"], "user": "eager"}
    found = read(
        tmp_path,
        [
            *({**one, "clicked": "b"} for _ in range(100)),
            {**one, "impression": "i1", "clicked": None},
            {"query": "tea", "user": "eager", "count": 0, "clicked": "a", "impression": "i1", "rank": 1},
            {**one, "shown": ["b", "a"], "clicked": None},
            {**one, "user": "another", "clicked": None},
        ],
    )
    assert cells(found) == {
        ("tea", "a", 0): (2.0, 1.0),
        ("tea", "b", 1): (2.0, 1.0),
        ("tea", "b", 0): (1.0, 0.0),
        ("tea", "a", 1): (1.0, 0.0),
    }
    assert found.impressions == 3


def test_a_log_that_does_not_say_what_it_showed_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="which documents it showed"):
        read(tmp_path, [{"query": "tea", "clicked": "a"}])
