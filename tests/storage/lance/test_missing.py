from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from nightrank.storage.files.parquet import write_table
from nightrank.storage.lance.missing import MissingChunks
from nightrank.storage.lance.table import no_hashes
from nightrank.storage.records import FRESH_CHUNKS

if TYPE_CHECKING:
    from pathlib import Path

# d1 and d3 say the same.
TEXTS = {
    "d1#0": ("h1", "same"),
    "d2#0": ("h2", "the longest of them"),
    "d2#1": ("h3", "longer"),
    "d3#0": ("h1", "same"),
}


@pytest.fixture
def chunks(tmp_path: Path) -> Path:
    rows = [
        {
            "chunk_hash": key,
            "document_id": chunk_id[:2],
            "ordinal": int(chunk_id[-1]),
            "text": text,
            "body_start": 0,
        }
        for chunk_id, (key, text) in TEXTS.items()
    ]
    write_table(tmp_path / "chunks.parquet", pa.Table.from_pylist(rows, schema=FRESH_CHUNKS))
    return tmp_path / "chunks.parquet"


def known(*hashes: str) -> pa.RecordBatchReader:
    return pa.table({"chunk_hash": pa.array(hashes, pa.string())}).to_reader()


def test_without_a_table_every_text_is_missing_once_the_longest_first(chunks: Path) -> None:
    with MissingChunks(chunks, no_hashes()) as missing:
        assert len(missing) == 3
        batches = list(missing.batches(2))
    assert batches == [(["h2", "h3"], ["the longest of them", "longer"]), (["h1"], ["same"])]


def test_what_is_known_is_not_missing_and_what_else_is_known_does_not_matter(chunks: Path) -> None:
    with MissingChunks(chunks, known("h2", "other", "h1")) as missing:
        assert len(missing) == 1
        assert list(missing.batches(10)) == [(["h3"], ["longer"])]


def test_where_all_is_known_there_are_no_batches(chunks: Path) -> None:
    with MissingChunks(chunks, known("h1", "h2", "h3")) as missing:
        assert len(missing) == 0
        assert list(missing.batches(10)) == []


def test_a_path_with_the_signs_of_a_pattern_is_one_file(chunks: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a[b]*"
    folder.mkdir()
    with MissingChunks(chunks.rename(folder / "chunks.parquet"), no_hashes()) as missing:
        assert len(missing) == 3
