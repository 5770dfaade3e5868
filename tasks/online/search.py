"""The online path: one query through both stages, on one collection, stage by stage. Slow, exact, unstored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from nightrank.storage.errors import InputError
from nightrank.storage.keys import query_key
from nightrank.tasks.dense.retrieve import StoredVectors
from nightrank.tasks.filters.compile import compiled, refused
from nightrank.tasks.first_stage import FirstStage, QueryVectors
from nightrank.tasks.rank.order import CHUNK_NAMES, final_order, name_candidates, reranked_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.storage.lance.table import ChunkTable
    from nightrank.storage.legs import LegName
    from nightrank.tasks.embed.encoder import Embedder
    from nightrank.tasks.rank.order import Weighing
    from nightrank.tasks.rerank.lazy import LoadedReranker
    from nightrank.tasks.settings.whole import Settings
    from nightrank.tasks.sparse.encoder import SparseEncoder
    from nightrank.tasks.sparse.stored import StoredSparse


@dataclass(frozen=True, slots=True, eq=False)
class LiveSearch:
    """Loaded models and open stores; made by ``of``.

    Queries are given normalised, as models read them.

    Attributes:
        settings: What is computed.
        first_stage: Over the collection's stores.
        table: Texts and vectors.
        embedder: The one that the vectors are of.
        sparse: The one that the sparse vectors are of; None where there is no sparse leg of our own.
        reranker: None where there is none.
        weighing: Of the final order.
    """

    settings: Settings
    first_stage: FirstStage
    table: ChunkTable
    embedder: Embedder
    sparse: SparseEncoder | None
    reranker: LoadedReranker | None
    weighing: Weighing

    @classmethod
    def of(
        cls,
        settings: Settings,
        store: Bm25Store,
        table: ChunkTable,
        *,
        embedder: Embedder,
        sparse: StoredSparse | None = None,
        reranker: LoadedReranker | None,
        weighing: Weighing,
    ) -> Self:
        """The online path of the collection in a store and a table.

        Args:
            settings: What is computed.
            store: The collection's statistics.
            table: Texts and vectors.
            embedder: The one that the vectors are of.
            sparse: The one that the sparse vectors are of, and these; None where there is no sparse leg of our own.
            reranker: None where there is none.
            weighing: Of the final order, with what lists say in the mean over the log that a release was made for.
        """
        first_stage = FirstStage.over(store, StoredVectors(table), None if sparse is None else sparse.vectors)
        encoder = None if sparse is None else sparse.encoder
        return cls(settings, first_stage, table, embedder, encoder, reranker, weighing)

    def allowed(self, condition: str | None) -> NDArray[np.bool_] | None:
        """The chunks that a filter, as its canonical text, lets through, bool (n_chunks,); None without one.

        Raises:
            InputError: It cannot be applied to this collection.
        """
        if condition is None:
            return None
        metadata = (batch.column(0) for batch in self.first_stage.store.chunk_reader(["metadata"]))
        reasons = refused([condition], metadata)
        if condition in reasons:
            message = f"The filter cannot be applied: {reasons[condition]}."
            raise InputError(message, remedy="Compare a field that documents have with values of its own type.")
        return compiled([condition], self.first_stage.store).by(condition)

    def leg(self, leg: LegName, query: str) -> pa.Table:
        """A leg over the whole collection, schema LEG, from the query's text on."""
        return self.first_stage.leg(leg, [query], self._vectors([leg], query), settings=self.settings)

    def fused(self, query: str, allowed: NDArray[np.bool_] | None = None) -> pa.Table:
        """Our own legs as one ranking, schema FUSED, over the chunks that a filter lets through, or all."""
        vectors = self._vectors(self.settings.retrieval.own_legs, query)
        return self.first_stage.fused([query], vectors, allowed, settings=self.settings)

    def reranked(self, query: str, fused: pa.Table, *, known: Mapping[str, float] | None = None) -> pa.Table:
        """The candidates in their final order, schema CANDIDATES; all pairs of the reranker's depth are scored.

        Args:
            query: As the models read it.
            fused: Schema FUSED.
            known: Pair scores of the query under this reranker by chunk hash, which are not computed again.
        """
        chunks = self.first_stage.store.chunks_at(fused.column("chunk_number").to_numpy(), CHUNK_NAMES)
        candidates = name_candidates(fused, pa.table({"query_key": [query_key(query)]}), chunks)
        pair_scores = np.full(candidates.num_rows, np.nan, dtype=np.float32)
        if self.reranker is not None and candidates.num_rows:
            asked = reranked_rows(fused, self.settings)
            hashes = candidates.column("chunk_hash").take(pa.array(asked)).to_pylist()
            pair_scores[asked] = self._pair_scores(query, hashes, self.reranker, known or {})
        return final_order(candidates, fused, pair_scores, weighing=self.weighing)

    def _vectors(self, legs: Sequence[LegName], query: str) -> QueryVectors:
        """What some legs ask with; a model is asked only where one of them needs it."""
        dense = self.embedder.embed_queries([query]) if "dense" in legs else None
        sparse = self.sparse.encode_queries([query]) if "sparse" in legs and self.sparse is not None else None
        return QueryVectors(dense, sparse)

    def _pair_scores(
        self, query: str, chunk_hashes: list[str], reranker: LoadedReranker, known: Mapping[str, float]
    ) -> NDArray[np.float32]:
        """Each passage is scored once, however many chunks say it: a hosted reranker is paid by the passage."""
        scores = dict(known)
        missing = [chunk_hash for chunk_hash in dict.fromkeys(chunk_hashes) if chunk_hash not in scores]
        if missing:
            rows = self.table.rows(pa.array(sorted(missing)), ["text", "tokens"]).to_pylist()
            found = {row["chunk_hash"]: row for row in rows}
            texts = [found[chunk_hash]["text"] for chunk_hash in missing]
            tokens = np.array([found[chunk_hash]["tokens"] for chunk_hash in missing])
            scored = reranker.score([query] * len(texts), texts, tokens)
            scores |= dict(zip(missing, scored.tolist(), strict=True))
        return np.array([scores[chunk_hash] for chunk_hash in chunk_hashes], dtype=np.float32)
