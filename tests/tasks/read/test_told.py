from __future__ import annotations

import pytest

from nightrank.tasks.read.account import (
    CHARACTERS,
    LINKED,
    NO_COLLECTION,
    UNREADABLE_FOLDER,
    WITH_TEXT,
    Account,
    Entry,
    Kind,
    as_rows,
    of_rows,
    totals,
)
from nightrank.tasks.read.told import characters_of, lines_of, warnings_of


def test_a_line_tells_what_was_read_of_each_part() -> None:
    account = Account()
    for suffix, count in ((".md", 12), (".rst", 1)):
        account.add("documents", Kind.FILE_READ, suffix, count=count)
    account.add("documents", Kind.ENCODING, "UTF-8", count=13)
    account.add("documents", Kind.COLUMN_KEPT, "lang", count=4)
    for number in range(6):
        account.add("queries", Kind.COLUMN_IGNORED, f"c{number}", count=9)
    account.add("queries", Kind.ENCODING, "UTF-16")

    assert lines_of(account.entries()) == [
        ("documents", "read: 12 .md, 1 .rst; metadata: lang"),
        ("queries", "written in: 1 UTF-16; ignored: c0, c1, c2, c3 and 2 more"),
    ]
    assert warnings_of(account.entries()) == []


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        (
            [Entry("documents", Kind.FILE_NOT_READ, ".docx", 2, "a.docx")],
            "2 files were not read: 2 .docx (the first: a.docx). Write them in a format that is read, or name them",
        ),
        (
            [Entry("documents", Kind.FILE_NOT_READ, NO_COLLECTION, 1, "a.csv has no id column.")],
            "Not read, as it gives no document: a.csv has no id column. Mend it, or name it",
        ),
        ([Entry("documents", Kind.FILE_NOT_READ, UNREADABLE_FOLDER, 1, "x/")], "x/ cannot be read."),
        (
            [
                Entry("documents", Kind.FILE_READ, ".md", 9, "a.md"),
                Entry("documents", Kind.FILE_READ, ".csv", 1, "assets/team.csv"),
            ],
            "1 table was read beside 9 pages, each row as a document (the first: assets/team.csv).",
        ),
        (
            [
                Entry("documents", Kind.SIZE, WITH_TEXT, 1, ""),
                Entry("documents", Kind.TITLE_ALONE, "documents", 1, "c.jsonl, row 2"),
            ],
            "1 of 2 documents have a title and no text (the first: c.jsonl, row 2).",
        ),
        (
            [
                Entry("documents", Kind.SKIPPED, "empty page", 6, "a.md"),
                Entry("documents", Kind.SIZE, WITH_TEXT, 24, ""),
            ],
            "6 of 30 documents were skipped: 6 empty page (the first: a.md).",
        ),
        (
            [Entry("judgments", Kind.UNKNOWN_ID, "documents (2 of them match in the same case)", 2, "'D1'")],
            "2 judged documents are not in the collection, such as 'D1' (2 of them match in the same case);",
        ),
        (
            [Entry("queries", Kind.FILE_NOT_READ, ".md", 1, "logs/a.md")],
            "Of the query log 1 file was not read: 1 .md (the first: logs/a.md).",
        ),
        (
            [Entry("queries", Kind.COLUMN_GUESSED, "Hits as count", 9, "log.csv, row 2")],
            "The column 'Hits' was taken for how often each query was asked (the first: log.csv, row 2);",
        ),
    ],
)
def test_what_looks_like_a_mistake_is_told_with_its_place_and_a_remedy(entries: list[Entry], told: str) -> None:
    [warning] = warnings_of(entries)
    assert told in warning


@pytest.mark.parametrize(
    "entry",
    [
        Entry("documents", Kind.FILE_NOT_READ, ".png", 40, "a.png"),
        Entry("documents", Kind.FILE_NOT_READ, LINKED, 1, "loop"),
        Entry("documents", Kind.FILE_EXCLUDED, "node_modules/", 1, "node_modules"),
        Entry("documents", Kind.SKIPPED, "empty page", 5, "a.md"),
        Entry("judgments", Kind.UNKNOWN_ID, "queries", 5, ""),
        Entry("queries", Kind.COLUMN_GUESSED, "searches as count", 5, ""),
        Entry("queries", Kind.COLUMN_USED, "hits as count", 5, ""),
    ],
)
def test_what_is_as_usual_is_no_warning(entry: Entry) -> None:
    assert warnings_of([entry, Entry("documents", Kind.SIZE, WITH_TEXT, 30, "")]) == []


def test_rows_give_the_entries_that_they_were_made_of_and_kinds_of_later_versions_are_passed_over() -> None:
    entries = (
        Entry("documents", Kind.SIZE, CHARACTERS, 7, ""),
        Entry("documents", Kind.SIZE, WITH_TEXT, 2, ""),
        Entry("documents", Kind.BAD_ROW, "x", 1, "a"),
        Entry("documents", Kind.BAD_ROW, "y", 2, "b"),
    )
    rows = as_rows(entries)
    assert of_rows([*rows, {**rows[0], "kind": "of later"}]) == entries
    assert characters_of(entries) == (2, 7)
    assert totals(entries) == {
        "documents": {"size: characters of text": 7, "size: documents with a text": 2, "bad row": 3}
    }
