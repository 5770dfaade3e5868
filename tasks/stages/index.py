"""The second stage: documents become chunks, chunks become vectors in LanceDB and BM25 statistics in DuckDB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from nightrank.storage.bm25.build import build_bm25
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.files.parquet import RowWriter
from nightrank.storage.lance.missing import MissingChunks
from nightrank.storage.lance.table import ChunkTable, no_hashes
from nightrank.storage.records import FRESH_CHUNKS
from nightrank.storage.release.chunks import KEPT_COLUMNS, ChunkListing, distinct_texts
from nightrank.storage.release.manifest import ChunkTableVersion
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.chunk.documents import chunk_document
from nightrank.tasks.embed.shards import embed_in_shards
from nightrank.tasks.models.tokens import load_token_counter
from nightrank.tasks.runtime.progress import progress
from nightrank.tasks.runtime.retries import retried

if TYPE_CHECKING:
    from nightrank.tasks.embed.encoder import EmbedderPlan
    from nightrank.tasks.embed.lazy import LazyEmbedder
    from nightrank.tasks.night import Night
    from nightrank.tasks.workers.cut import Sharding

COMMIT_ROWS = 1024  # chunks embedded between two commits: what a killed run loses at most


@dataclass(frozen=True, slots=True)
class ChunksEmbedded:
    """What the embedding stage did.

    Attributes:
        texts: Distinct ones among the chunks.
        embedded: Those of them that had no embedding yet.
        table: Where the vectors are.
    """

    texts: int
    embedded: int
    table: ChunkTableVersion


@task(name="chunk", cache_policy=NO_CACHE)
def chunk_documents(night: Night, plan: EmbedderPlan) -> int:
    """List all chunks in the order that rankings break ties by; documents that read the same keep theirs.

    Returns:
        How many chunks there are.
    """
    with ChunkListing(night.scratch.documents.path) as listing:
        stored = ChunkTable.find(night.workspace.lance, embedder=plan.fingerprint)
        if night.before is not None and night.before.same_chunking and stored is not None:
            with Bm25Store.open(night.before.files.statistics.path) as store:
                listing.keep(night.before.files.documents.path, store.chunk_reader(KEPT_COLUMNS), stored.hashes())
        count, changed = listing.changed()
        count_tokens = load_token_counter(plan.files.folder)
        with RowWriter(night.scratch.fresh_chunks.path, FRESH_CHUNKS) as writer, progress("chunking", count) as advance:
            for document in changed:
                for chunk in chunk_document(document, settings=night.settings.chunking, count_tokens=count_tokens):
                    writer.write({name: getattr(chunk, name) for name in FRESH_CHUNKS.names})
                advance(1)
        return listing.write(night.scratch.chunks.path, fresh=night.scratch.fresh_chunks.path)


@retried
@task(name="embed", cache_policy=NO_CACHE)
def embed_chunks(night: Night, embedder: LazyEmbedder) -> ChunksEmbedded:
    """Embed the chunks that have no vector yet, batch by batch; the model is loaded only where one is missing."""
    plan = embedder.plan
    table = ChunkTable.find(night.workspace.lance, embedder=plan.fingerprint)
    with MissingChunks(night.scratch.fresh_chunks.path, no_hashes() if table is None else table.hashes()) as missing:
        sharding = embedder.sharding_of(len(missing))
        if sharding is not None:
            table = _embed_in_shards(missing, table, night=night, embedder=embedder, sharding=sharding)
        elif len(missing):
            table = _embed_here(missing, table, night=night, embedder=embedder)
        assert table is not None  # a collection is never empty, so there was something to embed
        return ChunksEmbedded(
            texts=distinct_texts(night.scratch.chunks.path),
            embedded=len(missing),
            table=ChunkTableVersion(name=table.name, version=table.version),
        )


def _embed_here(
    missing: MissingChunks, stored: ChunkTable | None, *, night: Night, embedder: LazyEmbedder
) -> ChunkTable:
    plan, model = embedder.plan, embedder.load(stored)
    table = ChunkTable.create(night.workspace.lance, embedder=plan.fingerprint, dimensions=model.dimensions)
    count_tokens = load_token_counter(plan.files.folder)
    with progress("embedding", len(missing)) as advance:
        for hashes, texts in missing.batches(COMMIT_ROWS):
            vectors = model.embed_passages(texts, on_batch=advance)
            table.add(hashes, texts, count_tokens(texts), vectors)
    return table


def _embed_in_shards(
    missing: MissingChunks,
    stored: ChunkTable | None,
    *,
    night: Night,
    embedder: LazyEmbedder,
    sharding: Sharding,
) -> ChunkTable:
    """Workers embed, and this process alone commits; a shard that has ended is never lost."""
    table = stored
    for done in embed_in_shards(
        missing.batches(sharding.texts),
        "passages",
        night=night,
        embedder=embedder,
        sharding=sharding,
        stored=None if stored is None else embedder.stored_sample(stored),
    ):
        if table is None:  # only now is it known how long a vector is
            dimensions = done.vectors.shape[1]
            table = ChunkTable.create(night.workspace.lance, embedder=embedder.plan.fingerprint, dimensions=dimensions)
        table.add(done.keys, done.texts, done.tokens, done.vectors)
    assert table is not None  # there was something to embed
    return table


@task(name="bm25 statistics", cache_policy=NO_CACHE)
def build_statistics(night: Night, version: ChunkTableVersion) -> int:
    """Make the release's BM25 statistics from those of the release before.

    Returns:
        Postings that were written: of the chunks that are new.
    """
    table = night.open_chunks(version)
    counts = build_bm25(
        night.files.statistics.path,
        night.scratch.chunks.path,
        texts_of=lambda hashes: table.batches(hashes, ["text"]),
        analyse=Analyser.of(night.settings.bm25),
        before=None if night.before is None else night.before.files.statistics.path,
    )
    return counts.postings_written
