"""The current release, open to be searched for many queries that it was not made for.

Its own first stage answers: BM25 statistics, vectors, fusion, all as the night has them. Block by block of queries,
so that memory does not grow with their number times the collection.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.keys import query_key
from nightrank.storage.lance.table import vectors_of
from nightrank.tasks.dense.retrieve import StoredVectors
from nightrank.tasks.first_stage import FirstStage, QueryVectors
from nightrank.tasks.train.sources import Passage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.storage.lance.table import ChunkTable
    from nightrank.storage.legs import LegName
    from nightrank.tasks.settings.whole import Settings
    from nightrank.tasks.sparse.encoder import SparseEncoder
    from nightrank.tasks.sparse.stored import StoredSparse

    Embed = Callable[[Sequence[str]], NDArray[np.float32]]

QUERIES_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Chunks:
    """Some chunks of a release, with what they say; its own rows count from 0.

    Attributes:
        numbers: int32 (n,), chunk numbers, ascending.
        passages: (n,).
        vectors: float32 (n, dim).
    """

    numbers: NDArray[np.int32]
    passages: Sequence[Passage]
    vectors: NDArray[np.float32]

    @cached_property
    def rows_of(self) -> Mapping[str, list[int]]:
        """The rows of each document."""
        rows: dict[str, list[int]] = defaultdict(list)
        for row, passage in enumerate(self.passages):
            rows[passage.document_id].append(row)
        return rows


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What one query finds, best of the first stage first.

    Attributes:
        query: Normalised.
        vector: float32 (dim,), the query's.
        rows: int64 (n,), rows of ``chunks``.
        legs: float32 (n,) of each leg that is on, by name, NaN where it did not find it.
        fused: float32 (n,).
        pair_scores: float32 (n,), NaN where the release has none.
        chunks: All candidates of a block of queries, and all chunks of the documents that answer them.
    """

    query: str
    vector: NDArray[np.float32]
    rows: NDArray[np.int64]
    legs: Mapping[LegName, NDArray[np.float32]]
    fused: NDArray[np.float32]
    pair_scores: NDArray[np.float32]
    chunks: Chunks

    def scores_by_leg(self) -> list[dict[LegName, float]]:
        """The scores of the legs that list each of the n candidates."""
        return [
            {leg: float(scores[row]) for leg, scores in self.legs.items() if not np.isnan(scores[row])}
            for row in range(self.fused.size)
        ]

    def best_row(self, document_id: str) -> int | None:
        """The row of the chunk of a document that answers the query best: by the first stage, else by its vector.

        None where the release does not hold the document, or it was not asked for.
        """
        own = self.chunks.rows_of.get(document_id, [])
        found: list[int] = [row for row in self.rows.tolist() if row in own]
        if found:
            return found[0]
        return max(own, key=lambda row: float(self.chunks.vectors[row] @ self.vector), default=None)


@dataclass(frozen=True, slots=True, eq=False)
class ReleaseIndex:
    """A release, open for searching; made by ``of``.

    Attributes:
        settings: What it was made with.
        first_stage: Over its stores.
        table: Its texts and vectors.
        listing: chunk_hash, document_id and body_start of all chunks, by chunk number.
        pair_scores: query_key (of the text alone), chunk_hash and pair_score of the release's candidates, as far as
            they are scored; a pair that stands under several filters has one score.
        sparse: Encodes queries for the sparse leg; None where there is none of our own.
    """

    settings: Settings
    first_stage: FirstStage
    table: ChunkTable
    listing: pa.Table
    pair_scores: pa.Table
    sparse: SparseEncoder | None = None

    @classmethod
    def of(
        cls,
        settings: Settings,
        store: Bm25Store,
        table: ChunkTable,
        *,
        candidates: pa.Table,
        sparse: StoredSparse | None = None,
    ) -> Self:
        """The index of a release.

        Args:
            settings: What it was made with.
            store: Its BM25 statistics, open.
            table: Its texts and vectors.
            candidates: Its candidates: query_key (of the text alone), chunk_hash and pair_score.
            sparse: Its sparse encoder, and that one's vectors of texts; None where there is no such leg of our own.
        """
        listing = store.chunks(["chunk_hash", "document_id", "body_start"])
        scored = candidates.filter(pc.is_valid(candidates.column("pair_score")))
        first_stage = FirstStage.over(store, StoredVectors(table), None if sparse is None else sparse.vectors)
        return cls(settings, first_stage, table, listing, scored, None if sparse is None else sparse.encoder)

    def __len__(self) -> int:
        return int(self.listing.num_rows)

    @property
    def legs(self) -> tuple[LegName, ...]:
        """The legs that queries meet."""
        return self.settings.retrieval.own_legs

    def search(
        self, queries: Sequence[str], embed: Embed, *, documents_of: Mapping[str, Collection[str]]
    ) -> Iterator[Found]:
        """What each query finds, one after another.

        Args:
            queries: Normalised.
            embed: Gives their unit vectors, by the embedder that the release was made with.
            documents_of: Documents of each query whose chunks are wanted, found or not.
        """
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            block = queries[start : start + QUERIES_AT_ONCE]
            vectors = embed(block)
            sparse = None if self.sparse is None else self.sparse.encode_queries(block)
            fused = self.first_stage.fused(block, QueryVectors(vectors, sparse), settings=self.settings)
            found = fused.filter(pc.field("fused_rank") <= self.settings.retrieval.candidate_depth)
            pair_scores = self._pair_scores(block, found)
            wanted = self.numbers_of({document for query in block for document in documents_of[query]})
            candidates = found.column("chunk_number").to_numpy()
            chunks = self.read(np.union1d(candidates, wanted).astype(np.int32))
            rows = np.searchsorted(chunks.numbers, candidates)
            bounds = np.searchsorted(found.column("query_number").to_numpy(), np.arange(len(block) + 1))
            legs, scores = {leg: _scores(found, leg) for leg in self.legs}, _scores(found, "fused")
            for number, query in enumerate(block):
                own = slice(bounds[number], bounds[number + 1])
                of_legs = {leg: of_leg[own] for leg, of_leg in legs.items()}
                yield Found(query, vectors[number], rows[own], of_legs, scores[own], pair_scores[own], chunks)

    def numbers_of(self, document_ids: Collection[str]) -> NDArray[np.int32]:
        """int32 (n,), the chunks of some documents, ascending."""
        wanted = pc.is_in(self.listing.column("document_id"), value_set=pa.array(sorted(document_ids), pa.string()))
        return np.flatnonzero(wanted.to_numpy()).astype(np.int32)

    def read(self, numbers: NDArray[np.int32]) -> Chunks:
        """Some chunks.

        Args:
            numbers: int32 (n,), chunk numbers, ascending.
        """
        listed = self.listing.take(pa.array(numbers))
        hashes = listed.column("chunk_hash")
        rows = self.table.rows(pc.unique(hashes), ["text", "vector"])
        places = pc.index_in(hashes, value_set=rows.column("chunk_hash")).to_numpy()
        texts = rows.column("text").take(pa.array(places)).to_pylist()
        document_ids, body_starts = (listed.column(name).to_pylist() for name in ("document_id", "body_start"))
        passages = [
            Passage(document_id, text[:body_start].removesuffix("\n"), text[body_start:])
            for document_id, text, body_start in zip(document_ids, texts, body_starts, strict=True)
        ]
        return Chunks(numbers, passages, vectors_of(rows, self.table.dimensions)[places])

    def _pair_scores(self, queries: Sequence[str], found: pa.Table) -> NDArray[np.float32]:
        """float32 (n,), the release's pair scores of what was found; NaN where it has none."""
        keys = [query_key(query) for query in queries]
        stored = self.pair_scores.filter(pc.is_in(self.pair_scores.column("query_key"), value_set=pa.array(keys)))
        columns = (stored.column(name).to_pylist() for name in ("query_key", "chunk_hash", "pair_score"))
        known = {(key, chunk_hash): score for key, chunk_hash, score in zip(*columns, strict=True)}
        hashes = self.listing.column("chunk_hash").take(found.column("chunk_number")).to_pylist() if known else []
        scores = np.full(found.num_rows, np.nan, dtype=np.float32)
        for row, (number, chunk_hash) in enumerate(zip(found.column("query_number").to_pylist(), hashes, strict=False)):
            scores[row] = known.get((keys[number], chunk_hash), np.nan)
        return scores


def _scores(found: pa.Table, name: str) -> NDArray[np.float32]:
    """float32 (n,), NaN where there is none."""
    scores: NDArray[np.float32] = found.column(f"{name}_score").to_numpy(zero_copy_only=False).astype(np.float32)
    return scores
