"""The fourth stage: pairs that the memo does not hold are scored over the whole log, and the final order is set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from prefect import task
from prefect.cache_policies import NO_CACHE

from storage.bm25_store import Bm25Store
from storage.chunk_table import ChunkTable
from storage.memo import PairMemo
from storage.records import CANDIDATES
from storage.tables import read_table, write_table
from tasks.progress import progress
from tasks.ranking import rank_candidates, weighted_scores
from tasks.reranker import Reranker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from storage.releases import ChunkTableVersion
    from tasks.night import Night
    from tasks.reranker import RerankerPlan

COMMIT_PAIRS = 1024  # pairs scored between two commits: what a killed run loses at most
TEXTS_HELD = 32_768  # pairs whose texts are in memory at one time


class Scorer(Protocol):
    """What scores pairs: the reranker."""

    def score(self, queries: Sequence[str], texts: Sequence[str], lengths: NDArray[np.integer]) -> NDArray[np.float32]:
        """Raw scores of pairs, float32 (n,); higher is more relevant."""
        ...


@dataclass(frozen=True, slots=True)
class PairsScored:
    """What the reranking stage did: pairs it needed, and those of them that no earlier run had scored."""

    pairs: int
    scored: int


@task(name="rerank", cache_policy=NO_CACHE)
def rerank_candidates(night: Night, plan: RerankerPlan | None, table: ChunkTableVersion) -> PairsScored:
    """Score every candidate pair that has no score yet, and set the final order of the candidates."""
    settings = night.settings
    fused = read_table(night.fused)
    queries = read_table(night.queries, columns=["query_key", "text"])
    with Bm25Store.open(night.bm25) as store:
        chunks = store.chunks().select(["chunk_id", "chunk_hash", "document_id"])
    candidates = name_candidates(fused, queries, chunks)
    pair_scores = np.full(candidates.num_rows, np.nan, dtype=np.float32)
    done = PairsScored(0, 0)
    if plan is not None:
        depth = min(settings.reranker.depth, settings.retrieval.candidate_depth)
        asked = np.flatnonzero(fused.column("fused_rank").to_numpy() <= depth)
        pairs = candidates.select(["query_key", "chunk_hash"]).take(pa.array(asked))
        execution = settings.execution
        with PairMemo(night.workspace.memo, reranker=plan.fingerprint) as memo:
            pair_scores[asked], scored = score_pairs(
                pairs,
                memo,
                texts_of_queries=dict(
                    zip(*(queries.column(name).to_pylist() for name in queries.schema.names), strict=True)
                ),
                chunks=ChunkTable.open(night.workspace.lance, name=table.name, version=table.version),
                load=lambda: Reranker(plan, batch_tokens=execution.batch_tokens, threads=execution.threads),
            )
        done = PairsScored(pairs=distinct(pairs).num_rows, scored=scored)
    weight = 0.0 if plan is None else plan.weight
    write_table(night.candidates, settle_order(candidates, fused, pair_scores, weight=weight))
    return done


def name_candidates(fused: pa.Table, queries: pa.Table, chunks: pa.Table) -> pa.Table:
    """Candidates with the keys that outlive a release: query, chunk, text and document.

    Args:
        fused: Schema FUSED.
        queries: By query number, with ``query_key``.
        chunks: By chunk number, with ``chunk_id``, ``chunk_hash``, ``document_id``.
    """
    chunk_numbers, query_numbers = fused.column("chunk_number"), fused.column("query_number")
    named = {name: chunks.column(name).take(chunk_numbers) for name in ("chunk_id", "chunk_hash", "document_id")}
    return pa.table({"query_key": queries.column("query_key").take(query_numbers), **named})


def score_pairs(
    pairs: pa.Table,
    memo: PairMemo,
    *,
    texts_of_queries: dict[str, str],
    chunks: ChunkTable,
    load: Callable[[], Scorer],
) -> tuple[NDArray[np.float32], int]:
    """The score of every pair; what the memo does not hold is computed, committed batch by batch.

    Args:
        pairs: ``query_key`` and ``chunk_hash`` (n,); a pair may come more than once.
        memo: Of this reranker.
        texts_of_queries: Normalised texts by key.
        chunks: Where the texts of chunks are.
        load: Loads the reranker; called only where a score is missing.

    Returns:
        float32 (n,), and how many distinct pairs were computed.
    """
    known, _ = memo.scores_of(pairs)
    unknown = np.ones(pairs.num_rows, dtype=bool)
    unknown[known] = False
    missing = distinct(pairs.filter(pa.array(unknown)))
    if missing.num_rows:
        _compute(missing, memo, texts_of_queries=texts_of_queries, chunks=chunks, reranker=load())
    positions, values = memo.scores_of(pairs)
    scores = np.full(pairs.num_rows, np.nan, dtype=np.float32)
    scores[positions] = values
    assert not np.isnan(scores).any()
    return scores, missing.num_rows


def settle_order(candidates: pa.Table, fused: pa.Table, pair_scores: NDArray[np.float32], *, weight: float) -> pa.Table:
    """The candidates in their final order.

    Args:
        candidates: Keys (n,), as ``name_candidates`` gives them.
        fused: Schema FUSED (n,), the same rows.
        pair_scores: float32 (n,), NaN where the reranker was not asked.
        weight: Of the reranker.

    Returns:
        A table of schema CANDIDATES, by query number, then rank.
    """
    queries, chunk_numbers = fused.column("query_number").to_numpy(), fused.column("chunk_number").to_numpy()
    fused_scores, fused_ranks = fused.column("fused_score").to_numpy(), fused.column("fused_rank").to_numpy()
    scores = weighted_scores(queries, fused_scores, fused_ranks, pair_scores, weight=weight)
    order, ranks = rank_candidates(queries, scores, chunk_numbers)
    columns = {name: candidates.column(name) for name in candidates.schema.names}
    columns |= {name: fused.column(name) for name in fused.schema.names if name != "query_number"}
    columns["pair_score"] = pa.array(pair_scores, from_pandas=True)  # NaN becomes null
    columns["score"] = pa.array(scores)
    table = pa.table(columns).take(pa.array(order)).append_column("rank", pa.array(ranks))
    return table.select(CANDIDATES.names).cast(CANDIDATES)


def distinct(pairs: pa.Table) -> pa.Table:
    """Each (query_key, chunk_hash) once."""
    return pairs.group_by(["query_key", "chunk_hash"]).aggregate([])


def _compute(
    missing: pa.Table,
    memo: PairMemo,
    *,
    texts_of_queries: dict[str, str],
    chunks: ChunkTable,
    reranker: Scorer,
) -> None:
    lengths = chunks.rows(pc.unique(missing.column("chunk_hash")), ["tokens"])
    # A whole order, so that the same pairs make the same batches, and the same scores to the last bit.
    by_length = [("tokens", "descending"), ("chunk_hash", "ascending"), ("query_key", "ascending")]
    joined = missing.join(lengths, "chunk_hash").sort_by(by_length)
    with progress("reranking", joined.num_rows) as advance:
        for start in range(0, joined.num_rows, TEXTS_HELD):
            held = joined.slice(start, TEXTS_HELD)
            rows = chunks.rows(pc.unique(held.column("chunk_hash")), ["text"])
            texts = dict(zip(rows.column("chunk_hash").to_pylist(), rows.column("text").to_pylist(), strict=True))
            for first in range(0, held.num_rows, COMMIT_PAIRS):
                batch = held.slice(first, COMMIT_PAIRS)
                scores = reranker.score(
                    [texts_of_queries[key] for key in batch.column("query_key").to_pylist()],
                    [texts[key] for key in batch.column("chunk_hash").to_pylist()],
                    batch.column("tokens").to_numpy(),
                )
                memo.append(batch, scores)
                advance(batch.num_rows)
