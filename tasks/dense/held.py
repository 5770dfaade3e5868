"""The dense leg over vectors in memory: what ``tasks.dense.retrieve`` finds, for queries that come one at a time.

Products and loops are those of the batch, and what may matter is computed again in double precision, so the lists are
the same, ties and all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from nightrank.tasks.dense.bounds import error_of, longest
from nightrank.tasks.kernels.top_documents import ChunksLeft, RunningTopDocuments, each_alone
from nightrank.tasks.kernels.top_k import not_a_number

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from nightrank.storage.lance.held import HeldRows
    from nightrank.tasks.kernels.top_documents import Documents
    from nightrank.tasks.legs.texts import Texts

NO_SCORE = np.finfo(np.float32).min  # above minus infinity, which stands for what a filter leaves out


@dataclass(frozen=True, slots=True, eq=False)
class HeldVectors:
    """The vectors of all texts of a collection; made by ``of``. Threads may share one.

    Attributes:
        rows: The vectors, and the numbers of their texts.
        texts: Of the collection.
        length: Of the longest vector.
    """

    rows: HeldRows
    texts: Texts
    length: float

    @classmethod
    def of(cls, rows: HeldRows, texts: Texts) -> Self:
        """The vectors of some texts."""
        return cls(rows, texts, longest(rows.vectors))

    def leg(
        self,
        query_vectors: NDArray[np.float32],
        *,
        depth: int,
        documents: Documents | None,
        allowed: NDArray[np.bool_] | None,
    ) -> pa.Table:
        """As ``tasks.dense.retrieve.retrieve_dense``; memory grows with queries times texts.

        Args:
            query_vectors: float32 (n_queries, dim).
            depth: Results a query: documents where these count, else chunks.
            documents: Behind the chunks, where documents count.
            allowed: bool (n_chunks,), the chunks that a filter lets through; None: all.

        Raises:
            MachineError: A score is not a number.
        """
        from nightrank.tasks.kernels.loops import score_products

        queries, vectors = query_vectors, self.rows.vectors
        left = self.texts if allowed is None else ChunksLeft.of(self.texts, allowed)
        ranked = each_alone(self.texts.chunk_numbers.size) if documents is None else documents
        best = RunningTopDocuments(len(queries), depth, ranked, texts=left)
        products = np.matmul(queries, vectors.T)
        if allowed is not None:
            products[:, (np.diff(left.starts) == 0)[self.rows.numbers]] = -np.inf
        found_others = score_products(
            0,
            len(queries),
            products=products,
            margin=error_of(vectors.shape[1], longest(queries), self.length),
            queries=queries,
            texts=vectors,
            text_numbers=self.rows.numbers,
            floors=np.full(len(queries), NO_SCORE, dtype=np.float32),
            best=None,
            documents=best.heaps(),
        )
        if found_others:
            raise not_a_number()
        return best.table()
