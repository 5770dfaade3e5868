from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError
from nightrank.storage.keys import normalise_query
from nightrank.storage.rates import BurstCounter
from nightrank.tasks.query_log.dropped import AGENT, BURST, LISTED
from nightrank.tasks.query_log.file.rows import hashed
from nightrank.tasks.query_log.screen import DropList, Screen, count_rate, read_drop_list
from nightrank.tasks.read.account import Account
from nightrank.tasks.settings.inputs import QueriesSettings
from tests.support.query_logs import logged

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.records import LoggedQuery

SALT = b"of this run"
AGENTS = tuple(part.casefold() for part in QueriesSettings(log="-").robot_agents)
NOTHING = Screen(agents=(), listed=DropList())


def reason(screen: Screen, row: LoggedQuery) -> str | None:
    return screen.reason_to_drop(row, normalise_query(row.text))


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2)",
        "curl/8.5.0",
        "python-requests/2.31",
        "NIGHTRANK replay",
        "Mozilla/5.0 HeadlessChrome/120.0",
    ],
)
def test_robots_and_our_own_replays_are_known_by_their_agent(agent: str) -> None:
    assert reason(Screen(AGENTS, DropList()), logged("a", agent=agent)) == AGENT


@pytest.mark.parametrize(
    "agent",
    ["", "Mozilla/5.0 (Linux; Android 13; CUBOT X70) AppleWebKit/537.36", "Mozilla/5.0 (X11; Linux) Firefox/121.0"],
)
def test_people_are_not_taken_for_robots_by_their_agent(agent: str) -> None:
    assert reason(Screen(AGENTS, DropList()), logged("a", agent=agent)) is None


def test_a_part_of_an_agent_is_a_plain_text_and_no_pattern() -> None:
    assert reason(Screen((".*",), DropList()), logged("a", agent="Firefox")) is None
    assert reason(Screen((".*",), DropList()), logged("a", agent="x.*y")) == AGENT


def test_listed_queries_and_users_are_dropped_in_every_form(tmp_path: Path) -> None:
    path = tmp_path / "drop.csv"
    path.write_text("query,user\nSecret Project?,\n,u1\n", encoding="utf-8")
    screen = Screen((), read_drop_list(path, name="drop.csv", salt=SALT, account=Account()))
    assert reason(screen, logged("secret  project")) == LISTED
    assert reason(screen, logged("a", user=hashed("u1", salt=SALT))) == LISTED
    assert reason(screen, logged("a", user=hashed("u2", salt=SALT))) is None
    assert reason(screen, logged("secret projects")) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"query": "a"}\n{"words": "b"}\n', "drop.jsonl, row 2: there is neither a query nor a user"),
        ('{"query": true}\n', "drop.jsonl, row 1: the query is not a text"),
        ("{\n", "drop.jsonl, row 1: broken JSON"),
    ],
)
def test_a_row_of_the_drop_list_that_cannot_be_read_stops_the_run(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "drop.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_drop_list(path, name="drop.jsonl", salt=SALT, account=Account())
    assert message in caught.value.message


def over(limit: int, *rows: LoggedQuery) -> frozenset[int]:
    with BurstCounter() as counter:
        for row in rows:
            count_rate(row, counter)
        return counter.users_over(limit)


def test_whoever_sends_more_queries_in_a_minute_than_the_limit_is_a_robot() -> None:
    robot = [logged("a", user=1, at=f"2024-06-03T10:00:{second:02}Z") for second in range(3)]
    person = [logged("a", user=2, at=f"2024-06-03T10:0{minute}:59") for minute in range(9)]
    assert over(2, *robot, *person) == {1}
    assert over(3, *robot, *person) == frozenset()
    screen = Screen((), DropList(), robots=over(2, *robot))
    assert reason(screen, logged("b", user=1)) == BURST
    assert reason(screen, logged("b", user=2)) is None


def test_a_rate_is_counted_across_offsets() -> None:
    rows = [logged("a", user=1, at="2024-06-03T12:00:01+02:00"), logged("b", user=1, at="2024-06-03T10:00:59Z")]
    assert over(1, *rows) == {1}


def test_rows_that_add_searches_up_or_stand_for_a_day_are_no_burst() -> None:
    assert over(1, logged("a", user=1, count=500, at="2024-06-03T10:00:01Z")) == frozenset()
    assert over(1, *[logged("a", user=1, at="2024-06-03T00:00:00+02:00")] * 9) == frozenset()


def test_a_session_stands_for_a_user_who_is_not_named() -> None:
    rows = [logged("a", session=5, at="2024-06-03T10:00:00Z")] * 2
    assert over(1, *rows) == {5}
    assert reason(Screen((), DropList(), robots=frozenset({5})), rows[0]) == BURST


def test_without_a_user_or_a_time_of_day_there_is_no_rate() -> None:
    rows = [logged("a", at="2024-06-03T10:00:00Z"), logged("a", user=1, at="2024-06-03"), logged("a", user=1)]
    assert over(1, *rows, *rows, *rows) == frozenset()
    assert reason(Screen((), DropList(), robots=frozenset({5})), rows[0]) is None
