from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from nightrank.storage.errors import InputError
from nightrank.storage.files.parquet import RowWriter, write_table
from nightrank.storage.keys import query_key
from nightrank.storage.records import BAD_ROWS, QUERIES
from nightrank.storage.release.files import Queries, ReleaseFiles
from nightrank.tasks.personal_data import impersonal_id
from nightrank.tasks.query_log.fill import DocumentQuery
from nightrank.tasks.query_log.select import LogToRead, QueriesRead, read_queries
from nightrank.tasks.read.account import Account
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


class Log:
    """A query log in a folder, and what is read of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = ReleaseFiles(folder)
        self.pairs_per_second: float | None = None
        self.answered: Queries | None = None
        self.refused: dict[str, str] = {}
        self.titles: list[str] = []

    def refuse(self, conditions: Collection[str]) -> dict[str, str]:
        return {condition: self.refused[condition] for condition in conditions if condition in self.refused}

    def read(self, rows: list[dict[str, Any]], **settings: object) -> QueriesRead:
        return self.read_with(settings, rows, judged=())

    def read_with(
        self, settings: dict[str, object], rows: list[dict[str, Any]], *, judged: tuple[str, ...]
    ) -> QueriesRead:
        (self.folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        queries = {"log": "log.jsonl" if rows else "none", "max_bad_row_share": 1.0, **settings}
        log = LogToRead(
            Settings.model_validate({"documents": {"source": "-"}, "queries": queries}),
            self.folder,
            pairs_per_second=self.pairs_per_second,
            answered=self.answered,
        )
        with RowWriter(self.files.bad_rows.path, BAD_ROWS) as bad:
            return read_queries(
                log,
                bad,
                judged=set(judged),
                refuse=self.refuse,
                ask_documents=lambda: [DocumentQuery(text, "title") for text in self.titles],
                account=Account(),
            )

    def texts(self, rows: list[dict[str, Any]], *, judged: tuple[str, ...] = (), **settings: object) -> list[str]:
        queries = self.read_with(settings, rows, judged=judged).queries
        assert queries.schema == QUERIES
        texts: list[str] = queries.column("text").to_pylist()
        return texts

    def dropped(self, rows: list[dict[str, Any]], **settings: object) -> tuple[dict[str, tuple[int, int]], QueriesRead]:
        """(rows, traffic) by reason."""
        read = self.read(rows, **settings)
        return {row["reason"]: (row["rows"], row["traffic"]) for row in read.dropped.to_pylist()}, read


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_each_row_that_is_not_kept_is_counted_with_its_reason(log: Log) -> None:
    fast = [{"query": "a", "user": "r", "count": 2, "timestamp": f"2024-06-03T10:00:0{i}Z"} for i in range(4)]
    rows: list[dict[str, Any]] = [
        *fast,
        {"query": "b", "user": "r"},
        {"query": "a", "user_agent": "curl/8", "count": 5},
        {"query": "out", "count": 7},
        {"query": "ask jane@example.org", "count": 2, "user": "u1"},
        {"query": "rare", "count": 3, "user": "u1"},
        {"query": ""},
        *({"query": "common", "count": 4, "user": user} for user in ("u1", "u2")),
        *({"query": "usual", "count": 1, "user": user} for user in ("u1", "u2")),
    ]
    (log.folder / "drop.csv").write_text("query\nout\n", encoding="utf-8")
    dropped, read = log.dropped(rows, max_per_minute=3, drop_list="drop.csv", min_users=2, budget=1)
    assert dropped == {
        "bad row": (1, 0),
        "robot by rate": (5, 9),
        "robot by user agent": (1, 5),
        "drop list": (1, 7),
        "personal data": (1, 2),
        "too few users": (1, 3),
        "over the budget": (2, 2),
    }
    # People searched 2 + 3 + 8 + 2 times, and "common" is answered.
    assert (read.bad, read.coverage, read.screened) == (1, 8 / 15, 21 / 36)


def test_robots_leave_no_traffic_behind_and_bad_rows_are_told_once(log: Log) -> None:
    rows = [
        *({"query": "bought", "user": "r", "timestamp": f"2024-06-03T10:00:0{i}Z"} for i in range(9)),
        {"query": "bought?", "user": "p"},
        {"query": ""},
    ]
    read = log.read(rows, max_per_minute=8)
    assert [(row["text"], row["count"]) for row in read.queries.to_pylist()] == [("bought?", 1)]
    assert log.files.bad_rows.read().column("row").to_pylist() == [11]
    read = log.read(rows, max_per_minute="none")
    assert [(row["text"], row["count"]) for row in read.queries.to_pylist()] == [("bought", 10)]


def test_queries_of_fewer_users_than_asked_for_are_not_kept_though_they_are_frequent_or_judged(log: Log) -> None:
    rows: list[dict[str, Any]] = [
        {"query": "one of one", "user": "u1", "count": 99, "query_id": "q1"},
        *({"query": "of two", "user": user} for user in ("u1", "u2", "u1")),
        {"query": "of-two?", "user": 3},
    ]
    assert log.texts(rows, min_users=3, judged=("q1",)) == ["of two"]
    assert log.texts(rows, min_users=2) == ["of two"]
    assert log.texts(rows, min_users=1) == ["one of one", "of two"]
    assert log.texts([*rows, {"query": "nameless", "count": 50}], min_users=2) == ["of two"]


def test_spellings_of_a_user_are_one_and_a_form_that_one_person_typed_is_not_kept(log: Log) -> None:
    rows: list[dict[str, Any]] = [
        *({"query": "lonely query", "user": user} for user in ("u", "U", " u ", "\uff55", "u\u200b")),
        *({"query": "my secret is 12-34", "user": user} for user in ("a", "b")),
        {"query": "my-secret is 12-34", "user": "c", "count": 9},
        *({"query": f"each{mark}another", "user": user} for mark, user in ((" ", "d"), ("-", "e"))),
    ]
    queries = log.read(rows, min_users=2).queries.to_pylist()
    assert [(query["text"], query["aliases"], query["count"]) for query in queries] == [("my secret is 12-34", [], 11)]


def test_an_id_with_personal_data_is_hashed_whatever_becomes_of_texts(log: Log) -> None:
    rows = [{"query": "mail", "query_id": "Jane@Example.org"}, {"query": "post", "query_id": "q2"}]
    for how in ("drop", "mask", "keep"):
        queries = log.read(rows, personal_data=how).queries.to_pylist()
        assert {query["text"]: query["query_ids"] for query in queries} == {
            "mail": [impersonal_id("Jane@Example.org")],
            "post": ["q2"],
        }


def test_min_users_without_a_user_column_is_an_input_error(log: Log) -> None:
    with pytest.raises(InputError, match="has no column `user`") as caught:
        log.texts([{"query": "a", "session": "s1"}], min_users=2)
    assert "column `user`" in caught.value.remedy


def test_personal_data_is_dropped_masked_or_kept_as_the_settings_say(log: Log) -> None:
    rows = [{"query": "Mail Jane@Example.org"}, {"query": "mail joe@example.org"}, {"query": "mail"}]
    assert log.texts(rows) == ["mail"]
    assert log.texts(rows, personal_data="mask") == ["mail [email]", "mail"]
    assert log.texts(rows, personal_data="keep") == ["mail", "mail jane@example.org", "mail joe@example.org"]


def test_nothing_that_a_night_writes_names_a_user_or_what_was_dropped(log: Log) -> None:
    rows = [
        {"query": "kept", "user": "user-4711", "session": "session-0815", "user_agent": "Agent-99"},
        {"query": "mail jane@example.org", "user": "user-4711"},
        {"query": "x", "count": "jane@example.org"},
        {"query": "x", "count": "a query in the wrong column"},
        {"query": "x", "timestamp": "+49 30 1234567"},
        {"query": "x", "query_id": "jane@example.org\n"},
    ]
    read = log.read(rows)
    bad = log.files.bad_rows.read()
    for table in (read.queries, read.curve, read.dropped, bad):
        written = json.dumps(table.to_pylist())
        for secret in ("4711", "0815", "Agent-99", "jane", "1234567", "wrong column"):
            assert secret not in written, table.schema
    assert bad.num_rows == 4


def test_judged_queries_are_kept_beyond_the_budget_unless_told_otherwise(log: Log) -> None:
    rows = [{"query": text, "count": 9 - place, "query_id": text} for place, text in enumerate("abcd")]
    assert log.texts(rows, budget=2, judged=("c", "d")) == ["c", "d"]
    assert log.texts(rows, budget=3, judged=("d",)) == ["a", "b", "d"]
    assert log.texts(rows, budget=2, judged=("c", "d"), always_judged=False) == ["a", "b"]


def test_a_budget_in_seconds_buys_new_queries_and_known_ones_are_free(log: Log) -> None:
    rows = [{"query": text, "count": 9 - place} for place, text in enumerate("abcde")]
    seconds: dict[str, Any] = {"budget_seconds": 4.0, "pairs_per_second": 50.0}  # 200 pairs: two new queries of 100
    assert log.texts(rows, **seconds) == ["a", "b"]
    log.answered = ReleaseFiles(log.folder).queries
    write_table(log.answered.path, pa.table({"query_key": [query_key("a"), query_key("d")]}))
    assert log.texts(rows, **seconds) == ["a", "b", "c", "d"]
    log.pairs_per_second = 25.0  # as measured: one new query
    assert log.texts(rows, **seconds) == ["a", "b", "d"]


def test_a_budget_in_seconds_that_pays_for_no_query_says_what_it_would_take(log: Log) -> None:
    with pytest.raises(InputError) as caught:
        log.texts([{"query": "a"}], budget_seconds=1.5, pairs_per_second=50.0)
    assert caught.value.message == (
        "[queries].budget_seconds = 1.5 pays for no query: at 50 pairs a second that is 75 pairs, "
        "and a query takes up to 100."
    )
    rows = [{"query": "a", "query_id": "q1"}]
    assert log.texts(rows, judged=("q1",), budget_seconds=1.5, pairs_per_second=50.0) == ["a"]


def test_a_log_whose_timestamps_have_changed_their_form_stops_the_run(log: Log) -> None:
    rows = [{"query": f"q{day}", "timestamp": f"0{day}/06/2024"} for day in range(1, 7)] + [{"query": "b"}] * 14
    with pytest.raises(InputError) as caught:
        log.texts(rows, max_bad_row_share=0.29)
    assert caught.value.message.startswith(
        "6 of 20 rows of log.jsonl cannot be used, more than queries.max_bad_row_share = 0.29 allows: "
        "log.jsonl, row 1: the timestamp is '01/06/2024', neither ISO 8601 nor Unix time; log.jsonl, row 2:"
    )
    assert "row 6" not in caught.value.message
    assert log.texts(rows, max_bad_row_share=0.3) == ["b"]


def test_strangers_are_neither_one_robot_nor_users(log: Log) -> None:
    rows = [{"query": "a", "user": "-", "timestamp": f"2024-06-03T10:00:{second}Z"} for second in range(10, 59)]
    assert log.dropped(rows, max_per_minute=5)[0] == {}
    with pytest.raises(InputError, match="has no column `user`"):
        log.texts(rows, min_users=2)


def test_the_order_of_rows_decides_nothing(log: Log) -> None:
    rows = [
        {"query": text, "count": count, "timestamp": day}
        for text, count, day in [
            ("a-b", 3, "2024-06-01"),
            ("a b?", 3, "2024-06-02"),
            ("c", 6, "2024-06-02"),
            ("d", 6, "2024-06-02"),
            ("e", 9, None),
        ]
    ]
    tables = []
    for ordered in (rows, rows[::-1]):
        read = log.read(ordered)
        tables.append([read.queries, read.curve, read.dropped])
    assert tables[0] == tables[1]
    assert tables[0][1].num_rows > 0


def test_the_curve_compares_our_choice_with_plain_frequency(log: Log) -> None:
    steady = [{"query": form, "count": 4, "timestamp": f"2024-06-0{day}"} for day, form in ((1, "s"), (2, "s?"))]
    rows = [*steady, {"query": "busy", "count": 7, "timestamp": "2024-06-01"}]
    rows += [{"query": "s", "count": 3, "timestamp": "2024-06-03"}, {"query": "new", "timestamp": "2024-06-03"}]
    rows += [{"query": "jane@example.org", "timestamp": "2024-06-03"}]
    read = log.read(rows)
    found = [tuple(row.values()) for row in read.curve.to_pylist()]
    assert found == [
        ("chosen", 1, 100, 3 / 5),
        ("chosen", 2, 200, 3 / 5),
        ("frequency", 1, 100, 0.0),
        ("frequency", 2, 200, 3 / 5),
        ("frequency", 3, 300, 3 / 5),
    ]


def test_a_log_of_which_nothing_is_left_says_what_became_of_it(log: Log) -> None:
    with pytest.raises(InputError) as caught:
        log.texts([{"query": "jane@example.org"}, {"query": "a", "user_agent": "curl/8"}, {"query": ""}])
    assert caught.value.message == (
        "The query log log.jsonl has no usable query. Rows not kept: 1 bad row, 1 robot by user agent, 1 personal data."
        " The first fault: log.jsonl, row 3: the query is empty."
    )


def test_the_same_text_with_another_filter_is_another_query_and_forms_are_merged_within_each(log: Log) -> None:
    docs, blog = {"type": "docs"}, {"type": {"in": ["blog"]}}
    rows = [
        {"query": "tea", "count": 5, "query_id": "q1"},
        {"query": "Tea", "count": 3, "filter": docs, "query_id": "q2"},
        {"query": "tea?", "count": 1, "filter": '{"type": {"$eq": "docs"}}', "query_id": "q3"},
        {"query": "tea", "count": 2, "filter": blog},
        {"query": "tea", "count": 1, "filter": {}},
    ]
    read = log.read(rows)
    assert [tuple(row.values()) for row in read.queries.to_pylist()] == [
        (query_key("tea"), "tea", 6, ["q1"], [], None, "log"),
        (query_key("tea", '{"type":"docs"}'), "tea", 4, ["q2", "q3"], ["tea?"], '{"type":"docs"}', "log"),
        (query_key("tea", '{"type":"blog"}'), "tea", 2, [], [], '{"type":"blog"}', "log"),
    ]
    assert (read.bad, read.coverage, read.screened) == (0, 1.0, 0.0)
    log.answered = log.files.queries.write(read.queries)
    known = log.texts(rows, budget_seconds=1.0, pairs_per_second=50.0)  # too little for a new query
    assert known == ["tea", "tea", "tea"]


def test_queries_whose_filter_is_refused_are_set_aside_with_its_reason_and_end_no_night(log: Log) -> None:
    log.refused = {'{"wieght":1}': "no document has the field 'wieght' jane@example.org"}
    rows: list[dict[str, Any]] = [
        {"query": "a", "count": 2},
        *({"query": "a", "count": 4, "filter": {"wieght": 1}} for _ in range(9)),
        {"query": "b", "filter": {"weight": 1}, "count": 2},
        {"query": "c", "filter": "weight"},
    ]
    dropped, read = log.dropped(rows, max_bad_row_share=0.1)
    assert dropped == {"bad row": (1, 0), "filter that cannot be applied": (9, 36)}
    assert (read.bad, read.coverage, read.screened) == (10, 4 / 40, 0.0)
    read = log.read(rows)
    bad = [(row["row"], row["reason"]) for row in log.files.bad_rows.read().to_pylist()]
    assert bad == [
        (12, "the filter is no JSON"),
        *((row, "no document has the field 'wieght' [email]") for row in range(2, 11)),
    ]


def test_a_filter_that_holds_personal_data_is_dropped_unless_it_may_be_kept(log: Log) -> None:
    rows: list[dict[str, Any]] = [
        {"query": "mail", "filter": {"author": ["Ada", "jane@example.org"]}},
        {"query": "mail", "count": 2},
    ]
    assert log.texts(rows) == ["mail"]
    assert log.texts(rows, personal_data="mask") == ["mail"]
    assert log.texts(rows, personal_data="keep") == ["mail", "mail"]
    assert log.dropped(rows, personal_data="mask")[0] == {"personal data": (1, 1)}


def test_without_a_log_the_documents_ask_and_nothing_of_it_is_traffic(log: Log) -> None:
    log.titles = ["black tea", "wild yeast"]
    read = log.read([])
    assert [tuple(row.values()) for row in read.queries.to_pylist()] == [
        (query_key("black tea"), "black tea", 0, [], [], None, "title"),
        (query_key("wild yeast"), "wild yeast", 0, [], [], None, "title"),
    ]
    assert (read.coverage, read.screened, read.curve.num_rows, read.dropped.num_rows) == (None, 0.0, 0, 0)


def test_beside_a_log_the_documents_ask_only_where_the_settings_say_so(log: Log) -> None:
    log.titles = ["a title"]
    assert log.texts([{"query": "tea"}]) == ["tea"]
    assert log.texts([{"query": "tea"}], from_documents=5) == ["tea", "a title"]
    assert log.texts([{"query": "tea"}], from_documents="none") == ["tea"]


def test_each_query_of_people_takes_the_place_of_one_that_documents_ask(log: Log) -> None:
    log.titles = ["one", "two", "three"]
    asked = [{"query": "tea"}]
    assert log.texts(asked, from_documents=3) == ["tea", "one", "two"]
    assert log.texts([*asked, {"query": "milk"}], from_documents=3) == ["milk", "tea", "one"]
    assert log.texts([*asked, *({"query": f"q{n}"} for n in range(9))], from_documents=3)[-1] != "one"
    assert log.texts(asked, from_documents=3, budget=2) == ["tea", "one"]


def test_what_people_asked_or_the_drop_list_names_documents_do_not_ask_again(log: Log) -> None:
    (log.folder / "drop.csv").write_text("query\nOut of it\n", encoding="utf-8")
    log.titles = ["e-mail", "out of it", "write to jane@example.org", "tea", "milk"]
    rows: list[dict[str, Any]] = [{"query": "E mail?"}, {"query": "tea", "filter": {"type": "docs"}}]
    texts = log.texts(rows, from_documents=9, drop_list="drop.csv")
    assert sorted(texts) == ["e mail?", "milk", "tea", "tea"]  # tea among all documents is another query
    assert "write to jane@example.org" in log.texts(rows, from_documents=9, personal_data="keep")


def test_people_s_queries_are_paid_for_before_those_of_documents(log: Log) -> None:
    log.titles = ["one", "two"]
    rows = [{"query": "tea"}, {"query": "milk"}]
    log.pairs_per_second = 100.0  # a second pays for a query
    assert log.texts(rows, from_documents=9, budget_seconds=2.5) == ["milk", "tea"]
    assert log.texts(rows, from_documents=9, budget_seconds=3.5) == ["milk", "tea", "one"]
    log.answered = log.files.queries.write(log.read(rows, from_documents=9).queries)
    assert log.texts(rows, from_documents=9, budget_seconds=0.1) == ["milk", "tea", "one", "two"]


def test_nobody_knows_users_where_there_is_no_log(log: Log) -> None:
    log.titles = ["one"]
    assert log.texts([], min_users=5) == ["one"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "the documents ask nothing"),
        ({"from_documents": "none"}, "the documents are not to ask"),
        ({"budget_seconds": 0.5}, "pays for no query"),
    ],
)
def test_where_nobody_asks_the_error_says_why(log: Log, settings: dict[str, Any], message: str) -> None:
    log.titles = ["one"] if "budget_seconds" in settings else []
    with pytest.raises(InputError, match=message):
        log.texts([], **settings)


def test_the_log_of_a_server_is_read_as_it_is_and_clicks_are_no_searches(log: Log) -> None:
    search = {"query": "tea", "filter": None, "count": 1, "clicked": None, "user": "u1", "how": "live", "results": 3}
    click = {"query": "tea", "filter": None, "count": 0, "clicked": "d1", "user": "u1", "rank": 1}
    times = {"timestamp": "2026-03-01T12:00:00.123+00:00"}
    rows: list[dict[str, Any]] = [
        {**row, **times} for row in (search, search, click, {**search, "query": "Tea?"}, {**search, "query": "salt"})
    ]
    dropped, read = log.dropped([*rows, {**click, **times, "query": "never searched"}, {"query": "not watched"}])
    assert dropped == {}
    assert dict(zip(*(read.queries.column(name).to_pylist() for name in ("text", "count")), strict=True)) == {
        "tea": 3,
        "salt": 1,
        "not watched": 1,
    }
    assert {row["query_key"]: (row["searches"], row["clicks"]) for row in read.watched.to_pylist()} == {
        query_key("tea"): (3, 1),
        query_key("salt"): (1, 0),
    }


def test_clicks_make_no_robot_and_a_click_by_one_is_none(log: Log) -> None:
    times = [{"timestamp": f"2026-03-01T12:00:0{second}+00:00", "user": "u"} for second in range(6)]
    rows = [{"query": "tea", "count": 1, "clicked": None, **at} for at in times[:2]]
    rows += [{"query": "tea", "count": 0, "clicked": f"d{number}", **at} for number, at in enumerate(times)]
    assert log.read(rows, max_per_minute=2).watched.to_pylist() == [
        {"query_key": query_key("tea"), "searches": 2, "clicks": 6}
    ]
    other = {"query": "salt", "count": 1, "clicked": None}
    assert log.read([*rows, other], max_per_minute=1).watched.to_pylist() == [
        {"query_key": query_key("salt"), "searches": 1, "clicks": 0}
    ]


def test_a_row_that_a_crash_cut_off_is_told_and_passed_over(log: Log) -> None:
    path = log.folder / "torn.jsonl"
    path.write_bytes(b'{"query": "tea", "count": 1}\n{"query": "sal')
    read = log.read([], log="torn.jsonl")
    assert (read.queries.column("text").to_pylist(), read.bad) == (["tea"], 1)


@pytest.mark.parametrize("clicked", ["[]", [], "", None])
def test_an_empty_list_of_clicks_is_no_click(log: Log, clicked: object) -> None:
    [row] = log.read([{"query": "tea", "clicked": clicked}]).watched.to_pylist()
    assert (row["searches"], row["clicks"]) == (1, 0)


def test_a_query_without_an_id_is_judged_by_its_words_whoever_asked_it(log: Log) -> None:
    log.titles = ["wild yeast"]
    rows: list[dict[str, Any]] = [
        {"query": "black tea?", "count": 3},
        {"query": "Black tea", "count": 9},
        {"query": "salt", "query_id": "q1"},
        {"query": "salt", "filter": {"year": 2024}},
    ]
    judged = ("Black Tea?", "salt", "q1", "wild yeast")
    read = log.read_with({"from_documents": 4, "budget": 4}, rows, judged=judged)
    found = {(row["text"], row["filter"]): row["query_ids"] for row in read.queries.to_pylist()}
    assert found["black tea", None] == ["Black Tea?"]
    assert found["salt", None] == ["q1"]
    assert found["salt", '{"year":2024}'] == []
    read = log.read_with({}, [], judged=judged)
    assert [row["query_ids"] for row in read.queries.to_pylist()] == [["wild yeast"]]
