from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from nightrank.storage.files.parquet import RowWriter, read_table, write_table
from nightrank.storage.records import DOCUMENTS, BadRow, Document
from nightrank.storage.release.documents import (
    RAW_DOCUMENTS,
    Changes,
    changes_between,
    deduplicate_documents,
    document_of,
    documents_digest,
    documents_of,
    raw_row,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest


def document(document_id: str, text: str = "Text.", *, file: str = "a.jsonl", row: int = 1) -> Document:
    return Document(document_id, "Title", text, {"year": 1999}, file, row)


def settled(folder: Path, documents: Sequence[Document], *, name: str = "documents") -> tuple[Path, list[BadRow]]:
    raw = folder / f"{name}.raw.parquet"
    with RowWriter(raw, RAW_DOCUMENTS) as writer:
        for position, one in enumerate(documents):
            writer.write(raw_row(one, position=position))
    path = folder / f"{name}.parquet"
    return path, deduplicate_documents(raw, path)


def test_documents_come_back_as_they_were_read(tmp_path: Path) -> None:
    metadata = {"b": [1, 2.5, None], "a": {"deep": "\u00e9"}, "yes": True}
    given_documents = [
        Document("d2", "", "Only text.", {}, "a.jsonl", 2),
        Document("d1", "Only a title", "", metadata, "b.md", 1),  # type: ignore[arg-type]  # it is JSON
    ]
    path, bad = settled(tmp_path, given_documents)
    assert bad == []
    assert list(documents_of(path)) == given_documents
    assert read_table(path).schema == DOCUMENTS


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()))
def test_any_metadata_survives_a_row(metadata: dict[str, str | float | bool | None]) -> None:
    one = Document("d1", "t", "x", metadata, "a", 1)
    row = raw_row(one, position=0)
    assert document_of(row) == one
    assert document_of(row).digest() == row["document_digest"] == one.digest()


def test_the_first_document_of_an_id_is_kept_and_later_ones_name_both_places(tmp_path: Path) -> None:
    path, bad = settled(
        tmp_path,
        [
            document("d1", "first", file="a.jsonl", row=7),
            document("d2"),
            document("d1", "second", file="b.jsonl", row=1),
            document("d3"),
            document("d1", "third", file="b.jsonl", row=2),
        ],
    )
    assert [(one.document_id, one.text) for one in documents_of(path)] == [
        ("d3", "Text."),
        ("d2", "Text."),
        ("d1", "first"),
    ]
    assert bad == [
        BadRow("b.jsonl", 1, "the id 'd1' was used before, in a.jsonl, row 7"),
        BadRow("b.jsonl", 2, "the id 'd1' was used before, in a.jsonl, row 7"),
    ]


def test_documents_are_ordered_by_id_descending_by_code_point(tmp_path: Path) -> None:
    # U+FFFD comes before U+1F600 by code point and after it in UTF-16; "a" after "Z" and "10" before "9".
    ids = ["Z", "a", "9", "10", "\u00e9", "\ufffd", "\U0001f600", "a#0", "a "]
    path, bad = settled(tmp_path, [document(document_id) for document_id in ids])
    assert bad == []
    assert [one.document_id for one in documents_of(path)] == sorted(ids, reverse=True)
    assert next(documents_of(path)).document_id == "\U0001f600"


def test_many_documents_keep_their_order_over_several_blocks(tmp_path: Path) -> None:
    ids = [f"d{number}" for number in range(10_000)]
    path, bad = settled(tmp_path, [document(document_id) for document_id in (*ids, "d5")])
    assert len(bad) == 1
    assert [one.document_id for one in documents_of(path)] == sorted(ids, reverse=True)


def test_an_empty_collection_settles_to_an_empty_file(tmp_path: Path) -> None:
    path, bad = settled(tmp_path, [])
    assert bad == []
    assert list(documents_of(path)) == []


def test_the_digest_of_a_collection_does_not_depend_on_reading_order_or_place(tmp_path: Path) -> None:
    first, _ = settled(tmp_path, [document("d1"), document("d2")], name="first")
    again, _ = settled(tmp_path, [document("d2", row=9), document("d1", file="z.csv")], name="again")
    edited, _ = settled(tmp_path, [document("d1"), document("d2", "Text!")], name="edited")
    fewer, _ = settled(tmp_path, [document("d1")], name="fewer")
    assert documents_digest(first) == documents_digest(again)
    assert len({documents_digest(path) for path in (first, edited, fewer)}) == 3


def digests(path: Path, documents: dict[str, str]) -> Path:
    """Documents given as their content, with or without metadata after a stroke: ``text|metadata``."""
    columns = {
        "document_id": pa.array(documents, pa.string()),
        "document_digest": pa.array(documents.values(), pa.string()),
        "content_digest": pa.array([value.split("|")[0] for value in documents.values()], pa.string()),
    }
    write_table(path, pa.table(columns))
    return path


def test_changes_are_counted_in_documents(tmp_path: Path) -> None:
    before = digests(tmp_path / "before", {"same": "s", "x": "x", "y": "y|1", "removed": "r", "m": "m|1"})
    after = digests(tmp_path / "after", {"same": "s", "x": "X", "y": "Y|2", "a": "1", "b": "2", "c": "r", "m": "m|2"})
    assert changes_between(before, after) == Changes(added=3, edited=2, metadata=1, removed=1)
    assert changes_between(after, after) == Changes(added=0, edited=0, metadata=0, removed=0)


def test_before_the_first_release_everything_is_added(tmp_path: Path) -> None:
    after = digests(tmp_path / "after", {"a": "1", "b": "2"})
    assert changes_between(None, after) == Changes(added=2, edited=0, metadata=0, removed=0)
    assert changes_between(digests(tmp_path / "none", {}), after) == Changes(added=2, edited=0, metadata=0, removed=0)
    assert changes_between(after, tmp_path / "none") == Changes(added=0, edited=0, metadata=0, removed=2)


@settings(max_examples=25)  # each writes two files
@given(
    before=st.dictionaries(st.sampled_from("abcde"), st.sampled_from(["1", "2", "1|m", "2|m"])),
    after=st.dictionaries(st.sampled_from("abcde"), st.sampled_from(["1", "2", "1|m", "2|m"])),
)
def test_changes_equal_those_of_plain_sets(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, str], after: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("changes")
    both = before.keys() & after.keys()
    edited = sum(before[key][0] != after[key][0] for key in both)
    expected = Changes(
        added=len(after.keys() - before.keys()),
        edited=edited,
        metadata=sum(before[key] != after[key] for key in both) - edited,
        removed=len(before.keys() - after.keys()),
    )
    assert changes_between(digests(folder / "before", before), digests(folder / "after", after)) == expected
