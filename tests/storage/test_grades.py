"""The log of what people judged: on the disk at each key, whole after a crash, held by one process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError, WorkspaceBusy
from nightrank.storage.grades import Act, GradeLog, grades_of, read_acts, standing

if TYPE_CHECKING:
    from pathlib import Path


def said(document: str, grade: int | None, judge: str = "Ann", act: str = "grade") -> Act:
    return Act("2026-05-01T12:00:00+00:00", judge, "q1", document, act, grade, "wild yeast")  # type: ignore[arg-type]


def test_what_was_said_is_there_when_the_log_is_opened_again(tmp_path: Path) -> None:
    acts = [said("a", 2), said("b", None, act="skip"), said("a", 3, judge="Bén")]
    with GradeLog(tmp_path / "judgments") as log:
        for act in acts:
            log.add(act)
            assert read_acts(log.path.read_bytes(), name="log") == log.acts  # before the next key
    with GradeLog(tmp_path / "judgments") as log:
        assert log.acts == acts


def test_half_a_line_that_a_crash_left_is_cut_off(tmp_path: Path) -> None:
    with GradeLog(tmp_path) as log:
        log.add(said("a", 2))
        log.add(said("b", 1))
    whole = log.path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole) - 1):
        log.path.write_bytes(whole[:cut])
        with GradeLog(tmp_path) as again:
            assert again.acts == [said("a", 2)]
            again.add(said("c", 0))
        assert [act.document_id for act in read_acts(log.path.read_bytes(), name="log")] == ["a", "c"]


def test_a_whole_line_without_its_end_stands(tmp_path: Path) -> None:
    with GradeLog(tmp_path) as log:
        log.add(said("a", 2))
        log.add(said("b", 1))
    log.path.write_bytes(log.path.read_bytes().rstrip(b"\n"))  # as some editors leave it
    with GradeLog(tmp_path) as again:
        assert [act.document_id for act in again.acts] == ["a", "b"]
        again.add(said("c", 0))
    with GradeLog(tmp_path) as again:
        assert [act.document_id for act in again.acts] == ["a", "b", "c"]


def test_what_is_skipped_or_taken_back_has_no_grade() -> None:
    line = b'{"at": "", "judge": "a", "query_id": "q", "document_id": "d", "act": "skip", "grade": 3}\n'
    with pytest.raises(InputError, match="the grade 3 of what is called skip"):
        read_acts(line, name="log")


def test_a_line_that_the_disk_did_not_take_was_never_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with GradeLog(tmp_path) as log:
        log.add(said("a", 2))

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="No space"):
                log.add(said("b", 1))
        log.add(said("c", 0))
        assert [act.document_id for act in log.acts] == ["a", "c"]
    with GradeLog(tmp_path) as again:
        assert [act.document_id for act in again.acts] == ["a", "c"]


def test_one_process_writes_it(tmp_path: Path) -> None:
    with GradeLog(tmp_path), pytest.raises(WorkspaceBusy, match="Another process"):
        GradeLog(tmp_path)
    GradeLog(tmp_path).close()


@pytest.mark.parametrize("line", [b"{}", b'{"a": 1}', b"[" * 200_000, b"\xff", b"null", b'{"grade": 1' + b"0" * 400])
def test_a_line_that_is_none_of_ours_is_told(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "people.jsonl").write_bytes(line + b"\n")
    with pytest.raises(InputError, match="row 1"):
        GradeLog(tmp_path)


def test_grades_are_from_0_to_3() -> None:
    line = b'{"at": "", "judge": "a", "query_id": "q", "document_id": "d", "act": "grade", "grade": 4}\n'
    with pytest.raises(InputError, match="the grade 4"):
        read_acts(line, name="log")


def test_what_was_said_last_stands_and_what_was_taken_back_does_not() -> None:
    acts = [said("a", 2), said("b", 1), said("a", 3), said("b", None, act="undo"), said("c", None, act="skip")]
    assert standing(acts) == {"Ann": {("q1", "a"): 3, ("q1", "c"): None}}
    assert grades_of(acts) == {"Ann": {("q1", "a"): 3}}
    assert grades_of([said("a", 1), said("a", None, act="undo")]) == {}
