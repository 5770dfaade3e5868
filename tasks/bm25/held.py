"""The lexical leg over postings in memory: what ``tasks.bm25.retrieve`` finds, for queries that come one at a time.

Each posting is held as what it adds to a score, 10 bytes, so that a query costs the postings of its own terms and
nothing else. The numbers and the loops are those of the batch, so the lists are the same, ties and all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.bm25.formulas import VARIANTS
from nightrank.tasks.bm25.retrieve import weighted_postings
from nightrank.tasks.kernels.postings import AskedTerms, score_here
from nightrank.tasks.kernels.top_documents import ChunksLeft, RunningTopDocuments, each_alone

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from nightrank.storage.bm25.in_memory import Bm25InMemory
    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.tasks.kernels.postings import Postings
    from nightrank.tasks.kernels.top_documents import Documents
    from nightrank.tasks.settings.index import Bm25Settings


@dataclass(frozen=True, slots=True, eq=False)
class HeldPostings:
    """All postings of a collection, weighted by one formula; made by ``of``. Threads may share one.

    Attributes:
        statistics: The chunks, and what makes terms of queries.
        blocks: What the terms add to the scores of the chunks.
    """

    statistics: Bm25InMemory
    blocks: Sequence[Postings]

    @classmethod
    def of(cls, store: Bm25Store, statistics: Bm25InMemory, settings: Bm25Settings) -> Self:
        """The postings in a store, as a formula weighs them.

        Args:
            store: The collection's.
            statistics: The same collection's.
            settings: Variant, k1 and b.

        Raises:
            MachineError: The postings are out of order.
        """
        counts = statistics.chunk_counts
        idf = VARIANTS[settings.variant].idf(counts.astype(np.float64), store.chunk_count)
        average = store.average_length
        return cls(
            statistics,
            [
                weighted_postings(block, idf, average_length=average, settings=settings, allowed=None)
                for block in store.posting_blocks(np.arange(counts.size, dtype=np.int32))
            ],
        )

    @property
    def size_bytes(self) -> int:
        """What is held in memory."""
        return sum(postings.size_bytes for postings in self.blocks)

    def leg(
        self,
        texts: Sequence[str],
        *,
        settings: Bm25Settings,
        depth: int,
        documents: Documents | None,
        allowed: NDArray[np.bool_] | None,
    ) -> pa.Table:
        """As ``tasks.bm25.retrieve.retrieve_bm25``, under the settings that the postings were weighted by.

        Args:
            texts: Query n is ``texts[n]``.
            settings: The analysis.
            depth: Results a query: documents where these count, else chunks.
            documents: Behind the chunks, where documents count.
            allowed: bool (n_chunks,), the chunks that a filter lets through; None: all.
        """
        asked = self.statistics.query_terms(texts, analyse=Analyser.of(settings))
        bounds = np.searchsorted(asked.column("query_number").to_numpy(), np.arange(len(texts) + 1))
        ranked = each_alone(self.statistics.chunk_count) if documents is None else documents
        left = None if allowed is None else ChunksLeft.of_chunks(allowed)
        best = RunningTopDocuments(len(texts), depth, ranked, texts=left)
        terms = AskedTerms(bounds, asked.column("term_number").to_numpy(), asked.column("qtf").to_numpy())
        score_here(self.blocks, terms, best)
        return best.table()
