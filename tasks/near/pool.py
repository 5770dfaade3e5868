"""The second tier: what was found for the known queries nearest to a query, and by BM25 for itself, rescored for it.

The known queries are near by their vectors. Their candidates and the query's own BM25 leg are the pool; within it the
dense leg is exact, so that no more vectors are looked at than a few hundred. Legs, fusion and final order are those of
every other query; the reranker is asked for as many pairs as there is time for, or for none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.filters.queries import by_text, conditions_of
from nightrank.tasks.dense.retrieve import retrieve_dense
from nightrank.tasks.rank.fusion import fuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.storage.memo.query_vectors import QueryMemo
    from nightrank.tasks.kernels.top_documents import Documents
    from nightrank.tasks.legs.texts import Texts
    from nightrank.tasks.rank.diversity import VectorSource
    from nightrank.tasks.settings.whole import Settings

NEIGHBOURS = 8  # known queries whose candidates are looked at


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """What may be found for a query.

    Attributes:
        nearest: The place of the nearest known query.
        similarity: Its cosine with the query.
        chunk_numbers: int32 (n,), ascending: candidates of the nearest queries.
    """

    nearest: int
    similarity: float
    chunk_numbers: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class KnownPools:
    """The known queries of a release, their vectors, and the chunks that were candidates of each; made by ``of``.

    Attributes:
        keys: Of the queries, (n,).
        texts: Theirs.
        vectors: float32 (n, dim), of length 1.
        filters: int64 (n,), a number for each filter.
        starts: int64 (n + 1,), where each query's candidates begin.
        chunk_numbers: int32, these.
    """

    keys: Sequence[str]
    texts: Sequence[str]
    vectors: NDArray[np.float32]
    filters: NDArray[np.int64]
    starts: NDArray[np.int64]
    chunk_numbers: NDArray[np.int32]
    _numbers: dict[str | None, int]

    @classmethod
    def of(cls, queries: pa.Table, candidates: pa.Table, memo: QueryMemo) -> Self:
        """Those of a release; queries without a vector are left out.

        Args:
            queries: ``query_key``, ``text`` and ``filter`` of its queries.
            candidates: ``query_key`` and ``chunk_number`` of their candidates.
            memo: Of its embedder.
        """
        positions, vectors = memo.vectors_of(by_text(queries, queries).column("query_key").to_pylist())
        known = queries.take(pa.array(positions))
        keys = known.column("query_key").combine_chunks()
        of_query = pc.index_in(candidates.column("query_key"), value_set=keys).combine_chunks()
        rows = candidates.column("chunk_number").to_numpy()[pc.is_valid(of_query).to_numpy(zero_copy_only=False)]
        numbers = of_query.drop_null().to_numpy()
        order = np.argsort(numbers, kind="stable")
        conditions = conditions_of(known)
        by_filter: dict[str | None, int] = {}
        filters = [by_filter.setdefault(condition, len(by_filter)) for condition in conditions]
        return cls(
            keys.to_pylist(),
            known.column("text").to_pylist(),
            vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny),
            np.array(filters, dtype=np.int64),
            np.searchsorted(numbers[order], np.arange(len(keys) + 1)),
            rows[order].astype(np.int32),
            by_filter,
        )

    def near(self, vector: NDArray[np.float32], condition: str | None, *, without: int | None = None) -> Pool | None:
        """What was found for the nearest queries with the same filter; None where there is none.

        Args:
            vector: float32 (dim,), the query's.
            condition: The canonical text of its filter.
            without: A query that is held out.
        """
        if condition not in self._numbers:
            return None
        cosines = np.where(self.filters == self._numbers[condition], self.vectors @ vector, -np.inf)
        if without is not None:
            cosines[without] = -np.inf
        if cosines.size > NEIGHBOURS:  # few are sorted: all that tie with the last, and of equal ones the first wins
            near = np.flatnonzero(cosines >= np.partition(cosines, -NEIGHBOURS)[-NEIGHBOURS])
        else:
            near = np.arange(cosines.size)
        near = near[np.argsort(-cosines[near], kind="stable")[:NEIGHBOURS]]
        near = near[np.isfinite(cosines[near])]
        if not near.size:
            return None
        chunks = [self.chunk_numbers[self.starts[one] : self.starts[one + 1]] for one in near]
        similarity = float(cosines[near[0]] / max(float(np.linalg.norm(vector)), np.finfo(np.float32).tiny))
        return Pool(int(near[0]), similarity, np.unique(np.concatenate(chunks)))


def pool_fused(
    pool: Pool,
    bm25: pa.Table,
    vector: NDArray[np.float32],
    *,
    allowed: NDArray[np.bool_] | None = None,
    texts: Texts,
    vectors: VectorSource,
    documents: Documents | None,
    settings: Settings,
) -> pa.Table:
    """Both legs of a query as one ranking, schema FUSED: BM25 whole, the dense leg within the pool and what BM25 found.

    Args:
        pool: What was found for the nearest queries.
        bm25: The query's own leg, schema LEG; empty where that leg is off.
        vector: float32 (dim,), the query's.
        allowed: bool (n_chunks,), those that may be found; None: all.
        texts: Of the collection.
        vectors: Gives the vectors of texts.
        documents: Behind the chunks, where documents count.
        settings: Of legs and fusion.
    """
    mask = np.zeros(texts.chunk_numbers.size, dtype=bool)
    mask[pool.chunk_numbers] = True
    mask[bm25.column("chunk_number").to_numpy()] = True
    within, _ = texts.only(mask if allowed is None else mask & allowed)
    block = np.arange(len(within), dtype=np.int32), vectors(within.hashes_by_number())
    depth = settings.retrieval.candidate_depth
    dense = retrieve_dense(vector[None], [block], within, depth=depth, documents=documents)
    legs = {"bm25": bm25, "dense": dense}
    return fuse(
        {leg: legs[leg] for leg in settings.retrieval.own_legs}, settings=settings.retrieval, documents=documents
    )
