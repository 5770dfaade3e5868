"""The learned sparse leg over vectors in memory: what ``tasks.sparse.retrieve`` finds, for queries one at a time.

The vectors are turned once, so that a query costs the texts that have its tokens. Loops are those of the batch, so the
lists are the same, ties and all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from nightrank.tasks.kernels.postings import AskedTerms, score_here
from nightrank.tasks.kernels.top_documents import ChunksLeft, RunningTopDocuments, each_alone
from nightrank.tasks.sparse.retrieve import cut_blocks, inverted_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from nightrank.storage.memo.sparse_vectors import SparseVectors
    from nightrank.tasks.kernels.postings import Postings
    from nightrank.tasks.kernels.top_documents import Documents
    from nightrank.tasks.legs.texts import Texts
    from nightrank.tasks.sparse.retrieve import StoredSparseVectors


@dataclass(frozen=True, slots=True, eq=False)
class HeldSparse:
    """The sparse vectors of all texts of a collection, by token; made by ``of``. Threads may share one.

    Attributes:
        texts: Of the collection.
        blocks: Their vectors by token.
        vocabulary: Tokens from this one on no text has.
    """

    texts: Texts
    blocks: Sequence[Postings]
    vocabulary: int

    @classmethod
    def of(cls, stored: StoredSparseVectors, texts: Texts) -> Self:
        """The vectors of some texts.

        Args:
            stored: Theirs.
            texts: Of the collection.

        Raises:
            MachineError: One is missing.
        """
        parts = list(cut_blocks(stored.everything(texts, queries=1)))
        vocabulary = 1 + max((int(vectors.tokens.max(initial=-1)) for _, vectors in parts), default=-1)
        return cls(texts, [inverted_of(numbers, vectors, vocabulary) for numbers, vectors in parts], vocabulary)

    @property
    def size_bytes(self) -> int:
        """What is held in memory."""
        return sum(postings.size_bytes for postings in self.blocks)

    def leg(
        self,
        queries: SparseVectors,
        *,
        depth: int,
        documents: Documents | None,
        allowed: NDArray[np.bool_] | None,
    ) -> pa.Table:
        """As ``tasks.sparse.retrieve.retrieve_sparse``.

        Args:
            queries: n_queries.
            depth: Results a query: documents where these count, else chunks.
            documents: Behind the chunks, where documents count.
            allowed: bool (n_chunks,), the chunks that a filter lets through; None: all.
        """
        left = self.texts if allowed is None else ChunksLeft.of(self.texts, allowed)
        ranked = each_alone(self.texts.chunk_numbers.size) if documents is None else documents
        best = RunningTopDocuments(len(queries), depth, ranked, texts=left)
        known = queries.tokens < self.vocabulary
        bounds = np.append(0, np.cumsum(known, dtype=np.int64))[queries.bounds]
        score_here(self.blocks, AskedTerms(bounds, queries.tokens[known], queries.weights[known]), best)
        return best.table()
