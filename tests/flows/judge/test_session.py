"""What judges are shown, in which order, and what is kept of what they say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.judge.session import Session
from nightrank.storage.grades import GradeLog
from nightrank.tasks.judge.pool import Pooled
from nightrank.tasks.judge.texts import JudgedDocument
from nightrank.tasks.read.account import Account
from nightrank.tasks.trec.qrels import read_judgments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.tasks.judge.agreement import Pair

IDS = tuple(f"d{number}" for number in range(8))
DOCUMENTS = {one: JudgedDocument(f"Title of {one}", [f"{one}#0"], [f"Text of {one}."]) for one in IDS}
POOLED = [Pooled(query, f"key of {query}", f"text of {query}", IDS, {one: f"{one}#0" for one in IDS}) for query in "pq"]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[GradeLog]:
    with GradeLog(tmp_path) as opened:
        yield opened


def session(log: GradeLog, *, known: frozenset[Pair] = frozenset()) -> Session:
    qrels = log.path.with_name("people.tsv")
    return Session(POOLED, DOCUMENTS, known=known, log=log, qrels=qrels, now=lambda: datetime(2026, 5, 1, tzinfo=UTC))


def order_of(judged: Session, judge: str, grade: int = 1) -> list[Pair]:
    found = []
    while (item := judged.next_item(judge)) is not None:
        found.append(item.pair)
        judged.say(judge, item, grade)
    return found


def test_each_judge_has_an_order_of_their_own_that_says_nothing_of_ranks(log: GradeLog) -> None:
    judged = session(log)
    ann, ben = order_of(judged, "Ann"), order_of(judged, "Ben")
    assert [query for query, _ in ann] == [query for query, _ in ben] == ["p"] * 8 + ["q"] * 8
    assert sorted(ann) == sorted(ben)
    by_rank = list(IDS)
    orders = [[document for query, document in of_judge if query == one] for of_judge in (ann, ben) for one in "pq"]
    assert all(order != by_rank for order in orders)
    assert len({tuple(order) for order in orders}) == 4


def test_the_order_is_the_same_in_each_run(log: GradeLog) -> None:
    first = session(log).next_item("Ann")
    assert first == session(log).next_item("Ann")


def test_what_was_said_is_a_file_of_judgments_at_each_key(log: GradeLog) -> None:
    judged, path = session(log), log.path.with_name("people.tsv")
    for count, grade in enumerate((3, 0, 2), 1):
        item = judged.next_item("Ann")
        assert item is not None
        judged.say("Ann", item, grade)
        found = read_judgments(path, name="people.tsv", account=Account())
        assert len(found) == count
        assert {one.judged_by for one in found} == {"people"}


def test_a_skipped_pair_is_no_judgment_and_does_not_come_again(log: GradeLog) -> None:
    judged = session(log)
    first = judged.next_item("Ann")
    assert first is not None
    judged.say("Ann", first, None)
    assert judged.next_item("Ann") != first
    assert judged.judgments() == []
    assert judged.progress("Ann")[:2] == (1, 16)


def test_what_is_taken_back_comes_again_and_leaves_no_judgment(log: GradeLog) -> None:
    judged = session(log)
    first = judged.next_item("Ann")
    assert first is not None
    judged.say("Ann", first, 3)
    assert judged.undo("Ben") is None  # what others said is theirs
    assert judged.undo("Ann") == first
    assert judged.next_item("Ann") == first
    assert not log.path.with_name("people.tsv").exists()
    assert judged.undo("Ann") is None


def test_after_a_restart_everybody_goes_on_where_they_were(log: GradeLog) -> None:
    judged = session(log)
    for grade in (1, 2):
        item = judged.next_item("Ann")
        assert item is not None
        judged.say("Ann", item, grade)
    expected = judged.next_item("Ann")
    again = session(log)
    assert again.next_item("Ann") == expected
    assert again.progress("Ann").done == 2
    assert again.judges == ["Ann"]


def test_what_was_judged_elsewhere_is_asked_of_nobody(log: GradeLog) -> None:
    judged = session(log, known=frozenset({("p", "d0"), ("q", "d7")}))
    assert judged.pairs == 14
    assert not {("p", "d0"), ("q", "d7")} & set(order_of(judged, "Ann"))


def test_two_judges_are_told_how_far_they_agree(log: GradeLog) -> None:
    judged = session(log)
    order_of(judged, "Ann", 2)
    for _ in range(4):
        item = judged.next_item("Ben")
        assert item is not None
        judged.say("Ben", item, 2)
    item = judged.next_item("Ben")
    assert item is not None
    judged.say("Ben", item, 0)
    [agreed] = judged.agreements()
    assert (agreed.one, agreed.other, agreed.agreement.pairs, agreed.agreement.same) == ("Ann", "Ben", 5, 0.8)
    grades = {(one.query_id, one.document_id): one.grade for one in judged.judgments()}
    assert grades[item.pair] == 1
