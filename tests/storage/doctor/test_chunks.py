"""Faults of a table of chunks and of its documents, on rows that can be checked by eye."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from nightrank.storage.doctor.chunks import chunk_faults, document_faults
from nightrank.storage.files.database import connect
from nightrank.storage.files.parquet import write_table

if TYPE_CHECKING:
    from pathlib import Path

Row = tuple[int, str, str, int]  # chunk number, chunk id, document id, ordinal

SOUND: list[Row] = [(0, "b#0", "b", 0), (1, "b#1", "b", 1), (2, "a#0", "a", 0)]


def chunks_file(folder: Path, rows: list[Row]) -> Path:
    columns = zip(*rows, strict=True)
    table = pa.table(dict(zip(("chunk_number", "chunk_id", "document_id", "ordinal"), map(list, columns), strict=True)))
    path = folder / "bm25.duckdb"
    with connect(path) as connection:
        connection.register("rows", table)
        connection.execute("CREATE TABLE chunks AS SELECT * FROM rows")
    return path


def test_sound_chunks_have_no_fault(tmp_path: Path) -> None:
    assert chunk_faults(chunks_file(tmp_path, SOUND)) == (3, [])


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            [(1, "b#0", "b", 0), (0, "b#1", "b", 1), (2, "a#0", "a", 0)],
            ["chunks whose number is not their place in the order that breaks ties (2): b#0, b#1"],
        ),
        (
            [(0, "a#0", "a", 0), (1, "b#0", "b", 0)],
            ["chunks whose number is not their place in the order that breaks ties (2): a#0, b#0"],
        ),
        (
            [(0, "b#0", "b", 0), (1, "b#1", "b", 1), (3, "a#0", "a", 0)],
            ["chunks whose number is not their place in the order that breaks ties (1): a#0"],
        ),
        ([(0, "b#7", "b", 0)], ["chunk ids that are not their document and ordinal (1): b#7"]),
        (
            [(0, "b#0", "b", 0), (1, "b#0", "b", 0)],
            [
                "chunk ids that come more than once (1): b#0",
                "documents whose ordinals do not run from 0 without a gap (1): b",
            ],
        ),
        ([(0, "b#1", "b", 1)], ["documents whose ordinals do not run from 0 without a gap (1): b"]),
        (
            [(0, "b#0", "b", 0), (1, "b#2", "b", 2)],
            ["documents whose ordinals do not run from 0 without a gap (1): b"],
        ),
    ],
)
def test_a_fault_of_a_chunk_is_named(tmp_path: Path, rows: list[Row], says: list[str]) -> None:
    _, faults = chunk_faults(chunks_file(tmp_path, rows))
    assert [str(fault) for fault in faults] == says


@pytest.mark.parametrize(
    ("documents", "says"),
    [
        (["b", "a"], []),
        (["c", "b", "a"], ["documents without a chunk (1): c"]),
        (["b"], ["chunks of no document (1): a#0"]),
        (["a", "b"], ["documents that are repeated or out of order (1): b"]),
        (["b", "b", "a"], ["documents that are repeated or out of order (1): b"]),
    ],
)
def test_a_fault_between_documents_and_chunks_is_named(tmp_path: Path, documents: list[str], says: list[str]) -> None:
    write_table(tmp_path / "documents.parquet", pa.table({"document_id": documents}))
    count, faults = document_faults(chunks_file(tmp_path, SOUND), tmp_path / "documents.parquet")
    assert count == len(documents)
    assert [str(fault) for fault in faults] == says
