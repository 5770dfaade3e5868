"""Documents as candidates: which document a chunk belongs to, and what that says of ranks.

Where results are documents, depths count documents: a leg lists so many, each with its best chunks, and the fused rank
is the document's, which its chunks share. Where results are chunks, each chunk counts for itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nightrank.storage.records import ranks_within
from nightrank.tasks.kernels.top_documents import Documents

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.tasks.settings.whole import Settings

CHUNKS_IN_A_LEG = 3  # of a document at least: one leg's best chunk is often another one's second or third


def documents_behind(of_chunk: NDArray[np.int32], settings: Settings) -> Documents | None:
    """The documents behind a collection's chunks; None where each chunk counts for itself.

    That is so where the settings say so, and where no document has two chunks.

    Args:
        of_chunk: As ``document_numbers`` gives them.
        settings: What results are.
    """
    if settings.results.unit == "chunk":
        return None
    documents = Documents(of_chunk, max(CHUNKS_IN_A_LEG, settings.retrieval.chunks_per_document))
    return documents if len(documents) < of_chunk.size else None


def document_numbers(store: Bm25Store) -> NDArray[np.int32]:
    """The document of each chunk, numbered in the order of their chunks, which are neighbours: int32 (n_chunks,)."""
    coded = store.chunks(["document_id"]).column(0).combine_chunks().dictionary_encode()
    numbers: NDArray[np.int32] = coded.indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return numbers


def document_order(
    queries: NDArray[np.integer], documents: NDArray[np.integer]
) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Entries of rankings with those of a document side by side, and the rank of each one's document.

    Args:
        queries: int (n,), ascending; a query's entries stand best first.
        documents: int (n,), of the entries.

    Returns:
        The permutation that sorts the entries by query, document's rank and place in the document, int (n,); and the
        ranks of the entries as they came, int32 (n,), from 1: a document stands where its best entry stands.

    >>> order, ranks = document_order(np.array([0, 0, 0, 0]), np.array([7, 3, 7, 3]))
    >>> order.tolist(), ranks.tolist()
    ([0, 2, 1, 3], [1, 2, 1, 2])
    """
    by_document = np.lexsort((documents, queries))  # stable: best first within a document
    starts = np.flatnonzero(ranks_within(pairs_of(queries[by_document], documents[by_document])) == 1)
    first = np.empty(by_document.size, dtype=np.intp)  # of the entries, where the best one of their document stands
    first[by_document] = np.repeat(by_document[starts], np.diff(np.append(starts, by_document.size)))
    is_first = first == np.arange(first.size)
    ranks = np.zeros(first.size, dtype=np.int32)
    ranks[is_first] = ranks_within(queries[is_first])
    return np.lexsort((first, queries)), ranks[first]


def places_in_documents(queries: NDArray[np.integer], fused_ranks: NDArray[np.integer]) -> NDArray[np.int32]:
    """The place of each entry among those of its document, int32 (n,), from 1.

    Args:
        queries: int (n,), ascending.
        fused_ranks: int (n,), ascending within a query; entries of a document share theirs and stand best first.

    >>> places_in_documents(np.array([0, 0, 0, 1]), np.array([1, 1, 2, 2])).tolist()
    [1, 2, 1, 1]
    """
    return ranks_within(pairs_of(queries, fused_ranks))


def pairs_of(left: NDArray[np.integer], right: NDArray[np.integer]) -> NDArray[np.int64]:
    """One number for each two, int64 (n,), ordered as they are."""
    return (left.astype(np.int64) << 32) | right.astype(np.int64)
