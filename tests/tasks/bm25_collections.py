"""Collections for the tests of the lexical leg."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from storage.bm25_build import build_bm25
from storage.records import CHUNKS, Chunk
from tasks.analysis import Analyser

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Variant: TypeAlias = Literal["lucene", "atire", "okapi", "bm25l", "bm25plus"]
VARIANTS: tuple[Variant, ...] = ("lucene", "atire", "okapi", "bm25l", "bm25plus")

PLAIN = Analyser("none", frozenset())


def build(folder: Path, texts: Mapping[str, str], *, analyser: Analyser = PLAIN) -> Path:
    """Statistics of documents that are one chunk each."""
    chunks = [Chunk(document_id, 0, text, 0) for document_id, text in texts.items()]
    rows = [
        {
            "chunk_id": chunk.chunk_id,
            "chunk_hash": chunk.chunk_hash,
            "document_id": chunk.document_id,
            "ordinal": 0,
            "title": "",
            "text": chunk.text,
            "body_start": 0,
            "metadata": "{}",
        }
        for chunk in chunks
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=CHUNKS), folder / "chunks.parquet")
    build_bm25(folder / "bm25.duckdb", folder / "chunks.parquet", analyse=analyser)
    return folder / "bm25.duckdb"
