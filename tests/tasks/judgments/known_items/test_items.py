from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from nightrank.storage.files.parquet import write_table
from nightrank.storage.keys import query_key
from nightrank.storage.records import DOCUMENTS, Document
from nightrank.tasks.judgments.known_items.items import KnownItem, known_items
from nightrank.tasks.judgments.known_items.masking import has_words, masked_chunk, words_pattern

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def items_of(path: Path, documents: Sequence[tuple[str, str, str]]) -> list[KnownItem]:
    """The items of documents: id, title and text."""
    rows = [
        {
            "document_id": name,
            "title": title,
            "text": text,
            "metadata": "{}",
            "language": "",
            "document_digest": name,
            "content_digest": Document(name, title, text, {}, "f", 1).content_digest(),
            "file": "f",
            "row": 1,
        }
        for name, title, text in documents
    ]
    write_table(path, pa.Table.from_pylist(rows, schema=DOCUMENTS))
    return list(known_items(path))


def test_each_document_asks_once_by_what_it_alone_has(tmp_path: Path) -> None:
    found = items_of(
        tmp_path / "documents.parquet",
        [
            ("tea", "Black tea", "It is wilted, rolled and dried by people who know."),
            ("one", "Introduction text", "See the sea as it was in old times. More."),
            ("two", "Introduction text", "No sentence is short enough to be asked, " + "word " * 30),
            ("word", "Yeast", "a"),
        ],
    )
    assert {item.document_id: (item.kind, item.text) for item in found} == {
        "tea": ("title", "black tea"),
        "one": ("sentence", "see the sea as it was in old times."),
    }
    [tea] = [item for item in found if item.document_id == "tea"]
    assert tea.query_key == query_key("Black tea")


def test_an_edited_document_is_another_item_and_any_other_change_is_none(tmp_path: Path) -> None:
    others = [("b", "Green tea", "Steamed leaves of the very same plant.")]
    before = items_of(tmp_path / "1.parquet", [("a", "Black tea", "Wilted."), *others])
    edited = items_of(tmp_path / "2.parquet", [("a", "Black tea", "Wilted twice."), *others])
    more = items_of(tmp_path / "3.parquet", [("a", "Black tea", "Wilted."), *others, ("c", "White tea", "Dried.")])
    ids = [{item.document_id: item.item for item in found} for found in (before, edited, more)]
    assert ids[0]["b"] == ids[1]["b"] == ids[2]["b"]
    assert ids[0]["a"] == ids[2]["a"] != ids[1]["a"]


def test_headings_ask_as_well_as_titles(tmp_path: Path) -> None:
    text = "Of tea.\n\n## Wilting of the {n} leaves\n\nAs long as it takes.\n"
    documents = [(f"d{n}", f"Black tea number {n}", text.replace("{n}", f"n{n}")) for n in range(40)]
    kinds = [item.kind for item in items_of(tmp_path / "documents.parquet", documents)]
    assert len(kinds) == 40
    assert 10 < kinds.count("heading") < 30


def item(words: str, kind: str = "title") -> KnownItem:
    return KnownItem("i", "k", words.casefold(), "d", words, kind)  # type: ignore[arg-type]  # a text of the three


def test_a_heading_is_masked_in_the_title_the_path_and_the_text() -> None:
    lead = "Tea and wilting leaves\nBasics > Wilting leaves > Time\n"
    text = f"{lead}## Wilting leaves\n\nWilting-leaves: wilting of leaves."
    start = text.index("## ")
    found = masked_chunk(text, start, has_title=True, item=item("Wilting leaves", "heading"))
    assert "wilting leaves" not in found.text.casefold()
    assert found.text.endswith(": wilting of leaves.")
    assert found.text[: found.body_start].splitlines() == ["Tea and", "Basics >   > Time"]
    assert found.has_title


def test_a_chunk_without_the_words_is_as_it_was() -> None:
    found = masked_chunk("Tea\nPath\nbody", 9, has_title=True, item=item("Wilting leaves", "heading"))
    assert found == ("Tea\nPath\nbody", 9, True)


@pytest.mark.parametrize(
    ("words", "text", "left"),
    [
        ("A.B (c)", "say a.b (C) now", "say ) now"),
        ("in", "within in", "within "),
        ("\u7ea2\u8336", "\u559d\u7ea2\u8336\u5427", "\u559d\u5427"),
        ("...", "a ... b", "a ... b"),
    ],
)
def test_whole_words_alone_are_masked_where_spaces_part_them(words: str, text: str, left: str) -> None:
    assert words_pattern(words).sub("", text) == left


def test_what_is_left_must_say_something() -> None:
    assert has_words("one two three", 3)
    assert not has_words("one two", 3)
    assert has_words("\u559d\u7ea2\u8336\u7684\u4eba\u5f88\u591a", 3)
