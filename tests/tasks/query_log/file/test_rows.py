from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.errors import InputError
from nightrank.storage.keys import normalise_query, query_key
from nightrank.storage.records import BadRow, LoggedQuery
from nightrank.tasks.query_log.file.rows import LogFile, read_query_log
from nightrank.tasks.read.account import Account

if TYPE_CHECKING:
    from pathlib import Path


SALT = b"of this run"


def read(folder: Path, name: str, content: bytes) -> list[LoggedQuery | BadRow]:
    path = folder / name
    path.write_bytes(content)
    return list(read_query_log(LogFile.at(path, name=name, account=Account()), salt=SALT))


def read_row(folder: Path, **values: object) -> LoggedQuery | BadRow:
    (row,) = read(folder, "log.jsonl", json.dumps(values).encode())
    return row


def reason(row: LoggedQuery | BadRow) -> str:
    assert isinstance(row, BadRow), row
    return row.reason


def test_beir_queries_are_read_as_they_are(tmp_path: Path) -> None:
    line = b'{"_id": "1", "text": "What is BM25?", "metadata": {"split": "test"}}\n'
    assert read(tmp_path, "queries.jsonl", line) == [LoggedQuery("What is BM25?", "1", 1, None, "queries.jsonl", 1)]


def test_the_four_formats_say_the_same(tmp_path: Path) -> None:
    rows = [("read a csv", 7, "2024-06-03T10:00:00+00:00", "q1"), ('say "hi"', 1, "2024-06-04", "q2")]
    names = ("query", "count", "timestamp", "query_id")
    jsonl = "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows).encode()
    csv = b'query,count,timestamp,query_id\nread a csv,7,2024-06-03T10:00:00Z,q1\n"say ""hi""",,2024-06-04,q2\n'
    tsv = b'query\tcount\ttimestamp\tquery_id\nread a csv\t7\t1717408800\tq1\nsay "hi"\t1\t20240604\tq2\n'
    at = [datetime(2024, 6, 3, 10, tzinfo=UTC), None]
    columns = {"query": [row[0] for row in rows], "count": [7, None], "timestamp": at, "query_id": ["q1", "q2"]}
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")

    found = {
        "jsonl": read(tmp_path, "log.jsonl", jsonl),
        "csv": read(tmp_path, "log.csv.gz", gzip.compress(csv)),
        "tsv": read(tmp_path, "log.tsv", tsv),
        "parquet": list(
            read_query_log(LogFile.at(tmp_path / "log.parquet", name="log.parquet", account=Account()), salt=SALT)
        ),
    }
    for name, queries in found.items():
        values = [(q.text, q.count, q.timestamp, q.query_id) for q in queries if isinstance(q, LoggedQuery)]
        expected = [rows[0], (*rows[1][:2], None, "q2")] if name == "parquet" else rows
        assert values == expected, name


def test_the_query_column_goes_before_text(tmp_path: Path) -> None:
    row = read_row(tmp_path, text="a passage", query="a question")
    assert isinstance(row, LoggedQuery)
    assert row.text == "a question"


@pytest.mark.parametrize(
    ("value", "count"), [(1, 1), (3.0, 3), ("12", 12), (None, 1), ("", 1), (0, 0), (10**12, 10**12)]
)
def test_a_count_is_a_whole_number_and_one_without_it(tmp_path: Path, value: object, count: int) -> None:
    row = read_row(tmp_path, query="q", count=value)
    assert isinstance(row, LoggedQuery)
    assert row.count == count


@pytest.mark.parametrize("value", [-1, 1.5, True, "many", "-3", "1_0", "\u0663", [1], 10**12 + 1])
def test_any_other_count_is_a_bad_row(tmp_path: Path, value: object) -> None:
    assert "not a positive integer" in reason(read_row(tmp_path, query="q", count=value))


@pytest.mark.parametrize(
    ("value", "timestamp"),
    [
        ("2024-06-03", "2024-06-03"),
        ("2024-06", "2024-06-01"),
        ("20240603", "2024-06-03"),
        ("2024-06-03T10:00:00Z", "2024-06-03T10:00:00+00:00"),
        ("2024-06-03 10:00:00.5+02:00", "2024-06-03T10:00:00.500000+02:00"),
        ("2024-06-03T10:00", "2024-06-03T10:00:00"),
        ("2024-06-03 10:00:00 UTC", "2024-06-03T10:00:00+00:00"),
        ("2024-06-03 10:00:00.000 +0200", "2024-06-03T10:00:00+02:00"),
        (1717408800, "2024-06-03T10:00:00+00:00"),
        (1717408800000, "2024-06-03T10:00:00+00:00"),
        (1717408800500000, "2024-06-03T10:00:00.500000+00:00"),
        ("1717408800.5", "2024-06-03T10:00:00.500000+00:00"),
        (None, None),
        ("", None),
    ],
)
def test_a_timestamp_is_kept_as_iso_8601(tmp_path: Path, value: object, timestamp: str | None) -> None:
    row = read_row(tmp_path, query="q", timestamp=value)
    assert isinstance(row, LoggedQuery)
    assert row.timestamp == timestamp


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "03/06/2024",
        "2024-13-01",
        "2024-13",
        171740880000,  # milliseconds of 1975, which no log holds
        20240603101200,
        20240603,
        -1,
        "2024",
        True,
        {},
        1e300,
        "0001-01-01T00:00+14:00",
    ],
)
def test_any_other_timestamp_is_a_bad_row(tmp_path: Path, value: object) -> None:
    assert "neither ISO 8601 nor Unix time" in reason(read_row(tmp_path, query="q", timestamp=value))


@pytest.mark.parametrize("text", ["", "  ", "\u00a0\t", "\x00", "\u3000"])
def test_a_query_without_words_is_a_bad_row(tmp_path: Path, text: str) -> None:
    assert reason(read_row(tmp_path, query=text)) == "the query is empty"


def test_a_query_may_be_as_long_as_a_document_but_no_longer(tmp_path: Path) -> None:
    assert isinstance(read_row(tmp_path, query="x" * 20_000), LoggedQuery)
    assert "20,001 characters, more than the 20,000" in reason(read_row(tmp_path, query="x" * 20_001))
    assert "18,018 characters" not in str(read_row(tmp_path, query="\ufdfa" * 1_001))
    assert "21,600 characters" in reason(read_row(tmp_path, query="\ufdfa" * 1_200))


@pytest.mark.parametrize("value", [None, "", "null", "{}", "[]", {}, []])
def test_an_empty_filter_is_none(tmp_path: Path, value: object) -> None:
    row = read_row(tmp_path, query="q", filter=value)
    assert isinstance(row, LoggedQuery)
    assert row.condition is None


@pytest.mark.parametrize("value", [{"year": {"lt": 1999.0}}, '{"year": {"$lt": 1999}}'])
def test_a_filter_is_kept_in_its_one_form_however_it_is_written(tmp_path: Path, value: object) -> None:
    row = read_row(tmp_path, query="q", filter=value)
    assert isinstance(row, LoggedQuery)
    assert row.condition == '{"year":{"lt":1999}}'


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("year = 1999", "the filter is no JSON"),
        (["x"], "a filter is a JSON object"),
        (1, "a filter is a JSON object"),
        ({"year": {"like": 1}}, 'the condition on "year" has the unknown operator "like"'),
        ({"jane@example.org": None}, '"[email]" is compared with null'),
    ],
)
def test_a_row_with_a_filter_that_is_none_is_set_aside(tmp_path: Path, value: object, why: str) -> None:
    assert why in reason(read_row(tmp_path, query="q", filter=value))


@pytest.mark.parametrize(
    "line",
    [
        '{"query": "q", "filter": {"weight": 1, "weight": 2}}',
        '{"query": "q", "filter": "{\\"weight\\": 1, \\"weight\\": 2}"}',
        '{"query": "q", "filter": {"type": "docs"}, "filter": {"weight": 2}}',
    ],
)
def test_a_row_whose_filter_names_a_key_twice_is_set_aside(tmp_path: Path, line: str) -> None:
    (row,) = read(tmp_path, "log.jsonl", line.encode())
    assert "twice" in reason(row)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"query": None}, "the query is missing"),
        ({"query": True}, "the query is true or false, not a text"),
        ({"query": "q", "query_id": "a\nb"}, "control character"),
        ({"query": "q", "query_id": 1.5}, "the id is a number, not a text or an integer"),
        ({"query": "a\ud83d"}, "half of a surrogate pair"),
    ],
)
def test_a_bad_row_says_why(tmp_path: Path, values: dict[str, object], why: str) -> None:
    assert why in reason(read_row(tmp_path, **values))


def test_users_and_sessions_become_numbers_that_only_this_reading_can_make(tmp_path: Path) -> None:
    lines = [
        {"query": "a", "user": "u1", "session": "s", "user_agent": "Firefox"},
        {"query": "b", "user_id": "u1", "session_id": "s"},
        {"query": "c", "user": "u2"},
        {"query": "d", "user": "", "session": None},
        {"query": "e", "user": 7},
        {"query": "f", "user": "7"},
    ]
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    rows = [row for row in read(tmp_path, "log.jsonl", content) if isinstance(row, LoggedQuery)]
    users, sessions = [row.user for row in rows], [row.session for row in rows]
    assert users[0] == users[1] != users[2]
    assert (users[3], sessions[3]) == (None, None)
    assert users[4] == users[5]
    assert sessions[0] == sessions[1] is not None
    assert [row.user_agent for row in rows[:2]] == ["Firefox", ""]
    [again, *_] = read_query_log(
        LogFile.at(tmp_path / "log.jsonl", name="log.jsonl", account=Account()), salt=b"of another run"
    )
    assert isinstance(again, LoggedQuery)
    assert again.user != users[0]
    assert not any("u1" in repr(row) for row in rows)


@pytest.mark.parametrize("user", ["-", "anonymous", "0", 0, "NULL", "none", " Unknown ", "n/a", "", None])
def test_whoever_is_not_known_is_no_user(tmp_path: Path, user: object) -> None:
    row = read_row(tmp_path, query="q", user=user, session=user)
    assert isinstance(row, LoggedQuery)
    assert (row.user, row.session) == (None, None)
    named = read_row(tmp_path, query="q", user=user, user_id="u1")
    assert isinstance(named, LoggedQuery)
    assert named.user is not None


@pytest.mark.parametrize(
    ("values", "secret"),
    [
        ({"query": "q", "count": "how to leave my job"}, "leave"),
        ({"query": "q", "timestamp": "how to leave my job"}, "leave"),
        ({"query": "q", "timestamp": "+49 30 1234567"}, "1234567"),
        ({"query": "q", "query_id": "jane@example.org\n"}, "jane"),
        (
            {"query": "q", "query_id": "mail to the address given by them: jane.doe-the-third@example-company.org\n"},
            "jane",
        ),
        ({"query": "q", "count": ["how to leave my job"]}, "leave"),
    ],
)
def test_the_reason_of_a_bad_row_quotes_nothing_personal(
    tmp_path: Path, values: dict[str, object], secret: str
) -> None:
    assert secret not in reason(read_row(tmp_path, **values))


def test_bad_rows_do_not_stop_the_log(tmp_path: Path) -> None:
    first, bad, last = read(tmp_path, "log.jsonl", b'{"query": "a"}\n{"id": 1}\n{"query": "b"}\n')
    assert isinstance(first, LoggedQuery)
    assert bad == BadRow("log.jsonl", 2, "the query is missing")
    assert isinstance(last, LoggedQuery)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "log.tsv",
            b"1048585\twhat is it\n2\tandrogen\n",
            "has no query column: expected query or text, or another usual name; found 2 columns.",
        ),
        (
            "log.csv",
            b"what,count\na,1\n",
            "has no query column: expected query or text, or another usual name; found 'what, count'.",
        ),
        ("log.jsonl", b"", "log.jsonl holds no query"),
        ("log.csv", b"query,count\n", "log.csv holds no query"),
        ("log.doc", b"q", "log.doc is not a table that can be read"),
    ],
)
def test_a_file_that_is_no_log_is_refused_as_a_whole(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, name, content)
    assert message in caught.value.message
    assert caught.value.remedy


def test_the_first_row_of_a_log_without_a_header_is_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, "log.csv", b"divorce lawyer berlin,jane.doe@example.org,joe\nother,x,y\n")
    assert "found 3 columns" in caught.value.message
    assert not any(word in caught.value.message for word in ("divorce", "jane", "joe"))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8))
def test_normalising_twice_changes_nothing_so_the_text_models_read_has_the_querys_key(text: str) -> None:
    once = normalise_query(text)
    assert normalise_query(once) == once
    assert query_key(once) == query_key(text)


@pytest.mark.parametrize("text", ["\u00df\u0301", "\u03aa\u0301", "\u03d4\u0300"])
def test_case_folding_leaves_nothing_that_normalising_would_change(text: str) -> None:
    assert normalise_query(normalise_query(text)) == normalise_query(text)


def test_the_long_queries_of_arguana_are_read(shared_data: Path) -> None:
    rows = list(
        read_query_log(
            LogFile.at(shared_data / "arguana" / "queries.jsonl", name="queries.jsonl", account=Account()), salt=SALT
        )
    )
    queries = [row for row in rows if isinstance(row, LoggedQuery)]
    assert len(queries) == len(rows) == 1_406
    assert len({row.query_id for row in queries}) == 1_406


def test_a_real_log_is_read_row_by_row(shared_data: Path) -> None:
    rows = list(
        read_query_log(LogFile.at(shared_data / "berlin-search-terms.tsv", name="berlin", account=Account()), salt=SALT)
    )
    queries = [row for row in rows if isinstance(row, LoggedQuery)]
    assert len(queries) == len(rows)
