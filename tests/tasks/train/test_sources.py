"""Reading training pairs and folders in BEIR layout."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError, RowError
from nightrank.tasks.train.sources import Passage, beir_passages, beir_queries, given_pairs

if TYPE_CHECKING:
    from pathlib import Path


def pair(query: str, text: str, document_id: str, title: str = "") -> dict[str, str]:
    return {"query": query, "title": title, "text": text, "document_id": document_id}


def write_rows(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_line_separator_within_a_text_ends_no_row(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(pair("q", "a\u2028b", "d"), ensure_ascii=False) + "\n", encoding="utf-8")
    assert given_pairs(path) == [("q", Passage("d", "", "a\u2028b"))]


def test_a_row_without_a_field_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(pair("q", "t", "d")) + '\n{"query": "q"}\n')
    with pytest.raises(RowError, match="row 2: it lacks 'document_id'"):
        given_pairs(path)


def test_a_folder_in_beir_layout_gives_one_split_and_its_positive_grades(tmp_path: Path) -> None:
    write_rows(
        tmp_path / "corpus.jsonl", [{"_id": "a", "title": "A", "text": "x"}, {"_id": "b", "title": "", "text": "y"}]
    )
    write_rows(tmp_path / "queries.jsonl", [{"_id": "1", "text": "One"}, {"_id": "2", "text": "Two"}])
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n1\tb\t2\n1\ta\t0\n")
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n2\ta\t1\n")
    assert beir_queries(tmp_path, "train", known={"a", "b"}) == [("one", {"b": 2})]
    assert [passage.model_text() for passage in beir_passages(tmp_path)] == ["A\nx", "y"]
    (tmp_path / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n1\tmissing\t1\n")
    with pytest.raises(InputError, match="judges 1 and missing"):
        beir_queries(tmp_path, "train", known={"a", "b"})


def test_a_folder_in_beir_layout_may_lack_titles_and_judge_as_trec_does(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"_id": 1, "text": "x"}\n\n{"_id": "b", "title": null, "text": "y"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": 5, "text": "One"}\n')
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("5 0 1 2\n5 0 b 0\n")
    assert list(beir_passages(tmp_path)) == [Passage("1", "", "x"), Passage("b", "", "y")]
    assert beir_queries(tmp_path, "test", known={"1", "b"}) == [("one", {"1": 2})]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("corpus.jsonl", '{"_id": "a", "text": 5}\n', r"corpus\.jsonl, row 1: 'text' is a number"),
        ("queries.jsonl", '{"_id": "1"}\n', r"queries\.jsonl, row 1: it lacks 'text'"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n1\ta\t1.5\n", "the grade '1.5' is no integer"),
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
        beir_queries(tmp_path, "test", known={passage.document_id for passage in beir_passages(tmp_path)})
