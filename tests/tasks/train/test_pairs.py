"""Pairs to learn from, from files of pairs, judgments, clicks and titles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError, RowError
from nightrank.tasks.query_log.file.rows import LogFile
from nightrank.tasks.read.account import Account
from nightrank.tasks.settings.inputs import QueriesSettings
from nightrank.tasks.train.pairs import (
    NamedQuery,
    Pair,
    by_query,
    pairs_of_clicks,
    pairs_of_documents,
    pairs_of_file,
    pairs_of_judgments,
    pairs_of_table,
    queries_by_id,
    table_of,
)
from nightrank.tasks.train.sources import Passage

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.tasks.personal_data import PersonalData


def write_lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def clicks(log: Path, **rules: object) -> list[Pair]:
    settings = QueriesSettings.model_validate({"log": log.name, **rules})
    return pairs_of_clicks(settings, base=log.parent, salt=b"salt").pairs


def test_a_click_names_one_document_or_several_and_counts_once(tmp_path: Path) -> None:
    log = write_lines(
        tmp_path / "log.jsonl",
        {"query": "Black  TEA", "clicked": "tea", "count": 7},
        {"query": "black tea", "clicked": ["tea", 42, None]},
        {"query": "coffee"},
        {"query": "", "clicked": "tea"},
        {"query": "salt", "clicked": {"no": "id"}},
    )

    assert clicks(log) == [Pair("black tea", "tea", 1), Pair("black tea", "42", 1)]


def test_clicks_in_the_log_of_a_server_are_learnt_from(tmp_path: Path) -> None:
    at = {"timestamp": "2026-03-01T12:00:00+00:00", "user": "u", "impression": "i"}
    log = write_lines(
        tmp_path / "log.jsonl",
        *({"query": "black tea", "count": 1, "clicked": None, **at} for _ in range(3)),
        *({"query": "black tea", "count": 0, "clicked": f"d{rank}", "rank": rank, **at} for rank in range(1, 5)),
    )
    expected = [Pair("black tea", f"d{rank}", 1) for rank in range(1, 5)]
    assert clicks(log, max_per_minute=3) == expected  # four clicks in a minute make no robot


def test_in_csv_a_list_of_clicks_is_json_and_an_id_may_begin_with_a_bracket(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text('query,clicked\ntea,"[""a"", ""b""]"\nsalt,[draft] one\nink,\n', encoding="utf-8")

    assert [pair.document_id for pair in clicks(log)] == ["a", "b", "[draft] one"]


def test_clicks_of_robots_and_of_the_drop_list_are_no_pairs(tmp_path: Path) -> None:
    (tmp_path / "drop.csv").write_text("query\nsecret project\n", encoding="utf-8")
    log = write_lines(
        tmp_path / "log.jsonl",
        {"query": "tea", "clicked": "a", "user_agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"},
        {"query": "Secret project", "clicked": "b"},
        *({"query": "salt", "clicked": "c", "user": "fast", "timestamp": f"2024-06-03T10:00:{i:02}"} for i in range(3)),
        {"query": "ink", "clicked": "d", "user": "slow", "timestamp": "2024-06-03T10:00:01"},
    )

    assert clicks(log, drop_list="drop.csv", max_per_minute=2) == [Pair("ink", "d", 1)]
    assert len(clicks(log, max_per_minute="none")) == 3  # the robot's agent is known in any case


@pytest.mark.parametrize(
    ("how", "expected"), [("drop", []), ("mask", ["mail [email]"]), ("keep", ["mail jane@example.org"])]
)
def test_personal_data_is_learnt_from_as_far_as_releases_keep_it(
    tmp_path: Path, how: PersonalData, expected: list[str]
) -> None:
    row = {"_id": "1", "query": "Mail jane@example.org", "clicked": "a"}
    log = write_lines(tmp_path / "log.jsonl", row)

    assert [pair.query for pair in clicks(log, personal_data=how)] == expected
    assert [
        query.text
        for query in queries_by_id(LogFile.at(log, name="log", account=Account()), personal_data=how).values()
    ] == expected


def test_a_query_that_too_few_people_sent_gives_no_pair(tmp_path: Path) -> None:
    log = write_lines(
        tmp_path / "log.jsonl",
        {"query": "tea", "clicked": "a", "user": "one"},
        {"query": "Tea?", "user": "two"},
        {"query": "salt", "clicked": "b", "user": "one"},
        {"query": "salt", "clicked": "b", "user": "one"},
    )

    assert clicks(log, min_users=2) == [Pair("tea", "a", 1)]
    with pytest.raises(InputError, match="has no column `user`"):
        clicks(write_lines(tmp_path / "log.jsonl", {"query": "tea", "clicked": "a"}), min_users=2)


def test_judgments_above_zero_of_queries_with_a_text_are_pairs(tmp_path: Path) -> None:
    qrels = tmp_path / "train.tsv"
    qrels.write_text("query-id\tcorpus-id\tscore\n1\ta\t2\n1\tb\t0\n2\tc\t1\n3\td\t1\n", encoding="utf-8")
    queries = write_lines(tmp_path / "queries.jsonl", {"_id": "1", "text": "Why?"}, {"_id": 2, "text": "Who?"})

    pairs = pairs_of_judgments(
        qrels, name="train.tsv", queries=queries_by_id(LogFile.at(queries, name="queries", account=Account()))
    )

    assert pairs.filtered == 0
    assert pairs.pairs == [Pair("why?", "a", 2), Pair("who?", "c", 1)]


def test_queries_with_a_filter_give_no_pair_and_are_counted(tmp_path: Path) -> None:
    log = write_lines(
        tmp_path / "log.jsonl",
        {"_id": "1", "query": "tea", "clicked": ["a", "b"]},
        {"_id": "2", "query": "tea", "clicked": ["b", "c"], "filter": {"type": "docs"}},
        {"_id": "3", "query": "tea", "clicked": "c", "filter": '{"type": ["docs"]}'},
        {"_id": "4", "query": "salt", "clicked": "d", "filter": {"type": "notes"}},
        {"_id": "5", "query": "ink", "clicked": "e", "filter": {}},
        {"_id": "6", "query": "wax", "clicked": "f", "filter": "no filter"},
    )
    qrels = tmp_path / "train.tsv"
    qrels.write_text("query-id\tcorpus-id\tscore\n" + "".join(f"{name}\td{name}\t1\n" for name in range(1, 7)))

    clicked = pairs_of_clicks(QueriesSettings(log=log.name), base=tmp_path, salt=b"salt")
    judged = pairs_of_judgments(
        qrels, name="train.tsv", queries=queries_by_id(LogFile.at(log, name="log", account=Account()))
    )

    assert clicked == ([Pair("tea", "a", 1), Pair("tea", "b", 1), Pair("ink", "e", 1)], 3)
    assert judged == ([Pair("tea", "d1", 1), Pair("ink", "d5", 1)], 3)


def test_a_query_is_sent_by_people_with_its_filter(tmp_path: Path) -> None:
    log = write_lines(
        tmp_path / "log.jsonl",
        {"query": "tea", "clicked": "a", "user": "one"},
        {"query": "tea", "clicked": "a", "user": "two", "filter": {"type": "docs"}},
    )

    assert clicks(log, min_users=2) == []


def test_judgments_of_queries_with_filters_alone_are_told_to_be_so(tmp_path: Path) -> None:
    qrels = tmp_path / "train.tsv"
    qrels.write_text("query-id\tcorpus-id\tscore\n1\ta\t2\n", encoding="utf-8")

    with pytest.raises(InputError, match="1 are of queries with a filter"):
        pairs_of_judgments(qrels, name="train.tsv", queries={"1": NamedQuery("text", has_filter=True)})


def test_judgments_of_unknown_queries_alone_are_the_users_fault(tmp_path: Path) -> None:
    qrels = tmp_path / "train.tsv"
    qrels.write_text("query-id\tcorpus-id\tscore\n1\ta\t2\n", encoding="utf-8")

    with pytest.raises(InputError, match="None of the 1 judgments") as caught:
        pairs_of_judgments(qrels, name="train.tsv", queries={"other": NamedQuery("text", has_filter=False)})
    assert "--queries" in caught.value.remedy


def test_a_file_of_pairs_gives_the_passages_themselves(tmp_path: Path) -> None:
    row = {"query": "What IS tea?", "title": "Tea", "text": "Leaves.", "document_id": "tea"}

    assert pairs_of_file(write_lines(tmp_path / "pairs.jsonl", row)) == [
        Pair("what is tea?", "tea", 1, Passage("tea", "Tea", "Leaves."))
    ]


def test_documents_that_say_the_same_stay_two(tmp_path: Path) -> None:
    rows = [
        {"query": query, "title": "", "text": text, "document_id": document_id}
        for query, text, document_id in (
            ("q", "same", "d"),
            ("q2", "same", "d2"),
            ("q2", "same", "d2"),
            ("q3", "", "d3"),
            ("q4", "", "d4"),
        )
    ]

    pairs = pairs_of_file(write_lines(tmp_path / "pairs.jsonl", *rows))

    assert [(pair.query, pair.document_id) for pair in pairs] == [("q", "d"), ("q2", "d2"), ("q3", "d3"), ("q4", "d4")]


def test_a_title_may_be_missing_or_null_and_an_id_a_number(tmp_path: Path) -> None:
    rows = [{"query": "a", "text": "A", "document_id": 7}, {"query": "b", "title": None, "text": "B", "document_id": 8}]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n" + "\n\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")

    pairs = pairs_of_file(path)

    assert pairs == [Pair("a", "7", 1, Passage("7", "", "A")), Pair("b", "8", 1, Passage("8", "", "B"))]
    assert pairs_of_table(table_of(pairs)) == pairs


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"query": 5}, "'query' is a number, not a text"),
        ({"document_id": None}, "the id is empty"),
        ({"text": ["a"]}, "'text' is a list, not a text"),
        ({"title": {}}, "'title' is an object, not a text"),
    ],
)
def test_a_row_that_is_no_pair_is_named(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    good = {"query": "q", "title": "", "text": "t", "document_id": "d"}

    with pytest.raises(RowError, match=f"row 2: {reason}"):
        pairs_of_file(write_lines(tmp_path / "pairs.jsonl", good, {**good, **change}))


@pytest.mark.parametrize("content", [b"", b"\n\n", '{"query": "café"}\n'.encode("latin-1"), b"[1]\n", b"{"])
def test_a_file_without_pairs_is_the_users_fault(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(content)

    with pytest.raises(InputError, match=r"pairs\.jsonl"):
        pairs_of_file(path)


def test_a_title_asks_for_its_passage_which_is_shown_without_it() -> None:
    passages = [Passage("a", "Green  Tea", "Leaves."), Passage("b", "", "No title."), Passage("c", "Alone", " ")]

    assert pairs_of_documents(passages) == [Pair("green tea", "a", 1, Passage("a", "", "Leaves."))]


def test_pairs_come_back_from_their_table() -> None:
    pairs = [Pair("q", "a", 2), Pair("q", "b", 1, Passage("b", "", "text")), Pair("r", "a", 1, Passage("a", "T", "t"))]

    assert pairs_of_table(table_of(pairs)) == pairs
    assert by_query(pairs) == {"q": pairs[:2], "r": pairs[2:]}
