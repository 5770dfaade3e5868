"""The second stage: documents become chunks, chunks become vectors in LanceDB and BM25 statistics in DuckDB."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from storage.bm25_build import build_bm25
from storage.chunk_files import MissingChunks
from storage.chunk_table import ChunkTable, no_hashes
from storage.documents import documents_of
from storage.records import CHUNKS
from storage.releases import ChunkTableVersion
from storage.tables import RowWriter, row_count
from tasks.analysis import Analyser
from tasks.chunking import chunk_document, load_token_counter
from tasks.embedder import Embedder
from tasks.progress import progress

if TYPE_CHECKING:
    from tasks.embedder import EmbedderPlan
    from tasks.night import Night

COMMIT_ROWS = 1024  # chunks embedded between two commits: what a killed run loses at most


@dataclass(frozen=True, slots=True)
class ChunksEmbedded:
    """What the embedding stage did.

    Attributes:
        embedded: Distinct texts that had no embedding yet.
        table: Where the vectors are.
    """

    embedded: int
    table: ChunkTableVersion


@task(name="chunk", cache_policy=NO_CACHE)
def chunk_documents(night: Night, plan: EmbedderPlan) -> int:
    """Cut every document into chunks, numbered in the order that rankings break ties by.

    Returns:
        How many chunks there are.
    """
    count_tokens = load_token_counter(plan.files.folder)
    with RowWriter(night.chunks, CHUNKS) as writer, progress("chunking", row_count(night.documents)) as advance:
        for document in documents_of(night.documents):
            metadata = json.dumps(document.metadata, ensure_ascii=False, sort_keys=True)
            for chunk in chunk_document(document, settings=night.settings.chunking, count_tokens=count_tokens):
                writer.write(
                    {
                        "chunk_id": chunk.chunk_id,
                        "chunk_hash": chunk.chunk_hash,
                        "document_id": chunk.document_id,
                        "ordinal": chunk.ordinal,
                        "title": document.title,
                        "text": chunk.text,
                        "body_start": chunk.body_start,
                        "metadata": metadata,
                    }
                )
            advance(1)
    return writer.rows_written


@task(name="embed", cache_policy=NO_CACHE)
def embed_chunks(night: Night, plan: EmbedderPlan) -> ChunksEmbedded:
    """Embed the chunks that have no vector yet, batch by batch; the model is loaded only where one is missing."""
    execution = night.settings.execution
    table = ChunkTable.find(night.workspace.lance, embedder=plan.fingerprint)
    with MissingChunks(night.chunks, no_hashes() if table is None else table.hashes()) as missing:
        if len(missing):
            embedder = Embedder(plan, batch_tokens=execution.batch_tokens, threads=execution.threads)
            table = ChunkTable.create(night.workspace.lance, embedder=plan.fingerprint, dimensions=embedder.dimensions)
            count_tokens = load_token_counter(plan.files.folder)
            with progress("embedding", len(missing)) as advance:
                for hashes, texts in missing.batches(COMMIT_ROWS):
                    vectors = embedder.embed_passages(texts, on_batch=advance)
                    table.add(hashes, texts, count_tokens(texts), vectors)
        assert table is not None  # a collection is never empty, so there was something to embed
        return ChunksEmbedded(embedded=len(missing), table=ChunkTableVersion(name=table.name, version=table.version))


@task(name="bm25 statistics", cache_policy=NO_CACHE)
def build_statistics(night: Night) -> int:
    """Build the release's BM25 statistics.

    Returns:
        Postings.
    """
    analyser = Analyser.of(night.settings.bm25)
    return build_bm25(night.bm25, night.chunks, analyse=analyser).postings
