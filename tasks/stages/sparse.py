"""The stages of the learned sparse leg: texts and queries are encoded once, and every query meets the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from nightrank.storage.filters.queries import by_text
from nightrank.storage.memo.sparse_vectors import SparseMemo
from nightrank.storage.records import LEG
from nightrank.tasks.embed.shards import TEXTS
from nightrank.tasks.runtime.progress import progress
from nightrank.tasks.runtime.retries import RETRIED
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.sparse.ranges import RangedSparseVectors
from nightrank.tasks.sparse.retrieve import SparseQueries
from nightrank.tasks.stages.lists import distinct_texts, leg_over_vectors, ranges_of
from nightrank.tasks.workers.cut import slices

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nightrank.storage.lance.table import ChunkTable
    from nightrank.storage.release.files import SparseLeg
    from nightrank.tasks.night import Night
    from nightrank.tasks.sparse.lazy import LazySparse
    from nightrank.tasks.sparse.shards import SparseSharding
    from nightrank.tasks.stages.filter import FilteredQueries
    from nightrank.tasks.stages.index import Index
    from nightrank.tasks.workers.cut import Sharding

COMMIT_ROWS = 1024  # texts encoded between two commits: what a killed run loses at most


@dataclass(frozen=True, slots=True)
class SparseEncoded:
    """What the encoding of texts and queries did.

    Attributes:
        memo: The fingerprint of the encoder, under which the memos have a vector of every text and query; None where
            the leg is off.
        texts: That had no vector yet.
        queries: That had no vector yet.
        checked: Stored vectors of texts that the encoder, if it was loaded, has computed again this night.
    """

    memo: str | None
    texts: int
    queries: int
    checked: int


@dataclass(frozen=True, slots=True)
class SparseRetrieved:
    """What the sparse leg gave.

    Attributes:
        leg: It.
        scanned: Queries that met the whole collection.
    """

    leg: SparseLeg
    scanned: int


@stage_task("encode sparse", retry=RETRIED)
def encode_sparse(night: Night, asked: FilteredQueries, index: Index, sparse: LazySparse | None) -> SparseEncoded:
    """Encode the texts and the queries that have no sparse vector yet, batch by batch; nothing where the leg is off."""
    if sparse is None:
        return SparseEncoded(None, texts=0, queries=0, checked=0)
    memos, key = night.workspace.memo, sparse.plan.fingerprint
    with SparseMemo(memos, "texts", encoder=key) as texts, SparseMemo(memos, "queries", encoder=key) as queries:
        encoding = _Encoding(night, sparse, texts, night.open_chunks(index.vectors.table))
        texts_encoded = encoding.of_texts(index)
        queries_encoded = encoding.of_queries(asked, queries)
    return SparseEncoded(key, texts_encoded, queries_encoded, checked=sparse.vectors_checked)


@dataclass(frozen=True, slots=True)
class _Encoding:
    """What is encoded this night, here or by workers.

    Attributes:
        night: The run.
        sparse: The encoder.
        stored: What it has made of texts so far.
        table: What texts say.
    """

    night: Night
    sparse: LazySparse
    stored: SparseMemo
    table: ChunkTable

    def of_texts(self, index: Index) -> int:
        """Encode the texts that have no vector; how many they are."""
        hashes = index.chunks.read(["chunk_hash"]).column(0).unique()
        missing = hashes.filter(pa.array(~self.stored.known(hashes)))
        sharding = self._sharding_of(len(missing))
        if sharding is not None:
            batches = self.table.batches(missing, ["text"], rows=sharding.sharding.texts)
            columns = ([batch.column("chunk_hash"), batch.column("text")] for batch in batches)
            self._by_workers(sharding, columns, "passages", self.stored)
            return len(missing)
        with progress("encoding texts", len(missing)) as advance:
            for batch in self.table.batches(missing, ["text"], rows=COMMIT_ROWS):
                encoder = self.sparse.for_texts(self.stored, self.table)
                vectors = encoder.encode_passages(batch.column("text").to_pylist(), on_batch=advance)
                self.stored.append(batch.column("chunk_hash").to_pylist(), vectors)
        return len(missing)

    def of_queries(self, asked: FilteredQueries, memo: SparseMemo) -> int:
        """Encode the queries that have no vector in their memo; how many they are."""
        queries = distinct_texts(asked.queries.read(["query_key", "text", "filter"]))
        known = memo.known(queries.column("query_key").combine_chunks())
        missing = queries.filter(pa.array(~known)).select(["query_key", "text"])
        sharding = None if self.sparse.looks_queries_up else self._sharding_of(missing.num_rows)
        if sharding is not None:
            self._by_workers(
                sharding, (part.columns for part in slices(missing, sharding.sharding.texts)), "queries", memo
            )
            return int(missing.num_rows)
        with progress("encoding queries", missing.num_rows) as advance:
            for part in slices(missing, COMMIT_ROWS):
                encoder = self.sparse.for_queries(self.stored, self.table)
                memo.append(
                    part.column("query_key").to_pylist(), encoder.encode_queries(part.column("text").to_pylist())
                )
                advance(part.num_rows)
        return int(missing.num_rows)

    def _sharding_of(self, texts: int) -> SparseSharding | None:
        return self.sparse.sharding_of(texts, folder=self.night.shards, base=self.night.base)

    def _by_workers(
        self,
        sharding: SparseSharding,
        columns: Iterable[list[pa.Array]],
        kind: Literal["passages", "queries"],
        memo: SparseMemo,
    ) -> None:
        """Workers encode, and this process alone commits; a shard that has ended is never lost."""
        sample = self.sparse.stored_sample(self.stored, self.table)
        tables = (pa.table(part, schema=TEXTS) for part in columns)
        for keys, vectors in sharding.vectors(tables, kind, stored=sample):
            memo.append(keys, vectors)
        self.sparse.vectors_checked = sample.num_rows


@stage_task("retrieve sparse")
def retrieve_weighted(
    night: Night,
    asked: FilteredQueries,
    encoded: SparseEncoded,
    index: Index,
    *,
    sharding: Sharding | None = None,
) -> SparseRetrieved:
    """The sparse leg of every query, from the lists of the night before where there are any; empty where it is off.

    Args:
        night: The run.
        asked: The queries.
        encoded: Their vectors, and the texts'.
        index: What they meet.
        sharding: How workers scan what is much; None where this process scans all.
    """
    if encoded.memo is None:
        return SparseRetrieved(night.scratch.sparse_leg.write(LEG.empty_table()), scanned=0)
    memos, before = night.workspace.memo, night.before
    rows = asked.queries.read(["query_key", "text", "filter"])
    with SparseMemo(memos, "queries", encoder=encoded.memo) as memo:
        known, vectors = memo.vectors_of(by_text(rows, rows).column("query_key").combine_chunks())
    assert known.tolist() == list(range(rows.num_rows))
    with SparseMemo(memos, "texts", encoder=encoded.memo, read_only=True) as memo:
        outcome = leg_over_vectors(
            night,
            asked,
            index,
            queries=SparseQueries(vectors),
            vectors=RangedSparseVectors(memo),
            lists=night.files.sparse_lists,
            before=before.files.sparse_lists if before is not None and before.same_sparse else None,
            ranges=ranges_of(night, sharding),
        )
    return SparseRetrieved(night.scratch.sparse_leg.write(outcome.leg), outcome.scanned)
