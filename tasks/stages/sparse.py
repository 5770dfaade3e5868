"""The stages of the learned sparse leg: texts and queries are encoded once, and every query meets the collection."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.filters.queries import by_text
from nightrank.storage.memo.sparse_vectors import SparseMemo
from nightrank.storage.records import LEG
from nightrank.tasks.runtime.progress import progress
from nightrank.tasks.runtime.retries import RETRIED
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.sparse.retrieve import SparseQueries, StoredSparseVectors
from nightrank.tasks.stages.lists import distinct_texts, leg_over_vectors

if TYPE_CHECKING:
    from collections.abc import Callable

    from nightrank.storage.release.files import SparseLeg
    from nightrank.tasks.night import Night
    from nightrank.tasks.sparse.encoder import SparseEncoder
    from nightrank.tasks.sparse.lazy import LazySparse
    from nightrank.tasks.stages.filter import FilteredQueries
    from nightrank.tasks.stages.index import Index

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
        texts_encoded = _encode_texts(night, index, texts, sparse)
        table = night.open_chunks(index.vectors.table)
        queries_encoded = _encode_queries(asked, queries, partial(sparse.for_queries, texts, table))
    return SparseEncoded(key, texts_encoded, queries_encoded, checked=sparse.vectors_checked)


def _encode_texts(night: Night, index: Index, memo: SparseMemo, sparse: LazySparse) -> int:
    hashes = index.chunks.read(["chunk_hash"]).column(0).unique()
    missing = hashes.filter(pa.array(~memo.known(hashes)))
    table = night.open_chunks(index.vectors.table)
    with progress("encoding texts", len(missing)) as advance:
        for batch in table.batches(missing, ["text"], rows=COMMIT_ROWS):
            encoder = sparse.for_texts(memo, table)
            vectors = encoder.encode_passages(batch.column("text").to_pylist(), on_batch=advance)
            memo.append(batch.column("chunk_hash").to_pylist(), vectors)
    return len(missing)


def _encode_queries(asked: FilteredQueries, memo: SparseMemo, load: Callable[[], SparseEncoder]) -> int:
    queries = distinct_texts(asked.queries.read(["query_key", "text", "filter"]))
    known = memo.known(queries.column("query_key").combine_chunks())
    missing = np.flatnonzero(~known)
    with progress("encoding queries", missing.size) as advance:
        for first in range(0, missing.size, COMMIT_ROWS):
            part = queries.take(pa.array(missing[first : first + COMMIT_ROWS]))
            vectors = load().encode_queries(part.column("text").to_pylist())
            memo.append(part.column("query_key").to_pylist(), vectors)
            advance(part.num_rows)
    return int(missing.size)


@stage_task("retrieve sparse")
def retrieve_weighted(night: Night, asked: FilteredQueries, encoded: SparseEncoded, index: Index) -> SparseRetrieved:
    """The sparse leg of every query, from the lists of the night before where there are any; empty where it is off."""
    if encoded.memo is None:
        return SparseRetrieved(night.scratch.sparse_leg.write(LEG.empty_table()), scanned=0)
    memos, before = night.workspace.memo, night.before
    rows = asked.queries.read(["query_key", "text", "filter"])
    with SparseMemo(memos, "queries", encoder=encoded.memo) as memo:
        known, vectors = memo.vectors_of(by_text(rows, rows).column("query_key").combine_chunks())
    assert known.tolist() == list(range(rows.num_rows))
    with SparseMemo(memos, "texts", encoder=encoded.memo) as memo:
        outcome = leg_over_vectors(
            night,
            asked,
            index,
            queries=SparseQueries(vectors),
            vectors=StoredSparseVectors(memo),
            lists=night.files.sparse_lists,
            before=before.files.sparse_lists if before is not None and before.same_sparse else None,
        )
    return SparseRetrieved(night.scratch.sparse_leg.write(outcome.leg), outcome.scanned)
