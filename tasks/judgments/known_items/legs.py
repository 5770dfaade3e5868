"""What the legs find for known items, the masked copies in their originals' places, exactly.

Everything else is found as for any query. What an item asks for is taken out, so one document more is asked for; its
copies are scored under the collection's statistics, as a chunk of their words would be, and put where their scores
stand. Idf and the average length stay the collection's: a copy is looked for, and is no part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.records import LEG, ranking_order, ranks_within
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.bm25.formulas import VARIANTS, length_norm
from nightrank.tasks.judgments.known_items.copies import MOST_CHUNKS
from nightrank.tasks.rank.documents import document_ranks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.storage.legs import LegName
    from nightrank.storage.memo.sparse_vectors import SparseVectors
    from nightrank.tasks.first_stage import FirstStage, QueryVectors
    from nightrank.tasks.judgments.known_items.copies import Copies
    from nightrank.tasks.kernels.top_documents import Documents
    from nightrank.tasks.settings.whole import Settings


@dataclass(frozen=True, slots=True, eq=False)
class CopyScores:
    """What legs over vectors say of each copy for its item, float32 (n,); None where the leg is off."""

    dense: NDArray[np.float32] | None = None
    sparse: NDArray[np.float32] | None = None


def legs_with_copies(
    copies: Copies, first_stage: FirstStage, queries: QueryVectors, scores: CopyScores, *, settings: Settings
) -> dict[LegName, pa.Table]:
    """The legs that are on, schema LEG, by name; query n is item n.

    Args:
        copies: Of the items; there is one.
        first_stage: The collection.
        queries: The items' vectors.
        scores: Of the copies.
        settings: Of the legs.
    """
    documents, retrieval = first_stage.documents(settings), settings.retrieval
    depth = retrieval.candidate_depth
    deeper = depth + (MOST_CHUNKS if documents is None else 1)
    texts = [item.text for item in copies.items]
    found: dict[LegName, pa.Table] = {}
    for leg in retrieval.own_legs:
        if leg == "bm25":
            others = first_stage.bm25(texts, settings=settings, depth=deeper)
            own = bm25_of_copies(copies, first_stage.store, settings=settings)
        elif leg == "dense":
            assert queries.dense is not None
            assert scores.dense is not None
            others, own = first_stage.dense(queries.dense, settings=settings, depth=deeper), scores.dense
        else:
            assert queries.sparse is not None
            assert scores.sparse is not None
            others, own = first_stage.sparse(queries.sparse, settings=settings, depth=deeper), scores.sparse
            own = np.where(own > 0, own, np.float32(np.nan))
        found[leg] = _in_place(others, own, copies, first_stage.document_of_chunk, documents, depth=depth)
    return found


def bm25_of_copies(copies: Copies, store: Bm25Store, *, settings: Settings) -> NDArray[np.float32]:
    """What BM25 says of each copy for its item: float32 (n,), NaN where it has no term of the query."""
    analyser, bm25 = Analyser.of(settings.bm25), settings.bm25
    asked = store.query_terms([item.text for item in copies.items], analyse=analyser)
    held = store.text_terms(
        copies.texts,
        analyse=analyser,
        body_starts=copies.body_starts,
        titles=copies.titles,
        declared=copies.declared,
    )
    of_copy, terms, counts = (column.to_numpy() for column in held.columns)
    lengths = np.bincount(of_copy, weights=counts, minlength=len(copies.texts)).astype(np.float64)
    formula, unit = VARIANTS[bm25.variant], bm25.fields.weights.unit
    idf = formula.idf(store.chunk_counts().astype(np.float64), store.chunk_count)
    norms = length_norm(lengths, store.average_length, b=bm25.b)
    asks: dict[tuple[int, int], int] = {
        (query, term): times
        for query, term, times in zip(*(column.to_pylist() for column in asked.columns), strict=True)
    }
    times = np.array(
        [asks.get(pair, 0) for pair in zip(copies.item_of[of_copy].tolist(), terms.tolist(), strict=True)],
        dtype=np.float64,
    )
    has = times > 0
    weights = formula.weight(counts[has] / unit, norms[of_copy[has]], k1=bm25.k1)
    summed = np.bincount(of_copy[has], weights=times[has] * idf[terms[has]] * weights, minlength=len(copies.texts))
    matched = np.bincount(of_copy[has], minlength=len(copies.texts)) > 0
    return np.where(matched, summed, np.nan).astype(np.float32)


def dense_of_copies(
    copies: Copies, query_vectors: NDArray[np.float32], vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The inner product of each copy with its item, in double precision, rounded once: float32 (n,).

    Args:
        copies: Of the items.
        query_vectors: float32 (n_items, dim).
        vectors: float32 (n, dim), of the copies.
    """
    of_items = query_vectors[copies.item_of].astype(np.float64)
    products: NDArray[np.float64] = np.einsum("nd,nd->n", of_items, vectors.astype(np.float64))
    return products.astype(np.float32)


def sparse_of_copies(copies: Copies, queries: SparseVectors, vectors: SparseVectors) -> NDArray[np.float32]:
    """The product of each copy with its item over the tokens that both have: float32 (n,).

    Args:
        copies: Of the items.
        queries: n_items.
        vectors: n, of the copies.
    """
    scores = np.zeros(len(vectors), dtype=np.float64)
    for row, item in enumerate(copies.item_of.tolist()):
        one, other = (slice(of.bounds[at], of.bounds[at + 1]) for of, at in ((queries, item), (vectors, row)))
        _, left, right = np.intersect1d(
            queries.tokens[one], vectors.tokens[other], assume_unique=True, return_indices=True
        )
        products = queries.weights[one][left].astype(np.float64) * vectors.weights[other][right]
        scores[row] = sum(products.tolist())
    return scores.astype(np.float32)


def _in_place(
    others: pa.Table,
    own: NDArray[np.float32],
    copies: Copies,
    document_of_chunk: NDArray[np.int32],
    documents: Documents | None,
    *,
    depth: int,
) -> pa.Table:
    """A leg without what the items ask for and with the copies instead, cut to its depth.

    Args:
        others: Schema LEG, deep enough.
        own: Of the copies, NaN where one is no result.
        copies: They.
        document_of_chunk: int32 (n_chunks,).
        documents: Behind the chunks, where documents count.
        depth: Documents, or chunks, a query.
    """
    wanted = np.full(len(copies.items), -1, dtype=np.int32)
    wanted[copies.item_of] = document_of_chunk[copies.chunk_numbers]
    queries, chunks, scores = (others.column(name).to_numpy() for name in ("query_number", "chunk_number", "score"))
    is_other, is_result = document_of_chunk[chunks] != wanted[queries], ~np.isnan(own)
    queries = np.concatenate([queries[is_other], copies.item_of[is_result]])
    chunks = np.concatenate([chunks[is_other], copies.chunk_numbers[is_result]])
    scores = np.concatenate([scores[is_other], own[is_result]])
    order = ranking_order(queries, scores, chunks)
    queries, chunks, scores = queries[order], chunks[order], scores[order]
    units = chunks if documents is None else documents.of_chunk[chunks]
    ranks, places = document_ranks(queries, units)
    kept = (ranks <= depth) & (places <= (1 if documents is None else documents.chunks))
    columns = [queries[kept], chunks[kept], scores[kept], ranks_within(queries[kept])]
    return pa.table(dict(zip(LEG.names, columns, strict=True))).cast(LEG)
