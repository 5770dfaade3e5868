"""The first stage over open stores: the legs of some queries, exactly, and their fusion.

Live search, experiments, training and the static leg of an evaluation ask it; a refresh, which carries its lists from
one release to the next, has stages of its own (``tasks.stages.retrieve``); a server, which is asked query by query, has
``tasks.online.held``. Queries with different filters meet
different parts of the collection: they ask filter by filter, as ``tasks.filters.queries`` groups them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from typing_extensions import override

from nightrank.storage.errors import InputError
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.bm25.retrieve import retrieve_bm25
from nightrank.tasks.dense.retrieve import device_of, retrieve_dense
from nightrank.tasks.filters.compile import allowed_rows, fields_named, filter_of
from nightrank.tasks.filters.fields import Fields
from nightrank.tasks.legs.texts import Texts
from nightrank.tasks.rank.documents import document_numbers, documents_behind
from nightrank.tasks.rank.fusion import fuse
from nightrank.tasks.sparse.retrieve import retrieve_sparse

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.storage.bm25.statistics import Bm25Statistics
    from nightrank.storage.legs import LegName
    from nightrank.storage.memo.sparse_vectors import SparseVectors
    from nightrank.tasks.dense.scan import Block
    from nightrank.tasks.kernels.top_documents import Documents
    from nightrank.tasks.settings.whole import Settings
    from nightrank.tasks.sparse.retrieve import SparseBlock


@dataclass(frozen=True, slots=True, eq=False)
class QueryVectors:
    """What some queries ask the legs over vectors with.

    Attributes:
        dense: float32 (n_queries, dim); None where there is no dense leg.
        sparse: n_queries; None where there is no sparse leg of our own.
    """

    dense: NDArray[np.float32] | None = None
    sparse: SparseVectors | None = None


class TextVectors(Protocol):
    """Where the vectors of texts come from."""

    def everything(self, texts: Texts, *, queries: int) -> Iterable[Block]:
        """Those of a whole collection, in blocks whose scores with so many queries fit into memory."""
        ...


class SparseTextVectors(Protocol):
    """Where the sparse vectors of texts come from."""

    def everything(self, texts: Texts, *, queries: int) -> Iterable[SparseBlock]:
        """Those of a whole collection, block by block."""
        ...


class Stage(ABC):
    """What legs find in a collection, and their fusion."""

    @property
    @abstractmethod
    def statistics(self) -> Bm25Statistics:
        """The chunks, and what makes terms of queries."""

    def allowed(self, condition: str | None) -> NDArray[np.bool_] | None:
        """The chunks that a filter, as its canonical text, lets through, bool (n_chunks,); None without one.

        Raises:
            InputError: It cannot be applied to this collection.
        """
        if condition is None:
            return None
        fields = self.fields(fields_named([condition]))
        try:
            return allowed_rows(filter_of(condition), fields)[fields.row_of]
        except ValueError as error:
            message = f"The filter cannot be applied: {error}."
            raise InputError(
                message, remedy="Compare a field that documents have with values of its own type."
            ) from error

    def fields(self, names: Collection[str]) -> Fields:
        """Some fields of the chunks' metadata; a row of theirs is a chunk's."""
        metadata = (batch.column(0) for batch in self.statistics.chunk_reader(["metadata"]))
        return Fields.read(metadata, names)

    @abstractmethod
    def documents(self, settings: Settings) -> Documents | None:
        """The documents behind the chunks, where documents count."""

    @abstractmethod
    def bm25(
        self, queries: Sequence[str], allowed: NDArray[np.bool_] | None = None, *, settings: Settings, depth: int
    ) -> pa.Table:
        """The BM25 leg, schema LEG.

        Args:
            queries: Normalised.
            allowed: bool (n_chunks,), the chunks that their filter lets through; None for all.
            settings: The formula, over statistics that were analysed so, and what counts.
            depth: Documents, or chunks, a query.
        """

    @abstractmethod
    def dense(
        self,
        query_vectors: NDArray[np.float32],
        allowed: NDArray[np.bool_] | None = None,
        *,
        settings: Settings,
        depth: int,
    ) -> pa.Table:
        """The dense leg, schema LEG: every query meets every text.

        Args:
            query_vectors: float32 (n_queries, dim).
            allowed: bool (n_chunks,), the chunks that their filter lets through; None for all.
            settings: What counts.
            depth: Documents, or chunks, a query.
        """

    @abstractmethod
    def sparse(
        self, query_vectors: SparseVectors, allowed: NDArray[np.bool_] | None = None, *, settings: Settings, depth: int
    ) -> pa.Table:
        """The learned sparse leg, schema LEG: every query meets every text.

        Args:
            query_vectors: n_queries.
            allowed: bool (n_chunks,), the chunks that their filter lets through; None for all.
            settings: What counts.
            depth: Documents, or chunks, a query.
        """

    def leg(
        self,
        leg: LegName,
        queries: Sequence[str],
        query_vectors: QueryVectors,
        allowed: NDArray[np.bool_] | None = None,
        *,
        settings: Settings,
    ) -> pa.Table:
        """A leg by its name, schema LEG, as deep as ``candidate_depth``.

        Args:
            leg: Which.
            queries: Normalised.
            query_vectors: Theirs.
            allowed: bool (n_chunks,), the chunks that their filter lets through; None for all.
            settings: Of the legs.
        """
        depth = settings.retrieval.candidate_depth
        if leg == "bm25":
            return self.bm25(queries, allowed, settings=settings, depth=depth)
        if leg == "sparse":
            assert query_vectors.sparse is not None
            return self.sparse(query_vectors.sparse, allowed, settings=settings, depth=depth)
        assert query_vectors.dense is not None
        return self.dense(query_vectors.dense, allowed, settings=settings, depth=depth)

    def fused(
        self,
        queries: Sequence[str],
        query_vectors: QueryVectors,
        allowed: NDArray[np.bool_] | None = None,
        *,
        settings: Settings,
    ) -> pa.Table:
        """Our own legs, those that are on, as one ranking, schema FUSED, each as deep as ``candidate_depth``.

        Args:
            queries: Normalised.
            query_vectors: Theirs, as our own legs need them.
            allowed: bool (n_chunks,), the chunks that their filter lets through; None for all.
            settings: Of legs and fusion.
        """
        retrieval = settings.retrieval
        legs = {leg: self.leg(leg, queries, query_vectors, allowed, settings=settings) for leg in retrieval.own_legs}
        return fuse(legs, settings=retrieval, documents=self.documents(settings))


@dataclass(frozen=True, slots=True, eq=False)
class FirstStage(Stage):
    """A collection that queries can meet; made by ``over``.

    Attributes:
        store: The chunks and the BM25 statistics, open.
        vectors: Of the texts.
        texts: What the chunks say.
        document_of_chunk: int32 (n_chunks,), the document of each chunk, numbered in the order of their chunks.
        sparse_vectors: Of the texts; None where there is no sparse leg of our own.
    """

    store: Bm25Store
    vectors: TextVectors
    texts: Texts
    document_of_chunk: NDArray[np.int32]
    sparse_vectors: SparseTextVectors | None = None

    @classmethod
    def over(cls, store: Bm25Store, vectors: TextVectors, sparse_vectors: SparseTextVectors | None = None) -> Self:
        """The first stage over the collection in a store."""
        texts = Texts.of(store.chunks(["chunk_hash"]).column(0))
        return cls(store, vectors, texts, document_numbers(store), sparse_vectors)

    @property
    @override
    def statistics(self) -> Bm25Store:
        return self.store

    @override
    def documents(self, settings: Settings) -> Documents | None:
        return documents_behind(self.document_of_chunk, settings)

    @override
    def bm25(
        self, queries: Sequence[str], allowed: NDArray[np.bool_] | None = None, *, settings: Settings, depth: int
    ) -> pa.Table:
        return retrieve_bm25(
            self.store,
            queries,
            settings=settings.bm25,
            analyser=Analyser.of(settings.bm25),
            depth=depth,
            documents=self.documents(settings),
            allowed=allowed,
        )

    @override
    def dense(
        self,
        query_vectors: NDArray[np.float32],
        allowed: NDArray[np.bool_] | None = None,
        *,
        settings: Settings,
        depth: int,
    ) -> pa.Table:
        texts = self.texts if allowed is None else self.texts.only(allowed)[0]
        blocks = self.vectors.everything(texts, queries=len(query_vectors))
        return retrieve_dense(
            query_vectors,
            blocks,
            texts,
            depth=depth,
            documents=self.documents(settings),
            device=device_of(settings.execution),
        )

    @override
    def sparse(
        self, query_vectors: SparseVectors, allowed: NDArray[np.bool_] | None = None, *, settings: Settings, depth: int
    ) -> pa.Table:
        assert self.sparse_vectors is not None
        texts = self.texts if allowed is None else self.texts.only(allowed)[0]
        blocks = self.sparse_vectors.everything(texts, queries=len(query_vectors))
        return retrieve_sparse(query_vectors, blocks, texts, depth=depth, documents=self.documents(settings))
