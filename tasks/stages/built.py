"""A release as its stages have built it: what is measured, what the gates are asked about, and what is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nightrank.storage.release.files import Bm25Leg, Candidates
    from nightrank.tasks.read.account import Entry
    from nightrank.tasks.stages.filter import FilteredQueries
    from nightrank.tasks.stages.index import ChunksCut, Index
    from nightrank.tasks.stages.near import NearMeasured
    from nightrank.tasks.stages.publish import ResultsWritten
    from nightrank.tasks.stages.read import InputsRead
    from nightrank.tasks.stages.rerank import Reranked
    from nightrank.tasks.stages.retrieve import DenseRetrieved, QueriesEmbedded
    from nightrank.tasks.stages.sparse import SparseEncoded, SparseRetrieved


@dataclass(frozen=True, slots=True)
class Built:
    """What the stages came back with, in their order.

    Attributes:
        inputs: What was read.
        cut: The chunks.
        index: What queries meet.
        asked: The queries, with what their filters let through.
        queries: Their vectors.
        encoded: Sparse vectors.
        bm25_leg: Our own.
        dense: Our own dense leg.
        weighted: Our own sparse leg.
        reranked: The candidates in their final order.
        results: The search cache.
        near: What its near answers may lose.
    """

    inputs: InputsRead
    cut: ChunksCut
    index: Index
    asked: FilteredQueries
    queries: QueriesEmbedded
    encoded: SparseEncoded
    bm25_leg: Bm25Leg
    dense: DenseRetrieved
    weighted: SparseRetrieved
    reranked: Reranked
    results: ResultsWritten
    near: NearMeasured

    @property
    def account(self) -> tuple[Entry, ...]:
        """What was taken for what, in reading and by the embedder."""
        return (*self.inputs.account, *self.index.vectors.account, *self.queries.account)

    @property
    def candidates(self) -> Candidates:
        """In their final order."""
        return self.reranked.candidates
