from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.files.parquet import RowWriter
from nightrank.storage.records import Document
from nightrank.storage.release.documents import RAW_DOCUMENTS, deduplicate_documents, raw_row
from nightrank.tasks.read.account import CHARACTERS, WITH_TEXT, Account, Entry, Kind
from nightrank.tasks.read.sizes import tell_sizes

if TYPE_CHECKING:
    from pathlib import Path


def test_what_came_twice_counts_once_and_titles_alone_are_told_with_the_first(tmp_path: Path) -> None:
    documents = [
        Document("b", "B", "four", {}, "c.jsonl", 1),
        Document("b", "B", "four again", {}, "c.jsonl", 2),
        Document("z", "Z", "", {}, "c.jsonl", 4),
        Document("a", "A", "\u00a0\n", {}, "c.jsonl", 3),
        Document("c", "", "größe", {}, "c.jsonl", 5),
    ]
    with RowWriter(tmp_path / "raw.parquet", RAW_DOCUMENTS) as raw:
        for position, document in enumerate(documents):
            raw.write(raw_row(document, position=position))
    deduplicate_documents(tmp_path / "raw.parquet", tmp_path / "settled.parquet")
    account = Account()

    tell_sizes(tmp_path / "settled.parquet", account)

    assert account.entries() == (
        Entry("documents", Kind.SIZE, CHARACTERS, 9, ""),
        Entry("documents", Kind.SIZE, WITH_TEXT, 2, ""),
        Entry("documents", Kind.TITLE_ALONE, "documents", 2, "c.jsonl, row 3"),
    )
