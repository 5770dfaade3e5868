"""Small inputs as people have them, read as a night's first stage reads them; no model is loaded."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nightrank.flows.operate.check import night_to_read
from nightrank.flows.settings_file import load_settings
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.errors import InputError
from nightrank.storage.release.documents import documents_of
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.bm25.retrieve import retrieve_bm25
from nightrank.tasks.chunk.boundaries import chunk_document
from nightrank.tasks.read.told import lines_of, warnings_of
from nightrank.tasks.stages.read import read_inputs
from tests.support.bm25_files import Placed, build

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nightrank.tasks.settings.whole import Settings

WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class CaseRead:
    """What came of a case.

    Attributes:
        error: What the night would end with; empty where it would go on.
        titles: Of the documents, by id.
        metadata: Of the documents, by id.
        queries: Texts of the chosen queries, with their counts.
        bad_rows: Each row that was set aside, with file, row and reason.
        notes: Warnings, and the lines of what was read.
        chunks: Texts of all chunks, as models and BM25 read them.
        bm25: The file of their statistics.
        settings: Of the night.
    """

    error: str = ""
    titles: Mapping[str, str] | None = None
    metadata: Mapping[str, Any] | None = None
    queries: Mapping[str, int] | None = None
    bad_rows: Sequence[str] = ()
    notes: str = ""
    chunks: str = ""
    bm25: Path | None = None
    settings: Settings | None = None

    def found(self, query: str) -> set[str]:
        """The documents that BM25 finds for a query."""
        assert self.bm25 is not None
        assert self.settings is not None
        settings = self.settings.bm25
        with Bm25Store.open(self.bm25) as store:
            leg = retrieve_bm25(store, [query], settings=settings, analyser=Analyser.of(settings), depth=100)
            ids = store.chunks_at(leg["chunk_number"].to_numpy(), ["document_id"])["document_id"].to_pylist()
        return set(ids)


def read_case(folder: Path, workspace: Path) -> CaseRead:
    """Read and cut what the settings file of a case names.

    Args:
        folder: Of the case, with its ``nightrank.toml``.
        workspace: A folder for what is read.
    """
    try:
        night = night_to_read(load_settings(folder / "nightrank.toml"), workspace, now=datetime.now(UTC))
        read = read_inputs.fn(night)
    except InputError as error:
        return CaseRead(error=str(error))
    documents = list(documents_of(read.documents.path))
    chunks = [
        chunk
        for document in documents
        for chunk in chunk_document(document, settings=night.settings.chunking, count_tokens=_count_words)
    ]
    statistics = workspace / "bm25.duckdb"
    build(statistics, [Placed(chunk) for chunk in chunks], analyse=Analyser.of(night.settings.bm25))
    bad = night.files.bad_rows.read().to_pylist()
    queries = read.queries.read()
    told = [*warnings_of(read.account), *(f"{part}: {line}" for part, line in lines_of(read.account))]
    return CaseRead(
        titles={document.document_id: document.title for document in documents},
        metadata={document.document_id: json.loads(json.dumps(document.metadata)) for document in documents},
        queries=dict(zip(queries.column("text").to_pylist(), queries.column("count").to_pylist(), strict=True)),
        bad_rows=[f"{row['file']}, row {row['row']}: {row['reason']}" for row in bad],
        notes="\n".join(told),
        chunks="\n\n".join(chunk.text for chunk in chunks),
        bm25=statistics,
        settings=night.settings,
    )


def _count_words(texts: Sequence[str]) -> list[int]:
    return [len(WORD.findall(text)) for text in texts]
