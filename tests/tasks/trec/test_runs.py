from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.errors import InputError
from nightrank.storage.records import Judgment
from nightrank.tasks.evaluate.measures import evaluate_run
from nightrank.tasks.personal_data import impersonal_id
from nightrank.tasks.read.account import Account
from nightrank.tasks.trec.runs import Entry, read_run, write_run

IDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=4)
SCORES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 1.0 + 1e-9, 1e-45, -5.0, 0.1]),  # ties in float32, some not in float64
    st.floats(min_value=-3e38, max_value=3e38),
)


def written(folder: Path, text: str | bytes, *, name: str = "run.txt") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_run_is_written_best_first_and_ties_by_document_id_descending(tmp_path: Path) -> None:
    entries = [
        Entry("q2", "a", 1.0),
        Entry("q1", "c", -2.5),
        Entry("q1", "a", 0.5),
        Entry("q1", "b", 0.5),
        Entry("q1", "d", 7.0),
    ]
    assert write_run(tmp_path / "run.txt", entries, tag="mine") == 5
    assert (tmp_path / "run.txt").read_text() == (
        "q2 Q0 a 1 1.0 mine\nq1 Q0 d 1 7.0 mine\nq1 Q0 b 2 0.5 mine\nq1 Q0 a 3 0.5 mine\nq1 Q0 c 4 -2.5 mine\n"
    )


def test_scores_that_float32_cannot_tell_apart_are_written_as_the_tie_they_are(tmp_path: Path) -> None:
    write_run(tmp_path / "run.txt", [Entry("q", "a", 1.0 + 1e-9), Entry("q", "b", 1.0)], tag="t")
    assert (tmp_path / "run.txt").read_text() == "q Q0 b 1 1.0 t\nq Q0 a 2 1.0 t\n"


@pytest.mark.long
@given(st.dictionaries(st.tuples(IDS, IDS), st.tuples(SCORES, st.integers(0, 2)), min_size=1, max_size=12))
def test_a_run_read_back_has_the_same_entries_and_measures(rows: dict[tuple[str, str], tuple[float, int]]) -> None:
    entries = [Entry(*ids, score) for ids, (score, _) in rows.items()]
    judgments = [Judgment(*ids, grade) for ids, (_, grade) in rows.items()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.txt"
        write_run(path, entries, tag="t")
        found = read_run(path, name="run.txt", account=Account())
        foreign = [Entry(*scored) for scored in ir_measures.read_trec_run(str(path))]  # type: ignore[no-untyped-call]  # it has none
    assert {entry[:2]: np.float32(entry.score) for entry in found} == {
        entry[:2]: np.float32(entry.score) for entry in entries
    }
    assert foreign == found
    measures = ["nDCG@10", "RR@10", "R@100", "P@2"]
    assert evaluate_run(found, judgments, measures) == evaluate_run(entries, judgments, measures)


def test_gzip_goes_by_the_name_and_gives_the_same_bytes_each_time(tmp_path: Path) -> None:
    entries = [Entry("q", "a", 1.0)]
    write_run(tmp_path / "one.gz", entries, tag="t")
    write_run(tmp_path / "two.gz", entries, tag="t")
    assert gzip.decompress((tmp_path / "one.gz").read_bytes()) == b"q Q0 a 1 1.0 t\n"
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()
    assert read_run(tmp_path / "one.gz", name="one.gz", account=Account()) == entries


@pytest.mark.parametrize(
    ("entry", "tag", "named"),
    [
        (Entry("q 1", "a", 1.0), "t", "query id 'q 1'"),
        (Entry("q", "my notes.md", 1.0), "t", "document id 'my notes.md'"),
        (Entry("q", "a\u00a0b", 1.0), "t", r"document id 'a\\xa0b'"),
        (Entry("", "a", 1.0), "t", "query id ''"),
        (Entry("q", "", 1.0), "t", "document id ''"),
        (Entry("q", "a", 1.0), "my run", "tag 'my run'"),
    ],
)
def test_what_the_format_cannot_express_is_refused_and_leaves_the_file_as_it_was(
    tmp_path: Path, entry: Entry, tag: str, named: str
) -> None:
    path = written(tmp_path, "as it was")
    with pytest.raises(InputError, match=named):
        write_run(path, [Entry("q0", "a", 1.0), entry], tag=tag)
    assert [file.name for file in tmp_path.iterdir()] == ["run.txt"]
    assert path.read_text() == "as it was"


@pytest.mark.parametrize("second", [Entry("q", "a", 2.0), Entry("q", "b", float("nan")), Entry("q", "b", 1e39)])
def test_entries_that_are_no_run_are_a_fault_of_the_caller(tmp_path: Path, second: Entry) -> None:
    with pytest.raises(ValueError, match="each document once with a finite score"):
        write_run(tmp_path / "run.txt", [Entry("q", "a", 1.0), second], tag="t")


def test_the_score_alone_counts_and_lines_may_be_blank_or_separated_by_tabs(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffq1\tQ0\td1\t9\t-1e-3\tx\r\n\r\nq1 0 d2 1 +.5 y\n")
    assert read_run(path, name="run.txt", account=Account()) == [Entry("q1", "d1", -0.001), Entry("q1", "d2", 0.5)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q Q0 d2 1 0.5", "row 2: 5 columns, expected six"),
        ("q Q0 my notes.md 1 0.5 t", "row 2: 7 columns, expected six"),
        ("q Q0 d2 1 nan t", "row 2: the score 'nan' is no finite number"),
        ("q Q0 d2 1 1_0 t", "row 2: the score '1_0' is no finite number"),
        ("q Q0 d2 1 -1e39 t", "row 2: the score '-1e39' is no finite number"),
        ("q Q0 d2 1 0x1p3 t", "row 2: the score '0x1p3' is no finite number"),
        ("q Q0 d1 2 0.5 t", "row 2: the document 'd1' is there in row 1 already for the query 'q'"),
        (f"q Q0 {'d' * 513} 2 0.5 t", "row 2: the id 'd.* is 513 bytes long"),
        (f"q Q0 d2 2 {'5' * 400} t", "row 2: the score '5555.* is no finite number"),
        (f"q Q0 d2 2 {'5' * 10_000} t", "row 2: 10,01. bytes are more than the 10,000 allowed"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = written(tmp_path, f"q Q0 d1 1 1.0 t\n{line}\n")
    with pytest.raises(InputError, match=f"runs/bm25.txt, {message}"):
        read_run(path, name="runs/bm25.txt", account=Account())


def test_the_same_document_of_two_queries_is_no_repetition(tmp_path: Path) -> None:
    assert len(read_run(written(tmp_path, "q1 Q0 d 1 1 t\nq2 Q0 d 1 1 t\n"), name="run.txt", account=Account())) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "run.txt holds no entry of a run"),
        (b"\n \n", "run.txt holds no entry of a run"),
        (b"q Q0 d\xff 1 1.0 t\n", "run.txt, row 1: byte 7 .0xff. is not UTF-8"),
    ],
)
def test_a_file_that_is_no_run_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_run(written(tmp_path, content), name="run.txt", account=Account())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run\.txt does not exist"):
        read_run(tmp_path / "run.txt", name="run.txt", account=Account())


def test_ids_with_personal_data_have_their_pseudonyms(tmp_path: Path) -> None:
    (tmp_path / "a.run").write_text("jane@example.org Q0 d1 1 2.5 tag\n")
    [entry] = read_run(tmp_path / "a.run", name="a.run", account=Account())
    assert entry.query_id == impersonal_id("jane@example.org")
