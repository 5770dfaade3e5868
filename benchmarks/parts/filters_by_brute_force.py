"""The filtered queries of a release once more, by brute force: whole rankings, filtered by plain Python, then cut."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.parts.plain_filters import matches
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.filters.queries import by_text
from nightrank.storage.lance.table import vectors_of
from nightrank.storage.memo.pair_scores import PairMemo
from nightrank.storage.memo.query_vectors import QueryMemo
from nightrank.storage.records import LEG
from nightrank.storage.serving.cache import SearchCache
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.bm25.retrieve import retrieve_bm25
from nightrank.tasks.rank.candidate_grams import texts_by_key, with_grams
from nightrank.tasks.rank.diversity import stored_vectors
from nightrank.tasks.rank.documents import document_numbers, documents_behind
from nightrank.tasks.rank.fusion import fuse
from nightrank.tasks.rank.order import Weighing, final_order, name_candidates, reranked_rows
from nightrank.tasks.rank.order_file import order_of_release
from nightrank.tasks.rank.results import cut_results
from nightrank.tasks.release import StoredRelease

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName
    from nightrank.storage.records import Metadata
    from nightrank.storage.workspace.base import Workspace

TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class BruteForce:
    """How the filtered queries of a release compare with brute force.

    Attributes:
        queries: How many were compared.
        results: How many results they have.
        violations: Results whose document does not satisfy the filter.
        differing: Queries with another leg, or other results, than brute force gives.
        filters: Of each, its queries, the chunks that it lets through, and their share of all.
    """

    queries: int
    results: int
    violations: int
    differing: int
    filters: dict[str, tuple[int, int, float]]

    @property
    def is_equal(self) -> bool:
        """Whether every result satisfies its filter and is brute force's."""
        return self.queries > 0 and self.results > 0 and self.violations == 0 and self.differing == 0


@dataclass(frozen=True, slots=True, eq=False)
class _Collection:
    """A release in memory.

    Attributes:
        chunks: By chunk number.
        vectors: float64 (n_chunks, dim), by chunk number.
    """

    release: StoredRelease
    store: Bm25Store
    chunks: pa.Table
    vectors: NDArray[np.float64]

    @classmethod
    def of(cls, release: StoredRelease, store: Bm25Store) -> _Collection:
        chunks = store.chunks(["chunk_id", "chunk_hash", "document_id"])
        table = release.chunk_table()
        rows = table.rows(pc.unique(chunks.column("chunk_hash")), ["vector"])
        places = pc.index_in(chunks.column("chunk_hash"), value_set=rows.column("chunk_hash")).to_numpy()
        return cls(release, store, chunks, vectors_of(rows, table.dimensions)[places].astype(np.float64))

    def bm25(self, text: str) -> list[tuple[int, float]]:
        """The whole ranking of the BM25 leg: (chunk number, score)."""
        settings = self.release.settings.bm25
        depth = max(1, self.store.chunk_count)
        leg = retrieve_bm25(self.store, [text], settings=settings, analyser=Analyser.of(settings), depth=depth)
        return list(zip(leg.column("chunk_number").to_pylist(), leg.column("score").to_pylist(), strict=True))

    def dense(self, vector: NDArray[np.float32]) -> list[tuple[int, float]]:
        """The whole ranking of the dense leg."""
        query = np.broadcast_to(vector.astype(np.float64), self.vectors.shape)
        scores = np.einsum("nd,nd->n", self.vectors, query).astype(np.float32)
        order = np.lexsort((np.arange(scores.size), -scores))
        return list(zip(order.tolist(), scores[order].tolist(), strict=True))

    def cut(self, ranking: list[tuple[int, float]]) -> list[tuple[int, float]]:
        """A whole ranking cut as a leg is: after so many documents, each with its best chunks."""
        settings, chunks = self.release.settings, self.chunks.column("document_id")
        documents = documents_behind(document_numbers(self.store), settings)
        met: dict[str, int] = {}
        kept = []
        for chunk, score in ranking:
            if len(met) == settings.retrieval.candidate_depth:
                break
            unit = str(chunk if documents is None else chunks[chunk])
            met[unit] = met.get(unit, 0) + 1
            if documents is None or met[unit] <= documents.chunks:
                kept.append((chunk, score))
        return kept


def check(workspace: Workspace, metadata: Mapping[str, Metadata]) -> BruteForce:
    """Compare every filtered query of the current release with brute force.

    Args:
        workspace: Whose release.
        metadata: Of the documents, by their ids, as their source has it.
    """
    release = StoredRelease.open(workspace)
    queries = release.files.queries.read()
    filtered = queries.filter(pc.is_valid(queries.column("filter")))
    with QueryMemo(workspace.memo, embedder=release.manifest.inputs.embedder) as memo:
        _, vectors = memo.vectors_of(by_text(filtered, filtered).column("query_key").to_pylist())
    results = violations = differing = 0
    filters: dict[str, tuple[int, int, float]] = {}
    with (
        Bm25Store.open(release.files.statistics.path) as store,
        SearchCache(release.folder, release_id=release.release_id) as cache,
    ):
        collection = _Collection.of(release, store)
        documents = collection.chunks.column("document_id").to_pylist()
        for number, query in enumerate(filtered.to_pylist()):
            wanted = json.loads(query["filter"])
            allowed = [matches(metadata[document], wanted) for document in documents]
            found = cache.get(query["text"], filter_by=wanted)
            assert found is not None
            ours = [(result.chunk_id, result.score) for result in found.results]
            results += len(ours)
            violations += sum(not matches(metadata[result.document_id], wanted) for result in found.results)
            legs: dict[LegName, list[tuple[int, float]]] = {
                "bm25": collection.bm25(query["text"]),
                "dense": collection.dense(vectors[number]),
            }
            cut = {name: collection.cut([entry for entry in leg if allowed[entry[0]]]) for name, leg in legs.items()}
            theirs = _results(collection, filtered.slice(number, 1), cut)
            differing += not (_same(ours, theirs) and _same_legs(collection, query["query_key"], cut))
            count, through = filters.get(query["filter"], (0, 0, 0.0))[0], sum(allowed)
            filters[query["filter"]] = (count + 1, through, through / max(1, len(allowed)))
    return BruteForce(filtered.num_rows, results, violations, differing, filters)


def _results(
    collection: _Collection, query: pa.Table, legs: Mapping[LegName, list[tuple[int, float]]]
) -> list[tuple[str, float]]:
    """What becomes of the legs: fused, ordered with the memo's pair scores, and cut; (chunk id, score)."""
    release, inputs = collection.release, collection.release.manifest.inputs
    settings = release.settings
    documents = documents_behind(document_numbers(collection.store), settings)
    fused = fuse({name: _leg(leg) for name, leg in legs.items()}, settings=settings.retrieval, documents=documents)
    candidates = name_candidates(fused, query, collection.chunks.take(fused.column("chunk_number")))
    pair_scores = np.full(candidates.num_rows, np.nan, dtype=np.float32)
    weight = 0.0
    if inputs.reranker_fingerprint != "none" and candidates.num_rows:
        weight = inputs.reranker_weight if settings.reranker.weight is None else settings.reranker.weight
        asked = reranked_rows(fused, settings)
        pairs = by_text(candidates.select(["query_key", "chunk_hash"]).take(pa.array(asked)), query)
        with PairMemo(release.workspace.memo, reranker=inputs.reranker_fingerprint) as memo:
            known, scores = memo.scores_of(pairs)
        pair_scores[asked[known]] = scores
    learned = order_of_release(release.manifest)
    weighing = Weighing.of(settings, learned, weight=weight, log=release.log_means(settings))
    if learned is not None:
        candidates = with_grams(candidates, texts_by_key(query), release.chunk_table())
    ranked = final_order(candidates, fused, pair_scores, weighing=weighing)
    results = cut_results(
        ranked,
        candidate_depth=settings.retrieval.candidate_depth,
        settings=settings.results,
        vectors=stored_vectors(release.chunk_table()),
    )
    return list(zip(results.column("chunk_id").to_pylist(), results.column("score").to_pylist(), strict=True))


def _same_legs(collection: _Collection, query_key: str, legs: Mapping[LegName, list[tuple[int, float]]]) -> bool:
    rows = collection.release.files.candidates.read()
    rows = rows.filter(pc.field("query_key") == query_key)
    chunk_ids = collection.chunks.column("chunk_id")
    return all(
        _same(
            _leg_of(rows, name),
            [(chunk_ids[number].as_py(), score) for number, score in leg],
        )
        for name, leg in legs.items()
    )


def _leg_of(rows: pa.Table, name: str) -> list[tuple[str, float]]:
    found = rows.filter(pc.is_valid(pc.field(f"{name}_rank"))).sort_by(f"{name}_rank")
    return list(zip(found.column("chunk_id").to_pylist(), found.column(f"{name}_score").to_pylist(), strict=True))


def _same(ours: list[tuple[str, float]], theirs: list[tuple[str, float]]) -> bool:
    """Whether two rankings have the same entries in the same order, with scores within the tolerance."""
    return [name for name, _ in ours] == [name for name, _ in theirs] and all(
        abs(one - other) <= TOLERANCE for (_, one), (_, other) in zip(ours, theirs, strict=True)
    )


def _leg(entries: list[tuple[int, float]]) -> pa.Table:
    columns = [[0] * len(entries), [chunk for chunk, _ in entries], [score for _, score in entries]]
    ranks = list(range(1, len(entries) + 1))
    arrays = [pa.array(column, of.type) for column, of in zip([*columns, ranks], LEG, strict=True)]
    return pa.table(arrays, schema=LEG)
