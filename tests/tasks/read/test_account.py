from __future__ import annotations

import pickle

import pytest

from nightrank.tasks.read.account import MAX_DISTINCT, OTHERS, Account, Entry, Kind, alike


def test_what_is_alike_is_counted_together_and_the_first_place_is_kept() -> None:
    account = Account()
    account.add("documents", Kind.FILE_READ, ".md", where="a.md")
    account.add("documents", Kind.FILE_READ, ".md", where="b.md")
    account.add("documents", Kind.MENDED, "data URI", where="a.md", count=3)

    assert account.entries() == (
        Entry("documents", Kind.FILE_READ, ".md", 2, "a.md"),
        Entry("documents", Kind.MENDED, "data URI", 3, "a.md"),
    )


def test_entries_come_by_part_and_kind_the_most_frequent_first_and_equal_ones_by_name() -> None:
    account = Account()
    account.add("runs", Kind.FILE_READ, ".run")
    account.add("queries", Kind.COLUMN_IGNORED, "page")
    account.add("queries", Kind.COLUMN_USED, "query")
    account.add("documents", Kind.FILE_NOT_READ, ".rst")
    account.add("documents", Kind.FILE_NOT_READ, ".adoc")
    account.add("documents", Kind.FILE_NOT_READ, ".php", count=2)

    found = [(entry.part, entry.what) for entry in account.entries()]

    assert found == [
        ("documents", ".php"),
        ("documents", ".adoc"),
        ("documents", ".rst"),
        ("queries", "query"),
        ("queries", "page"),
        ("runs", ".run"),
    ]


def test_bad_rows_are_counted_by_reason_without_its_figures_and_values() -> None:
    account = Account()
    account.add_bad_row("documents", "byte 4 (0xe9) is not UTF-8", where="a.csv, row 2")
    account.add_bad_row("documents", "byte 17 (0xfc) is not UTF-8", where="a.csv, row 9")

    assert account.entries() == (Entry("documents", Kind.BAD_ROW, "byte … (…) is not UTF-8", 2, "a.csv, row 2"),)


@pytest.mark.parametrize(
    ("reason", "common"),
    [
        ("the id 'a\\'b' is 1,024 bytes long, more than 512", "the id … is … bytes long, more than …"),
        ('the grade "1.0" is no integer', "the grade … is no integer"),
        ("the query is empty", "the query is empty"),
    ],
)
def test_a_reason_is_known_without_what_varies(reason: str, common: str) -> None:
    assert alike(reason) == common


def test_an_account_of_countless_different_things_stays_small() -> None:
    account = Account()
    for number in range(3 * MAX_DISTINCT):
        account.add("queries", Kind.COLUMN_IGNORED, f"c{number:04}")

    entries = account.entries()

    assert len(entries) == MAX_DISTINCT + 1
    assert entries[0] == Entry("queries", Kind.COLUMN_IGNORED, OTHERS, 2 * MAX_DISTINCT, "")


def test_entries_travel_between_processes() -> None:
    account = Account()
    account.add("queries", Kind.COLUMN_GUESSED, "searches as count", where="log.csv, row 2")

    assert pickle.loads(pickle.dumps(account.entries())) == account.entries()
