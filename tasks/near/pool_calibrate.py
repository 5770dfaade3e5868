"""How wrong the second tier is: known queries answered from what was found for others, against their own answers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from nightrank.storage.keys import short_key
from nightrank.storage.records import LEG
from nightrank.storage.release.near_record import POOL
from nightrank.tasks.legs.texts import Texts
from nightrank.tasks.near.calibrate import Compared, measured
from nightrank.tasks.near.pool import pool_fused
from nightrank.tasks.rank.candidate_grams import texts_by_key, with_grams
from nightrank.tasks.rank.diversity import stored_vectors
from nightrank.tasks.rank.documents import document_numbers, documents_behind
from nightrank.tasks.rank.order import CHUNK_NAMES, final_order, name_candidates
from nightrank.tasks.rank.results import cut_results

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.storage.lance.table import ChunkTable
    from nightrank.storage.release.near_record import NearMove
    from nightrank.tasks.near.calibrate import Judged
    from nightrank.tasks.near.pool import KnownPools
    from nightrank.tasks.rank.order import Weighing
    from nightrank.tasks.settings.near import NearSettings
    from nightrank.tasks.settings.whole import Settings

SIMILARITIES = (
    0.9,
    0.8,
    0.7,
    0.6,
    0.5,
    0.0,
)  # of the nearest known query, at least; the lowest within the limit counts


class PoolAnswer(NamedTuple):
    """What a query that was held out would have got.

    Attributes:
        query_key: Its key.
        similarity: Of the nearest other query.
        document_ids: Best first.
    """

    query_key: str
    similarity: float
    document_ids: list[str]


def pool_answers(
    pools: KnownPools,
    bm25: pa.Table,
    queries: pa.Table,
    *,
    passed: AbstractSet[str],
    store: Bm25Store,
    table: ChunkTable,
    weighing: Weighing,
    settings: Settings,
) -> list[PoolAnswer]:
    """Queries drawn by their keys, answered as if they were not known, without the reranker.

    Args:
        pools: Of all queries.
        bm25: Their own BM25 legs, schema LEG.
        queries: ``query_key``, ``text`` and ``filter``, by query number.
        passed: Keys of queries that the first tier answers: those that it does not are what the second one gets.
        store: The collection.
        table: Its texts and vectors.
        weighing: Of the final order.
        settings: Of the release.
    """
    keys, conditions = (queries.column(name).to_pylist() for name in ("query_key", "filter"))
    number_of = {key: number for number, key in enumerate(keys)}
    seed = str(settings.near.seed)
    drawn = sorted(
        (place for place, key in enumerate(pools.keys) if key not in passed),
        key=lambda place: short_key("near pool", seed, pools.keys[place]),
    )[: settings.near.held_out_pools]
    texts = Texts.of(store.chunks(["chunk_hash"]).column(0))
    documents = documents_behind(document_numbers(store), settings)
    leg_starts = np.searchsorted(bm25.column("query_number").to_numpy(), np.arange(len(keys) + 1))
    fused: list[pa.Table] = []
    similarities: dict[str, float] = {}
    for place in drawn:
        number = number_of[pools.keys[place]]
        pool = pools.near(pools.vectors[place], conditions[number], without=place)
        if pool is None:
            continue
        own = bm25.slice(leg_starts[number], leg_starts[number + 1] - leg_starts[number])
        found = pool_fused(
            pool,
            own.set_column(0, LEG.field(0), pa.array(np.zeros(own.num_rows, dtype=np.int32))),
            pools.vectors[place],
            texts=texts,
            vectors=stored_vectors(table),
            documents=documents,
            settings=settings,
        )
        numbers = pa.array(np.full(found.num_rows, len(fused), dtype=np.int32))
        fused.append(found.set_column(0, found.schema.field(0), numbers))
        similarities[pools.keys[place]] = pool.similarity
    if not fused:
        return []
    numbers = pa.array([number_of[key] for key in similarities], pa.int64())
    asked = queries.select(["query_key", "text"]).take(numbers)
    ids = _published(pa.concat_tables(fused), asked, store=store, table=table, weighing=weighing, settings=settings)
    return [PoolAnswer(key, similarity, ids.get(key, [])) for key, similarity in similarities.items()]


def calibrate_pool(
    answers: Sequence[PoolAnswer],
    *,
    ranking: Callable[[str], Sequence[str]],
    overlap: Callable[[Sequence[str], Sequence[str]], float],
    judged: Judged,
    settings: NearSettings,
    tests: int,
) -> NearMove:
    """How near the nearest known query must be, and what answers then may lose.

    Args:
        answers: Of the queries that were held out, in the order of their draw.
        ranking: The documents that a query is answered with, by its key.
        overlap: How alike two rankings are.
        judged: What was judged.
        settings: The limits.
        tests: How many bounds are to hold together, these among them.
    """
    confidence = 1.0 - (1.0 - settings.confidence) / tests
    tried = [
        _measured(
            [answer for answer in answers if answer.similarity >= least],
            least,
            ranking=ranking,
            overlap=overlap,
            judged=judged,
            settings=settings,
            confidence=confidence,
        )
        for least in SIMILARITIES
    ]
    within = [move for move in tried if move.is_on]
    return within[-1] if within else min(tried, key=lambda move: move.bound / move.limit)


def _measured(
    near: Sequence[PoolAnswer],
    least: float,
    *,
    ranking: Callable[[str], Sequence[str]],
    overlap: Callable[[Sequence[str], Sequence[str]], float],
    judged: Judged,
    settings: NearSettings,
    confidence: float,
) -> NearMove:
    """What answers lose whose nearest query is so near; what is further off than any of them was not measured."""
    furthest = min((one.similarity for one in near), default=least)
    answers = [Compared(one.query_key, ranking(one.query_key), one.document_ids) for one in near]
    overlaps = np.array([overlap(one.own, one.near) for one in answers], dtype=np.float64)
    return measured(POOL, answers, overlaps, judged, settings, confidence=confidence).model_copy(
        update={"least_similarity": max(least, math.floor(100 * furthest) / 100)}
    )


def _published(
    fused: pa.Table,
    asked: pa.Table,
    *,
    store: Bm25Store,
    table: ChunkTable,
    weighing: Weighing,
    settings: Settings,
) -> dict[str, list[str]]:
    """The documents of each query's final ranking, best first."""
    chunks = store.chunks_at(fused.column("chunk_number").to_numpy(), CHUNK_NAMES)
    candidates = name_candidates(fused, asked, chunks)
    if weighing.learned is not None:
        candidates = with_grams(candidates, texts_by_key(asked), table)
    unscored = np.full(fused.num_rows, np.nan, dtype=np.float32)
    results = cut_results(
        final_order(candidates, fused, unscored, weighing=weighing),
        candidate_depth=settings.retrieval.candidate_depth,
        settings=settings.results,
        vectors=stored_vectors(table),
    )
    found: dict[str, dict[str, None]] = {}
    for key, document_id in zip(*(results.column(n).to_pylist() for n in ("query_key", "document_id")), strict=True):
        found.setdefault(key, {})[document_id] = None
    return {key: list(ids) for key, ids in found.items()}
