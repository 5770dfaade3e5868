"""The stage that measures known items: titles and headings ask for their own documents, masked in what is searched.

Nothing of it is published but its figures. What it computes is remembered by content: vectors of queries and scores of
pairs in the memos, scores of masked copies in the release, for the next one to take them from. Vectors and texts of
copies are kept nowhere.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.memo.pair_scores import PairMemo
from nightrank.storage.memo.query_vectors import QueryMemo
from nightrank.storage.memo.sparse_vectors import SparseMemo
from nightrank.storage.release.evaluation import KNOWN_ITEMS
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import KnownItemsMeasured
from nightrank.storage.release.whole import whole_file
from nightrank.tasks.dense.retrieve import StoredVectors
from nightrank.tasks.evaluate.measures import evaluate_stages, means
from nightrank.tasks.first_stage import FirstStage, QueryVectors
from nightrank.tasks.judgments.known_items.copies import Copies, TextsWithCopies
from nightrank.tasks.judgments.known_items.items import known_items
from nightrank.tasks.judgments.known_items.legs import (
    CopyScores,
    dense_of_copies,
    legs_with_copies,
    sparse_of_copies,
)
from nightrank.tasks.judgments.known_items.rank import FusedItems, judgments_of_items, queries_of_items
from nightrank.tasks.models.tokens import load_token_counter
from nightrank.tasks.rank.candidate_grams import texts_by_key, with_grams
from nightrank.tasks.rank.diversity import stored_vectors
from nightrank.tasks.rank.order import Weighing
from nightrank.tasks.rerank.hosted.plan import HostedPlan
from nightrank.tasks.rerank.pairs import DriftCheck, PairTexts, score_pairs
from nightrank.tasks.runtime.retries import RETRIED
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.settings.inputs import KNOWN_ITEMS as AUTO
from nightrank.tasks.sparse.retrieve import StoredSparseVectors
from nightrank.tasks.stages.rerank import known_grams
from nightrank.tasks.trec.leg import runs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from nightrank.storage.lance.table import ChunkTable
    from nightrank.tasks.embed.lazy import LazyEmbedder
    from nightrank.tasks.night import Night
    from nightrank.tasks.rank.learned import LearnedOrder
    from nightrank.tasks.rerank.lazy import LazyReranker
    from nightrank.tasks.sparse.lazy import LazySparse
    from nightrank.tasks.stages.built import Built


@stage_task("known items", retry=RETRIED)
def measure_known_items(
    night: Night,
    built: Built,
    embedder: LazyEmbedder,
    sparse: LazySparse | None,
    reranker: LazyReranker | None,
    *,
    learned: LearnedOrder | None,
) -> KnownItemsMeasured | None:
    """Measure every stage by known items; None where there are none.

    Args:
        night: The run.
        built: The new release.
        embedder: Loaded only where a copy or an item is new.
        sparse: Likewise; None where there is no sparse leg of our own.
        reranker: Likewise; None where the fused order is kept.
        learned: The learned order; None where plain weights order.
    """
    count = _wanted(night, reranker)
    if not count:
        return None
    settings, table = night.settings, night.open_chunks(built.index.vectors.table)
    with Bm25Store.open(built.index.statistics.path) as store:
        copies = Copies.of(known_items(built.inputs.documents.path), store, table, count=count)
        if not copies.items:
            return None
        found = _Vectors(night, copies, table).of(embedder, sparse)
        with _sparse_texts(night, sparse) as sparse_texts:
            first_stage = FirstStage.over(store, StoredVectors(table), sparse_texts)
            legs = legs_with_copies(copies, first_stage, found.queries, found.scores, settings=settings)
        fused = FusedItems.of(legs, copies, store, documents=first_stage.documents(settings), settings=settings)
    scored = 0
    says = TextsWithCopies(table, copies, load_token_counter(embedder.plan.files.folder))

    def grams(pairs: pa.Table) -> pa.Table:
        return with_grams(
            pairs, texts_by_key(copies.queries()), says, known=known_grams(night, ReleaseFiles.known_candidates)
        )

    def score(pairs: pa.Table) -> NDArray[np.float32]:
        nonlocal scored
        assert reranker is not None
        watch = DriftCheck(settings.drift_check, reranker.plan.precision, np.random.default_rng(night.seed))
        with PairMemo(night.workspace.memo, reranker=reranker.plan.fingerprint) as memo:
            texts = PairTexts.of(copies.queries(), says)
            scores, done = score_pairs(pairs, memo, texts, load=reranker.load, drift_check=watch)
        scored = done.scored
        return scores

    weighing = Weighing.of(settings, learned, weight=0.0 if reranker is None else reranker.plan.weight)
    weighing = weighing.over(built.reranked.log)
    ranked = fused.ranked(settings, weighing=weighing, score=None if reranker is None else score, grams=grams)
    measures = tuple(dict.fromkeys((*settings.evaluation.measures, settings.gates.measure)))
    evaluation = evaluate_stages(
        ranked,
        queries_of_items(copies.queries(), copies.items),
        judgments_of_items(copies.items),
        measures=measures,
        legs=settings.retrieval.legs,
        candidate_depth=settings.retrieval.candidate_depth,
        results=settings.results,
        ignore_identical_ids=False,
        vectors=stored_vectors(table),
    )
    night.files.known_items.write(_table_of(copies, found.scores))
    night.files.known_candidates.write(ranked)
    night.files.known_evaluation.write(evaluation)
    kinds = Counter(item.kind for item in copies.items)
    return KnownItemsMeasured(
        titles=kinds["title"],
        headings=kinds["heading"],
        sentences=kinds["sentence"],
        embedded=found.embedded,
        pairs_scored=scored,
        measures=means(evaluation),
    )


def _wanted(night: Night, reranker: LazyReranker | None) -> int:
    """How many items there are to be; of a run of another engine nothing can be masked."""
    settings = night.settings
    wanted = settings.judgments.known_items
    if wanted is None or runs_of(settings.retrieval):
        return 0
    if wanted != "auto":
        return wanted
    is_paid = reranker is not None and isinstance(reranker.plan, HostedPlan)
    return 0 if is_paid or settings.judgments.qrels is not None else AUTO


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What legs over vectors ask with and say; and how many copies were embedded for it."""

    queries: QueryVectors
    scores: CopyScores
    embedded: int


@dataclass(frozen=True, slots=True, eq=False)
class _Vectors:
    """Gets what legs over vectors say of copies, from the release before as far as it has the same ones."""

    night: Night
    copies: Copies
    table: ChunkTable

    def of(self, embedder: LazyEmbedder, sparse: LazySparse | None) -> _Found:
        """For all copies; a model is loaded only where one is new."""
        night, before = self.night, self.night.before
        keys = [item.query_key for item in self.copies.items]
        texts = [item.text for item in self.copies.items]
        dense = dense_scores = sparse_vectors = sparse_scores = None
        embedded = 0
        if "dense" in night.settings.retrieval.own_legs:
            dense = self._query_vectors(embedder, keys, texts)

            def scored(rows: NDArray[np.intp]) -> NDArray[np.float32]:
                found = embedder.load(self.table).embed_passages([self.copies.texts[row] for row in rows.tolist()])
                return dense_of_copies(self.copies.only(rows), dense, found)

            is_same = before is not None and before.same_embedder
            dense_scores, embedded = self._scores("dense_score", scored, is_same=is_same)
        if sparse is not None:
            memos, key = night.workspace.memo, sparse.plan.fingerprint
            with SparseMemo(memos, "texts", encoder=key) as stored, SparseMemo(memos, "queries", encoder=key) as memo:
                asked = pa.array(keys, pa.string())
                missing = np.flatnonzero(~memo.known(asked)).tolist()
                if missing:
                    encoder = sparse.for_queries(stored, self.table)
                    memo.append([keys[row] for row in missing], encoder.encode_queries([texts[row] for row in missing]))
                _, sparse_vectors = memo.vectors_of(asked)

                def weighed(rows: NDArray[np.intp]) -> NDArray[np.float32]:
                    encoder = sparse.for_texts(stored, self.table)
                    said = [self.copies.texts[row] for row in rows.tolist()]
                    vectors = encoder.encode_passages(said, on_batch=lambda _done: None)
                    return sparse_of_copies(self.copies.only(rows), sparse_vectors, vectors)

                is_same = before is not None and before.same_sparse
                sparse_scores, _ = self._scores("sparse_score", weighed, is_same=is_same)
        return _Found(QueryVectors(dense, sparse_vectors), CopyScores(dense_scores, sparse_scores), embedded)

    def _query_vectors(self, embedder: LazyEmbedder, keys: list[str], texts: list[str]) -> NDArray[np.float32]:
        with QueryMemo(self.night.workspace.memo, embedder=embedder.plan.fingerprint) as memo:
            known, vectors = memo.vectors_of(keys)
            missing = np.setdiff1d(np.arange(len(keys)), known).tolist()
            if missing:
                found = embedder.load(self.table).embed_queries([texts[row] for row in missing])
                memo.append([keys[row] for row in missing], found)
                _, vectors = memo.vectors_of(keys)
        return vectors

    def _scores(
        self, column: str, compute: Callable[[NDArray[np.intp]], NDArray[np.float32]], *, is_same: bool
    ) -> tuple[NDArray[np.float32], int]:
        """The scores of all copies in a leg, float32 (n,), and how many had to be computed."""
        stored = self._stored(column) if is_same else {}
        pairs = [(self.copies.items[item].query_key, own) for item, own in self.copies.named()]
        scores = np.array([stored.get(pair, np.nan) for pair in pairs], dtype=np.float32)
        missing = np.flatnonzero(np.isnan(scores))
        if missing.size:
            scores[missing] = compute(missing)
        return scores, int(missing.size)

    def _stored(self, column: str) -> dict[tuple[str, str], float]:
        """What the release that is built upon says of copies in a leg, by query and copy."""
        current, named = self.night.current, ReleaseFiles.known_items
        if current is None or named.name not in current.files:
            return {}
        files = ReleaseFiles.of(self.night.workspace, current.release_id, only=[named])
        whole = whole_file(files.known_items, current)
        rows = [] if whole is None else whole.read(["query_key", "chunk_hash", column]).to_pylist()
        return {(row["query_key"], row["chunk_hash"]): row[column] for row in rows if row[column] is not None}


@contextmanager
def _sparse_texts(night: Night, sparse: LazySparse | None) -> Iterator[StoredSparseVectors | None]:
    """The sparse vectors of the collection, where that leg is on."""
    if sparse is None:
        yield None
        return
    with SparseMemo(night.workspace.memo, "texts", encoder=sparse.plan.fingerprint) as memo:
        yield StoredSparseVectors(memo)


def _table_of(copies: Copies, scores: CopyScores) -> pa.Table:
    """Schema KNOWN_ITEMS."""
    items = [copies.items[place] for place in copies.item_of.tolist()]
    columns = {
        "item": [item.item for item in items],
        "kind": [item.kind for item in items],
        "query_key": [item.query_key for item in items],
        "text": [item.text for item in items],
        "document_id": [item.document_id for item in items],
        "chunk_hash": [*copies.hashes],
        "dense_score": [None] * len(items) if scores.dense is None else scores.dense.tolist(),
        "sparse_score": [None] * len(items) if scores.sparse is None else scores.sparse.tolist(),
    }
    return pa.Table.from_pydict(columns, schema=KNOWN_ITEMS)
