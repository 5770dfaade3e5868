"""Collections for the tests of what lies behind BM25: a file of chunks, and their texts elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from nightrank.storage.bm25.build import build_bm25
from nightrank.storage.bm25.fields import PLAIN, FieldWeights
from nightrank.storage.records import CHUNKS, Chunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from nightrank.storage.bm25.build import Bm25Counts
    from nightrank.storage.bm25.terms import TextAnalyser

NO_MARKS = pa.schema(
    [("run", pa.string()), ("language", pa.uint8()), ("word", pa.int32()), ("weight", pa.int64())]
).empty_table()


@dataclass(frozen=True)
class Words:
    """Words as they are, but for some that are dropped; each character of scripts without spaces is a term."""

    dropped: frozenset[str] = frozenset()
    field_weights: FieldWeights = PLAIN

    @property
    def languages(self) -> Sequence[str]:
        return ("none",)

    def marks(self) -> pa.Table:
        return NO_MARKS

    def place_of(self, _declared: str, /) -> int | None:
        return None

    def __call__(self, words: list[str], _language: int, /) -> Sequence[str | None]:
        return [None if word in self.dropped else word for word in words]

    def split(self, texts: list[str], /) -> Sequence[Sequence[str]]:
        return [list(text) for text in texts]

    def fingerprint(self) -> str:
        return f"{sorted(self.dropped)} {self.field_weights}"


@dataclass(frozen=True)
class Placed:
    """A chunk and what its document says beside it."""

    chunk: Chunk
    title: str = "A title"
    metadata: str = '{"n":1}'
    language: str = ""


@dataclass
class Texts:
    """The texts of chunks by their hashes, given out in batches; remembers what it was asked for."""

    chunks: Iterable[Placed]
    batch_rows: int = 2
    asked: list[str] = field(default_factory=list)

    def __call__(self, chunk_hashes: pa.Array) -> Iterator[pa.RecordBatch]:
        hashes = chunk_hashes.to_pylist()
        assert len(set(hashes)) == len(hashes) > 0
        texts = {placed.chunk.chunk_hash: placed.chunk.text for placed in self.chunks}
        self.asked += [texts[chunk_hash] for chunk_hash in hashes]
        for first in range(0, len(hashes), self.batch_rows):
            part = hashes[first : first + self.batch_rows]
            yield pa.record_batch({"text": [texts[chunk_hash] for chunk_hash in part], "chunk_hash": part})


def placed(texts: Iterable[tuple[str, int, str]]) -> list[Placed]:
    """Chunks from (document id, ordinal, text)."""
    return [Placed(Chunk(document_id, ordinal, text, 0)) for document_id, ordinal, text in texts]


def chunks_file(path: Path, chunks: Iterable[Placed]) -> Path:
    rows = [
        {
            "chunk_id": placed.chunk.chunk_id,
            "chunk_hash": placed.chunk.chunk_hash,
            "document_id": placed.chunk.document_id,
            "ordinal": placed.chunk.ordinal,
            "title": placed.title,
            "body_start": placed.chunk.body_start,
            "metadata": placed.metadata,
            "language": placed.language,
        }
        for placed in chunks
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=CHUNKS), path)
    return path


def build(
    path: Path,
    chunks: Sequence[Placed],
    *,
    analyse: TextAnalyser,
    before: Path | None = None,
    texts: Texts | None = None,
) -> Bm25Counts:
    """Build a file; the file of chunks lies beside it."""
    listed = chunks_file(path.with_suffix(".parquet"), chunks)
    return build_bm25(path, listed, texts_of=texts or Texts(chunks), analyse=analyse, before=before)
