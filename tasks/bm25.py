"""The lexical leg: exact top-k of many queries at once, as products of sparse matrices.

Queries x terms times terms x chunks, block by block of chunks and of queries, so that memory is bounded. The formulas
are in ``tasks.bm25_variants``, the statistics of the collection in ``storage.bm25_store``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from tasks.bm25_variants import VARIANTS, length_norm
from tasks.topk import RunningTopK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from storage.bm25_store import Bm25Store
    from storage.bm25_words import WordAnalyser
    from tasks.settings import Bm25Settings

# Scores that one product of a query block and a chunk block may hold, at 12 bytes each (20 where a score may be zero).
MAX_PRODUCT_ENTRIES = 8_000_000


def retrieve_bm25(
    store: Bm25Store,
    texts: Sequence[str],
    *,
    settings: Bm25Settings,
    analyser: WordAnalyser,
    depth: int,
    allowed: NDArray[np.bool_] | None = None,
) -> pa.Table:
    """The ``depth`` best chunks of each query, exactly.

    A chunk without a term of the query is no result; one that has a term is, also where its score is zero or negative
    (``okapi``, ``atire``). Memory grows with ``len(texts) * depth``: hand long logs in shards.

    Args:
        store: The collection's statistics.
        texts: Query n is ``texts[n]``.
        settings: Variant, k1 and b.
        analyser: What the collection was analysed with.
        depth: Results a query, at least 1.
        allowed: bool (chunk_count,), the chunks that a filter lets through; they alone are ranked, while idf and
            lengths stay those of the whole collection. None: all.

    Returns:
        Schema ``storage.records.LEG``.

    Raises:
        MachineError: The collection was analysed in another way.
    """
    query_terms = store.query_terms(texts, analyse=analyser)
    wanted, term_columns = np.unique(query_terms["term_number"].to_numpy(), return_inverse=True)
    query_rows = query_terms["query_number"].to_numpy()
    queries = _csr(query_terms["qtf"].to_numpy(), query_rows, term_columns, shape=(len(texts), wanted.size))
    variant = VARIANTS[settings.variant]
    chunk_counts = store.chunk_counts()
    idf = variant.idf(chunk_counts.astype(np.float64), store.chunk_count)[wanted]
    row_of_term = np.zeros(chunk_counts.size, dtype=np.int32)
    row_of_term[wanted] = np.arange(wanted.size, dtype=np.int32)
    best = RunningTopK(len(texts), depth)
    for block in store.posting_blocks(wanted):
        rows = row_of_term[block.postings["term_number"].to_numpy()]
        columns = block.postings["column"].to_numpy()
        norm = length_norm(block.lengths[columns], store.average_length, b=settings.b)
        values = idf[rows] * variant.weight(block.postings["tf"].to_numpy(), norm, k1=settings.k1)
        if np.any(idf <= 0):
            # SciPy drops sums that are exactly zero, and a match may have one: the imaginary part counts matches.
            values = values + 1j
        kept = np.ones(rows.size, dtype=np.bool_) if allowed is None else allowed[block.chunk_numbers[columns]]
        shape = (wanted.size, block.chunk_numbers.size)
        impacts = _csr(values[kept], rows[kept], columns[kept], shape=shape)
        for part in _query_blocks(queries, impacts):
            scores = queries[part] @ impacts
            best.add_rows(part.start, scores.indptr, block.chunk_numbers[scores.indices], scores.data.real)
    return best.table()


def _csr(
    values: NDArray[np.number], rows: NDArray[np.integer], columns: NDArray[np.integer], *, shape: tuple[int, int]
) -> sp.csr_array:
    coordinates = (rows.astype(np.int32), columns.astype(np.int32))
    return sp.csr_array((values, coordinates), shape=shape)


def _query_blocks(queries: sp.csr_array, impacts: sp.csr_array) -> Iterator[slice]:
    """Runs of queries whose product with the impacts has about ``MAX_PRODUCT_ENTRIES`` at most, or one query each."""
    # A query's scores are at most its terms' postings, and at most the chunks.
    postings = np.append(0, np.cumsum(np.diff(impacts.indptr)[queries.indices], dtype=np.int64))
    bounds = np.diff(postings[queries.indptr])
    ends = np.cumsum(np.minimum(bounds, impacts.shape[1]))
    first = 0
    while first < ends.size:
        before = ends[first - 1] if first else 0
        end = max(first + 1, int(np.searchsorted(ends, before + MAX_PRODUCT_ENTRIES, side="right")))
        yield slice(first, end)
        first = end
