"""Reading training pairs, holding documents out, and which candidates may be negatives."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nightrank.storage.errors import InputError, RowError
from nightrank.tasks.train.first_stage import FirstStage
from nightrank.tasks.train.sources import (
    Passage,
    Source,
    hold_out_queries,
    hold_out_share,
    mine,
    read_beir,
    read_pairs,
    split_by,
)

if TYPE_CHECKING:
    from pathlib import Path


def pair(query: str, text: str, document_id: str, title: str = "") -> dict[str, str]:
    return {"query": query, "title": title, "text": text, "document_id": document_id}


def write_rows(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def source(*passages: Passage, answers: tuple[tuple[int, ...], ...]) -> Source:
    grades = tuple(tuple(1 for _ in found) for found in answers)
    return Source("test", passages, tuple(f"q{i}" for i in range(len(answers))), answers, grades)


def test_equal_texts_are_one_passage_and_equal_queries_one_query(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "pairs.jsonl",
        [pair("Why  RAIN?", "Water falls.", "d1"), pair("why rain?", "Clouds.", "d2"), pair("Who?", "Clouds.", "d3")],
    )
    read = read_pairs(path)
    assert [passage.text for passage in read.passages] == ["Water falls.", "Clouds."]
    assert read.queries == ("why rain?", "who?")
    assert read.answers == ((0, 1), (1,))


def test_a_line_separator_within_a_text_ends_no_row(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(pair("q", "a\u2028b", "d"), ensure_ascii=False) + "\n", encoding="utf-8")
    assert read_pairs(path).passages[0].text == "a\u2028b"


def test_a_row_without_a_field_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(pair("q", "t", "d")) + '\n{"query": "q"}\n')
    with pytest.raises(RowError, match="row 2: it lacks 'document_id'"):
        read_pairs(path)


def test_pages_are_drawn_whole(tmp_path: Path) -> None:
    rows = [pair(f"q{page}{part}", f"t{page}{part}", f"{page}-{part}") for page in "abc" for part in "123"]
    read = read_pairs(
        write_rows(tmp_path / "pairs.jsonl", rows), max_pairs=4, page_of=lambda passage: passage.document_id[0]
    )
    counts = [sum(passage.document_id[0] == page for passage in read.passages) for page in "abc"]
    assert sorted(counts) == [0, 3, 3]


def test_a_folder_in_beir_layout_gives_one_split_and_its_positive_grades(tmp_path: Path) -> None:
    write_rows(
        tmp_path / "corpus.jsonl", [{"_id": "a", "title": "A", "text": "x"}, {"_id": "b", "title": "", "text": "y"}]
    )
    write_rows(tmp_path / "queries.jsonl", [{"_id": "1", "text": "One"}, {"_id": "2", "text": "Two"}])
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n1\tb\t2\n1\ta\t0\n")
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n2\ta\t1\n")
    read = read_beir(tmp_path, "train")
    assert (read.queries, read.answers, read.grades) == (("one",), ((1,),), ((2,),))
    assert read.passages[0].model_text() == "A\nx"
    (tmp_path / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n1\tmissing\t1\n")
    with pytest.raises(InputError, match="judges 1 and missing"):
        read_beir(tmp_path, "train")


def test_a_folder_in_beir_layout_may_lack_titles_and_judge_as_trec_does(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"_id": 1, "text": "x"}\n\n{"_id": "b", "title": null, "text": "y"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": 5, "text": "One"}\n')
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("5 0 1 2\n5 0 b 0\n")
    read = read_beir(tmp_path, "test")
    assert read.passages == (Passage("1", "", "x"), Passage("b", "", "y"))
    assert (read.queries, read.answers, read.grades) == (("one",), ((0,),), ((2,),))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("corpus.jsonl", '{"_id": "a", "text": 5}\n', r"corpus\.jsonl, row 1: 'text' is a number"),
        ("queries.jsonl", '{"_id": "1"}\n', r"queries\.jsonl, row 1: it lacks 'text'"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n1\ta\t1.0\n", "the grade '1.0' is no integer"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n", "holds no judgment"),
    ],
)
def test_what_is_wrong_in_a_folder_in_beir_layout_is_the_users_fault(
    tmp_path: Path, name: str, content: str, reason: str
) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": "a", "text": "x"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "1", "text": "One"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\ta\t1\n")
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=reason):
        read_beir(tmp_path, "test")


def test_what_is_held_out_answers_no_training_query() -> None:
    passages = tuple(Passage(f"p{i // 2}-{i}", "", f"t{i}") for i in range(20))
    whole = source(*passages, answers=(*((i,) for i in range(20)), (0, 19)))
    held = hold_out_share(
        whole, share=0.3, document_of=lambda passage: passage.document_id[:2], randomness=random.Random(1)
    )
    kept, tested = split_by(whole, held)
    assert len(held) == 6  # three of ten pages, two passages each
    assert all(i // 2 * 2 in held and i // 2 * 2 + 1 in held for i in held)
    assert not held.intersection(i for answers in kept.answers for i in answers)
    assert len(tested.queries) >= 6
    assert held.issuperset(i for answers in tested.answers for i in answers)


def test_as_many_queries_as_asked_for_are_held_out() -> None:
    whole = source(*(Passage(str(i), "", f"t{i}") for i in range(9)), answers=tuple((i,) for i in range(9)))
    held = hold_out_queries(whole, count=4, randomness=random.Random(1))
    kept, tested = split_by(whole, held)
    assert (len(kept.queries), len(tested.queries)) == (5, 4)


def test_probable_answers_and_held_out_passages_are_no_negatives() -> None:
    passages = (
        Passage("a", "", "the answer"),
        Passage("a", "", "the same document"),
        Passage("b", "", "the answer"),
        Passage("c", "", "nearly the answer"),
        Passage("d", "", "held out"),
        Passage("e", "", "wrong"),
        Passage("f", "", "wrong too"),
    )
    vectors = np.array([[1, 0], [0, 1], [0, 1], [0.96, 0.28], [0, 1], [0, 1], [0.6, 0.8]], dtype=np.float32)
    dense = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.1, 0.4])
    found = mine(
        source(*passages, answers=((0,),)),
        0,
        FirstStage(np.array([1, 2, 3, 4, 6, 5]), np.zeros(6), dense, np.zeros(7)),
        vectors=vectors,
        held=frozenset({4}),
    )
    assert [place for place, _ in found.negatives] == [6, 5]
    assert found.false_negatives == (3,)
    assert [place for place, _ in found.answers] == [0]


def test_an_opinion_is_the_mean_of_both_standardised_legs() -> None:
    passages = tuple(Passage(str(i), "", f"t{i}") for i in range(2))
    found = mine(
        source(*passages, answers=((0,),)),
        0,
        FirstStage(np.array([1]), np.zeros(1), np.array([0.2, 0.6]), np.array([7.0, 7.0])),  # -1 and 1, 0 and 0
        vectors=np.eye(2, dtype=np.float32),
    )
    assert found.answers[0][1] == pytest.approx(-0.5)
    assert found.negatives[0][1] == pytest.approx(0.5)
    assert found.floor == pytest.approx(-0.5)
