"""Stored statistics against those built from nothing: what is said counts, not how it is numbered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.storage.doctor.statistics import StatisticsCompared, statistics_faults
from nightrank.storage.files.database import connect
from tests.support.bm25_files import Words, build, placed

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = [("b", 0, "sea salt sea"), ("a", 0, "salt"), ("a", 1, "...")]


def built(folder: Path, name: str, texts: list[tuple[str, int, str]] = TEXTS) -> Path:
    path = folder / name
    build(path, placed(texts), analyse=Words())
    return path


def changed(path: Path, *statements: str) -> Path:
    with connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    return path


def test_equal_statistics_have_no_fault(tmp_path: Path) -> None:
    compared, faults = statistics_faults(built(tmp_path, "stored"), built(tmp_path, "rebuilt"))
    assert compared == StatisticsCompared(chunks=3, terms=2, postings=3)
    assert faults == []


def test_another_numbering_is_no_fault(tmp_path: Path) -> None:
    stored = changed(
        built(tmp_path, "stored"),
        "UPDATE terms SET term_slot = 100 - term_slot",
        "UPDATE postings SET term_slot = 100 - term_slot, slot = 50 - slot",
        "UPDATE chunks SET slot = 50 - slot",
    )
    assert statistics_faults(stored, built(tmp_path, "rebuilt"))[1] == []


def test_a_term_that_no_chunk_has_any_more_is_no_fault_while_it_counts_none(tmp_path: Path) -> None:
    stored = changed(built(tmp_path, "stored"), "INSERT INTO terms VALUES (9, 9, 'gone', 0)")
    assert statistics_faults(stored, built(tmp_path, "rebuilt"))[1] == []


def test_a_chunk_whose_text_is_lost_is_not_compared_with_the_texts(tmp_path: Path) -> None:
    compared, faults = statistics_faults(built(tmp_path, "stored"), built(tmp_path, "rebuilt", TEXTS[1:]))
    assert compared.chunks == 2
    assert faults == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (
            "INSERT INTO postings VALUES (0, 77, 1)",
            ["postings of no chunk (1): slot 77"],
        ),
        (
            "INSERT INTO postings VALUES (88, 0, 1)",
            ["postings of no term (1): term slot 88"],
        ),
        (
            "INSERT INTO terms VALUES (9, 9, 'sea', 1)",
            ["terms that come more than once (1): sea"],
        ),
        (
            "INSERT INTO postings SELECT * FROM postings WHERE tf = 2",
            [
                "term frequencies that the texts do not give (1): b#0 sea",
                "chunks whose length is not the sum of their term frequencies (1): b#0",
                "terms whose chunk count is not the number of chunks that have them (1): sea",
            ],
        ),
        (
            "UPDATE statistics SET total_length = 3",
            ["totals that are not those of the chunks (1): total_length"],
        ),
    ],
)
def test_a_fault_of_the_statistics_is_named(tmp_path: Path, statement: str, says: list[str]) -> None:
    stored = changed(built(tmp_path, "stored"), statement)
    _, faults = statistics_faults(stored, built(tmp_path, "rebuilt"))
    assert [str(fault) for fault in faults] == says


def test_a_posting_that_two_files_keep_under_other_terms_is_a_fault(tmp_path: Path) -> None:
    stored = changed(
        built(tmp_path, "stored"),
        "UPDATE terms SET term = if(term = 'sea', 'salt', 'sea'), chunk_count = 3 - chunk_count",
    )
    _, faults = statistics_faults(stored, built(tmp_path, "rebuilt"))
    assert "term frequencies that the texts do not give (3): a#0 sea, b#0 salt, b#0 sea" in map(str, faults)
