"""The online path: one query through both stages, on one collection, stage by stage. Exact and unstored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from nightrank.storage.errors import InputError
from nightrank.storage.keys import query_key
from nightrank.storage.serving.cache import Result
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.dense.retrieve import StoredVectors
from nightrank.tasks.first_stage import FirstStage, QueryVectors
from nightrank.tasks.rank.candidate_grams import with_grams
from nightrank.tasks.rank.diversity import stored_vectors
from nightrank.tasks.rank.order import CHUNK_NAMES, final_order, name_candidates, reranked_rows
from nightrank.tasks.rank.results import DESCRIPTION, cut_results, result_entries
from nightrank.tasks.snippets.results import Snippets, query_weights
from nightrank.tasks.trec.leg import runs_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.storage.lance.rows import TextRows
    from nightrank.storage.lance.table import ChunkTable
    from nightrank.storage.legs import LegName
    from nightrank.tasks.embed.encoder import Embedder
    from nightrank.tasks.first_stage import Stage
    from nightrank.tasks.online.pace import Pace
    from nightrank.tasks.rank.order import Weighing
    from nightrank.tasks.rerank.lazy import LoadedReranker
    from nightrank.tasks.settings.whole import Settings
    from nightrank.tasks.sparse.encoder import SparseEncoder
    from nightrank.tasks.sparse.stored import StoredSparse


@dataclass(frozen=True, slots=True, eq=False)
class Reranked:
    """A query's candidates in their final order.

    Attributes:
        candidates: Schema CANDIDATES.
        wanted: Distinct passages that the reranker was to be asked about.
        scored: Those whose scores there are: the best of the first stage.
    """

    candidates: pa.Table
    wanted: int
    scored: int


def require_own_leg(settings: Settings) -> None:
    """That there is a leg which any query can be asked of.

    Raises:
        InputError: A run stands in for the only one.
    """
    if not settings.retrieval.own_legs:
        (name,) = runs_of(settings.retrieval).values()
        raise InputError(
            f"There is no leg that a new query can be asked of: {name} knows the log's queries alone.",
            remedy="Name another leg in [retrieval].legs, or add the query to the log and to the run.",
        )


@dataclass(frozen=True, slots=True, eq=False)
class LiveSearch:
    """Loaded models and a collection; made by ``of``, or over one that is held in memory (``tasks.online.held``).

    Queries are given normalised, as models read them.

    Attributes:
        settings: What is computed.
        first_stage: Over the collection.
        table: Texts and vectors.
        embedder: The one that the vectors are of.
        sparse: The one that the sparse vectors are of; None where there is no sparse leg of our own.
        reranker: None where there is none.
        weighing: Of the final order.
    """

    settings: Settings
    first_stage: Stage
    table: TextRows
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
        """The online path of the collection in a store and a table, from which each query reads anew.

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

    def leg(self, leg: LegName, query: str) -> pa.Table:
        """A leg over the whole collection, schema LEG, from the query's text on."""
        return self.first_stage.leg(leg, [query], self._vectors([leg], query), settings=self.settings)

    def fused(self, query: str, allowed: NDArray[np.bool_] | None = None) -> pa.Table:
        """Our own legs as one ranking, schema FUSED, over the chunks that a filter lets through, or all."""
        vectors = self._vectors(self.settings.retrieval.own_legs, query)
        return self.first_stage.fused([query], vectors, allowed, settings=self.settings)

    def reranked(
        self, query: str, fused: pa.Table, *, known: Mapping[str, float] | None = None, pace: Pace | None = None
    ) -> Reranked:
        """The candidates in their final order; pairs of the reranker's depth are scored.

        Args:
            query: As the models read it.
            fused: Schema FUSED.
            known: Pair scores of the query under this reranker by chunk hash, which are not computed again.
            pace: How many pairs there is time for; None: for all.
        """
        chunks = self.first_stage.statistics.chunks_at(fused.column("chunk_number").to_numpy(), CHUNK_NAMES)
        candidates = name_candidates(fused, pa.table({"query_key": [query_key(query)]}), chunks)
        pair_scores = np.full(candidates.num_rows, np.nan, dtype=np.float32)
        wanted = scored = 0
        if self.reranker is not None and candidates.num_rows:
            asked = reranked_rows(fused, self.settings)
            hashes = candidates.column("chunk_hash").take(pa.array(asked)).to_pylist()
            scores = self._pair_scores(query, hashes, self.reranker, known or {}, pace)
            pair_scores[asked] = [scores.get(chunk_hash, np.nan) for chunk_hash in hashes]
            wanted, scored = len(set(hashes)), len(scores)
        if self.weighing.learned is not None:
            candidates = with_grams(candidates, {query_key(query): query}, self.table)
        return Reranked(final_order(candidates, fused, pair_scores, weighing=self.weighing), wanted, scored)

    def results(self, query: str, ranked: pa.Table) -> tuple[Result, ...]:
        """What readers see of a query's candidates.

        Args:
            query: As the models read it.
            ranked: In their final order, schema CANDIDATES.
        """
        results = cut_results(
            ranked,
            candidate_depth=self.settings.retrieval.candidate_depth,
            settings=self.settings.results,
            vectors=stored_vectors(self.table),
        )
        chunks = self.first_stage.statistics.chunks_at(results.column("chunk_number").to_numpy(), DESCRIPTION)
        key, analyser = query_key(query), Analyser.of(self.settings.bm25)
        weights = query_weights(self.first_stage.statistics, [query], analyse=analyser)
        snippets = Snippets(analyser, characters=self.settings.results.snippet_characters)
        shown = snippets.of({key: weights[0]})
        entries = result_entries(results, chunks, self.table, snippets=shown).get(key, [])
        return tuple(Result(**entry) for entry in entries)  # type: ignore[arg-type]  # fields of Result

    def _vectors(self, legs: Sequence[LegName], query: str) -> QueryVectors:
        """What some legs ask with; a model is asked only where one of them needs it."""
        dense = self.embedder.embed_queries([query]) if "dense" in legs else None
        sparse = self.sparse.encode_queries([query]) if "sparse" in legs and self.sparse is not None else None
        return QueryVectors(dense, sparse)

    def _pair_scores(
        self,
        query: str,
        chunk_hashes: list[str],
        reranker: LoadedReranker,
        known: Mapping[str, float],
        pace: Pace | None,
    ) -> dict[str, float]:
        """Scores by chunk hash; a passage is scored once, however many chunks say it: hosted ones cost money."""
        wanted = list(dict.fromkeys(chunk_hashes))
        missing = [chunk_hash for chunk_hash in wanted if chunk_hash not in known]
        scores = {chunk_hash: known[chunk_hash] for chunk_hash in wanted if chunk_hash in known}
        if missing:
            rows = self.table.rows(pa.array(sorted(missing)), ["text", "tokens"]).to_pylist()
            found = {row["chunk_hash"]: row for row in rows}
            texts = [found[chunk_hash]["text"] for chunk_hash in missing]
            tokens = np.array([found[chunk_hash]["tokens"] for chunk_hash in missing])
            parts = [slice(None)] if pace is None else pace.parts(tokens)
            for part in parts:
                scored = reranker.score([query] * len(texts[part]), texts[part], tokens[part])
                scores |= dict(zip(missing[part], scored.tolist(), strict=True))
        return scores
