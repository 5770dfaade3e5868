"""Documents as candidates: which document a chunk belongs to, and what that says of ranks.

Where results are documents, depths count documents: a leg lists so many, each by its best chunk, and the legs are fused
document by document. Where results are chunks, each chunk counts for itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nightrank.storage.records import ranks_within
from nightrank.tasks.kernels.top_documents import Documents

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nightrank.storage.bm25.statistics import Bm25Statistics
    from nightrank.tasks.settings.whole import Settings


def documents_behind(of_chunk: NDArray[np.int32], settings: Settings) -> Documents | None:
    """The documents behind a collection's chunks; None where each chunk counts for itself.

    That is so where the settings say so, and where no document has two chunks.

    Args:
        of_chunk: As ``document_numbers`` gives them.
        settings: What results are.
    """
    if settings.results.unit == "chunk":
        return None
    documents = Documents(of_chunk, settings.retrieval.chunks_per_document)
    return documents if len(documents) < of_chunk.size else None


def document_numbers(store: Bm25Statistics) -> NDArray[np.int32]:
    """The document of each chunk, numbered in the order of their chunks, which are neighbours: int32 (n_chunks,)."""
    coded = store.chunks(["document_id"]).column(0).combine_chunks().dictionary_encode()
    numbers: NDArray[np.int32] = coded.indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return numbers


def document_ranks(
    queries: NDArray[np.integer], documents: NDArray[np.integer]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Where the documents of rankings stand, by their best entries.

    Args:
        queries: int (n,), ascending; a query's entries stand best first.
        documents: int (n,), of the entries.

    Returns:
        The rank of each entry's document, and the place of the entry in its document, int32 (n,) each, from 1.

    >>> ranks, places = document_ranks(np.array([0, 0, 0, 1]), np.array([7, 3, 7, 3]))
    >>> ranks.tolist(), places.tolist()
    ([1, 2, 1, 1], [1, 1, 2, 1])
    """
    by_document = np.lexsort((documents, queries))  # stable: best first within a document
    pairs = pairs_of(queries[by_document], documents[by_document])
    places = np.empty(pairs.size, dtype=np.int32)
    places[by_document] = ranks_within(pairs)
    is_first = places == 1
    ranks = np.zeros(pairs.size, dtype=np.int32)
    ranks[is_first] = ranks_within(queries[is_first])
    starts = by_document[is_first[by_document]]
    lengths = np.diff(np.append(np.flatnonzero(is_first[by_document]), pairs.size))
    ranks[by_document] = np.repeat(ranks[starts], lengths)
    return ranks, places


def pairs_of(left: NDArray[np.integer], right: NDArray[np.integer]) -> NDArray[np.int64]:
    """One number for each two, int64 (n,), ordered as they are."""
    return (left.astype(np.int64) << 32) | right.astype(np.int64)
