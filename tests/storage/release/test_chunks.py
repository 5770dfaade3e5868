from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightrank.storage.files.parquet import RowWriter, read_table, write_table
from nightrank.storage.records import CHUNKS, FRESH_CHUNKS, Chunk, Document
from nightrank.storage.release.chunks import KEPT_COLUMNS, ChunkListing, distinct_texts, texts_added, texts_without_row
from nightrank.storage.release.documents import DIGESTS, RAW_DOCUMENTS, deduplicate_documents, raw_row

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def settled(folder: Path, documents: dict[str, str]) -> Path:
    """Documents given as ``{id: "text|shelf"}``; the shelf is its language, too."""
    folder.mkdir(exist_ok=True)
    with RowWriter(folder / "raw.parquet", RAW_DOCUMENTS) as writer:
        for position, (document_id, said) in enumerate(documents.items()):
            text, _, shelf = said.partition("|")
            one = Document(document_id, f"On {document_id}", text, {"shelf": shelf}, "a", position + 1, shelf)
            writer.write(raw_row(one, position=position))
    assert deduplicate_documents(folder / "raw.parquet", folder / "documents.parquet") == []
    return folder / "documents.parquet"


def cut(document: Document) -> list[Chunk]:
    """A chunk a word."""
    return [Chunk(document.document_id, ordinal, word, 0) for ordinal, word in enumerate(document.text.split())]


def hashes(chunk_hashes: Iterable[str]) -> pa.RecordBatchReader:
    return pa.table({"chunk_hash": pa.array(sorted(set(chunk_hashes)), pa.string())}).to_reader()


def listed(
    folder: Path, documents: dict[str, str], *, before: Path | None = None, stored: Iterable[str] = ()
) -> tuple[pa.Table, list[str]]:
    """The listing of a folder's documents, and which of them had to be cut anew."""
    path = settled(folder, documents)
    with ChunkListing(path) as listing:
        if before is not None:
            chunks = read_table(before / "chunks.parquet", columns=KEPT_COLUMNS)
            listing.keep(before / "digests.parquet", chunks.to_reader(), hashes(stored))
        count, changed = listing.changed()
        names = []
        with RowWriter(folder / "fresh.parquet", FRESH_CHUNKS) as writer:
            for document in changed:
                names.append(document.document_id)
                for chunk in cut(document):
                    writer.write({name: getattr(chunk, name) for name in FRESH_CHUNKS.names})
        assert count == len(names)
        rows = listing.write(folder / "chunks.parquet", fresh=folder / "fresh.parquet")
    write_table(folder / "digests.parquet", read_table(path, columns=DIGESTS))
    table = read_table(folder / "chunks.parquet")
    assert table.schema == CHUNKS
    assert table.num_rows == rows
    return table, names


def all_hashes(table: pa.Table) -> list[str]:
    values: list[str] = table.column("chunk_hash").to_pylist()
    return values


def test_chunks_stand_by_document_id_descending_then_ordinal(tmp_path: Path) -> None:
    table, names = listed(tmp_path / "one", {"a": "x y", "c": "z", "b": "x|s"})
    assert table.column("chunk_id").to_pylist() == ["c#0", "b#0", "a#0", "a#1"]
    assert table.column("metadata").to_pylist() == ['{"shelf": ""}', '{"shelf": "s"}', '{"shelf": ""}', '{"shelf": ""}']
    assert table.column("language").to_pylist() == ["", "s", "", ""]
    assert table.column("title").to_pylist() == ["On c", "On b", "On a", "On a"]
    assert names == ["c", "b", "a"]
    assert distinct_texts(tmp_path / "one" / "chunks.parquet") == 3


def test_only_documents_that_read_otherwise_are_cut_anew(tmp_path: Path) -> None:
    before, _ = listed(tmp_path / "one", {"a": "x y", "b": "z|s", "c": "w", "d": "v"})
    after, names = listed(
        tmp_path / "two",
        {"a": "x y", "b": "z|other shelf", "c": "w w", "e": "v"},
        before=tmp_path / "one",
        stored=all_hashes(before),
    )
    assert names == ["e", "c"]  # d was renamed to e: another document, if not another text
    assert after.column("metadata").to_pylist()[3] == '{"shelf": "other shelf"}'
    assert after.column("language").to_pylist()[3] == "other shelf"
    assert texts_added(tmp_path / "two" / "chunks.parquet", hashes(all_hashes(before))).to_pylist() == []


def test_a_document_whose_text_lancedb_lost_is_cut_anew(tmp_path: Path) -> None:
    before, _ = listed(tmp_path / "one", {"a": "x y", "b": "z"})
    stored = all_hashes(before)
    lost = stored.pop()  # a#1
    after, names = listed(tmp_path / "two", {"a": "x y", "b": "z"}, before=tmp_path / "one", stored=stored)
    assert names == ["a"]
    assert after.equals(before)
    assert texts_without_row(tmp_path / "two" / "chunks.parquet", hashes(stored)) == 1
    assert texts_without_row(tmp_path / "two" / "chunks.parquet", hashes([*stored, lost])) == 0


COLLECTIONS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["x", "x y", "y x", "x|s", "z y x", "z|s"]))


@pytest.mark.long
@settings(max_examples=20)  # each writes some files
@given(nights=st.lists(COLLECTIONS, min_size=2, max_size=4))
def test_any_history_lists_what_a_listing_from_nothing_does(
    tmp_path_factory: pytest.TempPathFactory, nights: list[dict[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("nights")
    before: Path | None = None
    stored: set[str] = set()
    for number, documents in enumerate(nights):
        now = folder / str(number)
        after, _ = listed(now, documents, before=before, stored=stored)
        nothing, _ = listed(folder / f"{number} from nothing", documents)
        assert after.equals(nothing)
        known = set() if before is None else set(all_hashes(read_table(before / "chunks.parquet")))
        added = texts_added(now / "chunks.parquet", hashes(known)).to_pylist()
        assert added == sorted(set(all_hashes(after)) - known)
        stored |= set(all_hashes(after))
        before = now
