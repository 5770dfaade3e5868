"""The second stage: documents become chunks, chunks become vectors in LanceDB and BM25 statistics in DuckDB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.bm25.build import build_bm25
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.files.parquet import RowWriter
from nightrank.storage.lance.missing import MissingChunks
from nightrank.storage.lance.table import ChunkTable, no_hashes
from nightrank.storage.release.chunks import KEPT_COLUMNS, ChunkListing, distinct_texts
from nightrank.storage.release.manifest import ChunkTableVersion
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.chunk.boundaries import cut_documents
from nightrank.tasks.embed.account import account_of_chunks
from nightrank.tasks.embed.shards import embed_in_shards
from nightrank.tasks.models.tokens import load_token_counter
from nightrank.tasks.runtime.progress import progress
from nightrank.tasks.runtime.retries import RETRIED
from nightrank.tasks.runtime.stage_task import stage_task

if TYPE_CHECKING:
    from nightrank.storage.release.files import Chunks, Documents, FreshChunks, Statistics
    from nightrank.tasks.embed.encoder import EmbedderPlan
    from nightrank.tasks.embed.lazy import LazyEmbedder
    from nightrank.tasks.night import Night
    from nightrank.tasks.read.account import Entry
    from nightrank.tasks.workers.cut import Sharding

COMMIT_ROWS = 1024  # chunks embedded between two commits, at least: what a killed run loses at most
COMMITS = 1000  # so many at most: each makes a file that all later ones name, so that many cost their square


@dataclass(frozen=True, slots=True)
class ChunksCut:
    """The chunks of a release.

    Attributes:
        chunks: All of them.
        fresh: Those of documents that were cut now.
        count: Of all of them.
    """

    chunks: Chunks
    fresh: FreshChunks
    count: int


@dataclass(frozen=True, slots=True)
class ChunksEmbedded:
    """What the embedding stage did.

    Attributes:
        texts: Distinct ones among the chunks.
        embedded: Those of them that had no embedding yet.
        table: Where the vectors are.
        account: Chunks that are longer than the embedder reads, and characters that it does not know.
    """

    texts: int
    embedded: int
    table: ChunkTableVersion
    account: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Index:
    """What queries meet: chunks, their vectors and their BM25 statistics.

    Attributes:
        chunks: All chunks.
        statistics: Theirs.
        vectors: Where their texts and vectors are.
        postings: How many were written now: of the chunks that are new.
    """

    chunks: Chunks
    statistics: Statistics
    vectors: ChunksEmbedded
    postings: int


@stage_task("chunk")
def chunk_documents(night: Night, documents: Documents, plan: EmbedderPlan) -> ChunksCut:
    """List all chunks in the order that rankings break ties by; documents that read the same keep theirs."""
    fresh, before = night.scratch.fresh_chunks, night.before
    with ChunkListing(documents.path) as listing:
        stored = ChunkTable.find(night.workspace.lance, embedder=plan.fingerprint)
        if before is not None and before.same_chunking and stored is not None:
            with Bm25Store.open(before.files.statistics.path) as store:
                listing.keep(before.files.documents.path, store.chunk_reader(KEPT_COLUMNS), stored.hashes())
        count, changed = listing.changed()
        count_tokens = load_token_counter(plan.files.folder)
        with RowWriter(fresh.path, fresh.schema) as writer, progress("chunking", count) as advance:
            for cut in cut_documents(changed, settings=night.settings.chunking, count_tokens=count_tokens):
                for chunk in cut:
                    writer.write({name: getattr(chunk, name) for name in fresh.schema.names})
                advance(1)
        chunks = night.scratch.chunks
        return ChunksCut(chunks, fresh, listing.write(chunks.path, fresh=fresh.path))


@stage_task("embed", retry=RETRIED)
def embed_chunks(night: Night, cut: ChunksCut, embedder: LazyEmbedder) -> ChunksEmbedded:
    """Embed the chunks that have no vector yet, batch by batch; the model is loaded only where one is missing."""
    table = ChunkTable.find(night.workspace.lance, embedder=embedder.plan.fingerprint)
    with MissingChunks(cut.fresh.path, no_hashes() if table is None else table.hashes()) as missing:
        sharding = embedder.sharding_of(len(missing))
        if sharding is not None:
            table = _embed_in_shards(missing, table, night=night, embedder=embedder, sharding=sharding)
        elif len(missing):
            table = _embed_here(missing, table, night=night, embedder=embedder)
        assert table is not None  # a collection is never empty, so there was something to embed
        return ChunksEmbedded(
            texts=distinct_texts(cut.chunks.path),
            embedded=len(missing),
            table=ChunkTableVersion(name=table.name, version=table.version),
            account=account_of_chunks(cut.chunks.path, table, embedder.plan),
        )


def _embed_here(
    missing: MissingChunks, stored: ChunkTable | None, *, night: Night, embedder: LazyEmbedder
) -> ChunkTable:
    plan, model = embedder.plan, embedder.load(stored)
    table = ChunkTable.create(night.workspace.lance, embedder=plan.fingerprint, dimensions=model.dimensions)
    count_tokens = load_token_counter(plan.files.folder)
    with progress("embedding", len(missing)) as advance:
        for hashes, texts in missing.batches(_rows_of_a_commit(len(missing))):
            vectors = model.embed_passages(texts, on_batch=advance)
            table.add(hashes, texts, count_tokens(texts), vectors)
    return table


def _rows_of_a_commit(missing: int) -> int:
    """How many chunks are embedded between two commits, where so many have no vector.

    >>> _rows_of_a_commit(200_000), _rows_of_a_commit(10_000_000)
    (1024, 10000)
    """
    return max(COMMIT_ROWS, -(-missing // COMMITS))


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
        folder=night.shards,
        base=night.base,
        drift_check=night.settings.drift_check,
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


@stage_task("bm25 statistics")
def build_statistics(night: Night, chunks: Chunks, vectors: ChunksEmbedded) -> Index:
    """Make the release's BM25 statistics from those of the release before."""
    table, statistics = night.open_chunks(vectors.table), night.files.statistics
    counts = build_bm25(
        statistics.path,
        chunks.path,
        texts_of=lambda hashes: table.batches(hashes, ["text"]),
        analyse=Analyser.of(night.settings.bm25),
        before=None if night.before is None else night.before.files.statistics.path,
    )
    return Index(chunks, statistics, vectors, counts.postings_written)
