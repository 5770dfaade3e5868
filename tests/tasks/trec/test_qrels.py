from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightrank.storage.errors import InputError
from nightrank.storage.records import Judgment
from nightrank.tasks.personal_data import impersonal_id
from nightrank.tasks.read.account import Account, Kind
from nightrank.tasks.read.told import warnings_of
from nightrank.tasks.trec.qrels import read_judgments, write_judgments

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "query-id\tcorpus-id\tscore\n"


def read(folder: Path, text: str, name: str = "test.tsv") -> list[Judgment]:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return read_judgments(path, name=name, account=Account())


def test_beir_and_trec_say_the_same(tmp_path: Path) -> None:
    expected = [Judgment("q1", "d2", 2), Judgment("q1", "d1", 0), Judgment("q2", "d1", 1)]
    assert read(tmp_path, f"{HEADER}q1\td2\t2\nq1\td1\t0\nq2\td1\t1\n") == expected
    assert read(tmp_path, "q1 0 d2 2\nq1\tQ0\td1  0\nq2 0 d1 1", name="qrels.txt") == expected


def test_a_second_column_that_trec_does_not_have_is_told_once(tmp_path: Path) -> None:
    account = Account()
    (tmp_path / "a.qrels").write_text("q1 0 d 1\nq2 q0 d 1\nq3 7 d 1\nq4 8 d 0\n")
    read_judgments(tmp_path / "a.qrels", name="a.qrels", account=account)
    (warning,) = warnings_of(account.entries())
    assert warning.startswith("2 rows of the judgments have neither 0 nor Q0 in the second column (the first: a.qrels")
    assert "row 3" in warning


def test_gzipped_judgments_are_unpacked(tmp_path: Path) -> None:
    assert read(tmp_path, "q 0 d 1\n", name="qrels.gz") == [Judgment("q", "d", 1)]


def test_windows_line_ends_blank_lines_and_a_byte_order_mark_are_no_matter(tmp_path: Path) -> None:
    text = "\ufeffquery-id\tcorpus-id\tscore\r\n\r\nq\td\t1\r\n\r\n"
    assert read(tmp_path, text) == [Judgment("q", "d", 1)]


def test_negative_grades_are_allowed(tmp_path: Path) -> None:
    assert read(tmp_path, "q 0 d -2\n") == [Judgment("q", "d", -2)]


def test_beir_ids_may_hold_spaces(tmp_path: Path) -> None:
    assert read(tmp_path, f"{HEADER}a b\tc d.md\t1\n") == [Judgment("a b", "c d.md", 1)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("qrels.tsv", "query_id\tcorpus_id\tscore\nq\td\t1\n"),
        ("qrels.tsv", "qid\tdocid\trelevance\nq\td\t1\n"),
        ("qrels.txt", "topic\titer\tdocno\trel\nq\t0\td\t1\n"),
        ("qrels.csv", "query-id,corpus-id,score\nq,d,1\n"),
        ("qrels.csv", "Query ID;Doc ID;Label\nq;d;1\n"),
        ("qrels.csv", "q,d,1\n"),
        ("qrels.tsv", "q\td\t1\n"),
        ("qrels.tsv", "query-id\tcorpus-id\tscore\n q \td\t1.0\n"),
        ("qrels.jsonl", '{"query_id": "q", "doc_id": "d", "relevance": 1}\n'),
        ("qrels.jsonl", '{"query-id": "q", "corpus-id": "d", "score": 1.0}\n'),
        ("qrels.txt", "q\t0\td\t1.0\n"),
    ],
)
def test_other_tables_of_judgments_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    assert read(tmp_path, text, name=name) == [Judgment("q", "d", 1)]


def test_judgments_in_parquet_and_in_utf_16_are_read(tmp_path: Path) -> None:
    columns = {"query-id": [1.0], "corpus-id": ["d"], "score": [1]}
    pq.write_table(pa.table(columns), tmp_path / "qrels.parquet")
    assert read_judgments(tmp_path / "qrels.parquet", name="q", account=Account()) == [Judgment("1", "d", 1)]
    (tmp_path / "qrels.tsv").write_bytes("query-id\tcorpus-id\tscore\r\nq\td\t1\r\n".encode("utf-16"))
    assert read_judgments(tmp_path / "qrels.tsv", name="q", account=Account()) == [Judgment("q", "d", 1)]


def test_what_was_guessed_of_judgments_and_blanks_around_ids_are_told(tmp_path: Path) -> None:
    (tmp_path / "q.tsv").write_text("q1\td1 \t1\n")
    account = Account()
    assert read_judgments(tmp_path / "q.tsv", name="q.tsv", account=account) == [Judgment("q1", "d1", 1)]
    told = {(entry.kind, entry.what) for entry in account.entries()}
    assert (Kind.FORM, "no header: query, document, grade") in told
    assert (Kind.MENDED, "blanks around ids, taken away") in told


def test_trec_ids_may_hold_spaces_where_tabs_separate(tmp_path: Path) -> None:
    assert read(tmp_path, "q\t0\tmy doc.md\t1\n") == [Judgment("q", "my doc.md", 1)]


def test_a_pair_repeated_with_the_same_grade_is_there_once(tmp_path: Path) -> None:
    assert read(tmp_path, "q 0 d 1\nq 0 e 1\nq 0 d 1\n") == [Judgment("q", "d", 1), Judgment("q", "e", 1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "q 0 d 1\nq 0 d 2\n",
            "test.tsv, row 2: query 'q' and document 'd' have the grade 2, and in row 1 the grade 1",
        ),
        ("q d 1\n", "row 1: 3 fields, expected four, separated by white space"),
        ("q 0 d\n", "row 1: 3 fields"),
        ('{"q": {"d": 1}}\n', "is JSON, which is not read under that name"),
        ("q 0 d e 1\n", "row 1: 5 fields"),
        (f"{HEADER}q d 1\n", "row 2: 1 field where the header has 3"),
        (f"{HEADER}q\t0\td\t1\n", "row 2: 4 fields"),
        (f"{HEADER}\td\t1\n", "row 2: the id is empty"),
        (f"{HEADER}q\t \t1\n", "row 2: the id is empty"),
        (f"{HEADER}q\td\t\n", "row 2: the grade '' is no integer"),
        ("q 0 d 1.5\n", "row 1: the grade '1.5' is no integer"),
        ("q 0 d 1_0\n", "row 1: the grade '1_0' is no integer"),
        ("q 0 d \u0661\n", "row 1: the grade '\u0661' is no integer"),
        ("q 0 d high\n", "row 1: the grade 'high' is no integer"),
        (f"q 0 {'d' * 10_001} 1\n", "row 1: 10,0"),
        ("", "test.tsv holds no judgment"),
        (HEADER, "test.tsv holds no judgment"),
    ],
)
def test_any_malformed_row_stops_with_its_place_and_a_remedy(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert message in caught.value.message
    assert caught.value.remedy


def test_a_row_that_is_not_utf_8_stops(tmp_path: Path) -> None:
    (tmp_path / "q").write_bytes(b"q 0 d 1\nq 0 caf\xe9 1\n")
    with pytest.raises(InputError, match=r"q, row 2: byte 8 \(0xe9\) is not UTF-8"):
        read_judgments(tmp_path / "q", name="q", account=Account())


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone does not exist"):
        read_judgments(tmp_path / "gone", name="gone", account=Account())


@pytest.mark.parametrize(
    ("file", "count", "grades"),
    [("scifact/qrels/test.tsv", 339, {1}), ("cran/qrels/test.tsv", 1_837, {0, 1, 2, 3, 4})],
)
def test_real_judgments_are_read(shared_data: Path, file: str, count: int, grades: set[int]) -> None:
    judgments = read_judgments(shared_data / file, name=file, account=Account())
    assert len(judgments) == count
    assert {judgment.grade for judgment in judgments} == grades


def test_ids_with_personal_data_have_their_pseudonyms_and_are_told(tmp_path: Path) -> None:
    (tmp_path / "q.tsv").write_text(f"{HEADER}jane@example.org\td1\t1\nq2\td1\t1\n")
    account = Account()
    judgments = read_judgments(tmp_path / "q.tsv", name="q.tsv", account=account)
    assert judgments == [Judgment(impersonal_id("jane@example.org"), "d1", 1), Judgment("q2", "d1", 1)]
    assert (Kind.MENDED, "query ids with personal data, hashed", 1) in [
        (entry.kind, entry.what, entry.count) for entry in account.entries()
    ]


def test_what_is_written_is_read_with_what_it_rests_on(tmp_path: Path) -> None:
    judgments = [Judgment("q 1", "d1", 2, "clicks"), Judgment("q2", "d1", -1, "clicks")]
    write_judgments(tmp_path / "by_clicks.tsv", judgments)
    assert read(tmp_path, (tmp_path / "by_clicks.tsv").read_text()) == judgments


def test_judgments_without_a_word_of_it_are_people_s(tmp_path: Path) -> None:
    assert read(tmp_path, f"{HEADER}q\td\t1\n")[0].judged_by == "people"
    assert read(tmp_path, "query-id\tcorpus-id\tscore\tjudged-by\nq\td\t1\t\n")[0].judged_by == "people"


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ("q\td\t1\tpeople\nq\te\t1\tmodel\n", "row 3: judged by model, and row 2 by people"),
        ("q\td\t1\toracle\n", "row 2: judged by 'oracle', which is nothing that is known"),
    ],
)
def test_kinds_of_judgments_are_known_and_never_mixed(tmp_path: Path, rows: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        read(tmp_path, f"query-id\tcorpus-id\tscore\tjudged-by\n{rows}")
