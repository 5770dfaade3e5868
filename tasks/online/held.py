"""A release's collection in memory: the first stage for queries that come one at a time, in milliseconds.

Nothing of it changes, and nothing of the workspace is open once it is made: texts, vectors and chunks lie in files
without a name that are mapped, postings in memory. The lists are those of the batch, ties and all, which a test holds
against ``tasks.first_stage.FirstStage``.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Self

from typing_extensions import override

from nightrank.storage.bm25.in_memory import Bm25InMemory
from nightrank.storage.lance.held import HeldRows
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.bm25.held import HeldPostings
from nightrank.tasks.dense.held import HeldVectors
from nightrank.tasks.first_stage import Stage
from nightrank.tasks.legs.texts import Texts
from nightrank.tasks.rank.documents import document_numbers, documents_behind
from nightrank.tasks.sparse.held import HeldSparse

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.storage.lance.table import ChunkTable
    from nightrank.storage.memo.sparse_vectors import SparseVectors
    from nightrank.tasks.filters.fields import Field, Fields
    from nightrank.tasks.kernels.top_documents import Documents
    from nightrank.tasks.settings.whole import Settings
    from nightrank.tasks.sparse.retrieve import StoredSparseVectors

FIELDS_HELD = 32  # of metadata, those that filters asked for last


class HeldFields:
    """The fields of metadata that filters asked for last, typed over the whole collection. Threads may share one."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._whole: Fields | None = None
        self._held: OrderedDict[str, Field | None] = OrderedDict()

    def of(self, names: Collection[str], read: Callable[[Collection[str]], Fields]) -> Fields:
        """Some fields.

        Args:
            names: Theirs.
            read: Reads fields of all metadata, which takes long.
        """
        with self._lock:
            missing = [name for name in names if name not in self._held]
            if self._whole is None or any(self._may_be(name) for name in missing):
                self._whole = read(missing)
            for name in missing:
                self._held[name] = self._whole.by_name.get(name)
            found = {name: of_name for name in names if (of_name := self._held[name]) is not None}
            for name in names:
                self._held.move_to_end(name)
            while len(self._held) > FIELDS_HELD:
                self._held.popitem(last=False)
            return replace(self._whole, by_name=found)

    def _may_be(self, name: str) -> bool:
        """Whether metadata may have a field: at the top, or in what is there."""
        assert self._whole is not None
        parts = name.split(".")
        return not {".".join(parts[:end]) for end in range(1, len(parts) + 1)}.isdisjoint(self._whole.known)


@dataclass(frozen=True, slots=True, eq=False)
class HeldStage(Stage):
    """A collection in memory; made by ``of``. Threads may share one.

    Attributes:
        postings: With the chunks and what makes terms of queries.
        rows: Texts and vectors.
        vectors: The same, to be asked.
        sparse_vectors: None where there is no sparse leg of our own.
        document_of_chunk: int32 (n_chunks,), the document of each chunk, numbered in the order of their chunks.
    """

    postings: HeldPostings
    rows: HeldRows
    vectors: HeldVectors
    sparse_vectors: HeldSparse | None
    document_of_chunk: NDArray[np.int32]
    _fields: HeldFields = field(default_factory=HeldFields)

    @classmethod
    def of(cls, store: Bm25Store, table: ChunkTable, sparse: StoredSparseVectors | None, *, settings: Settings) -> Self:
        """The collection of a release.

        Args:
            store: Its statistics.
            table: Texts and vectors.
            sparse: The sparse vectors of its texts; None where there is no sparse leg of our own.
            settings: That it was made with.

        Raises:
            MachineError: It was analysed in another way, or a text lacks its vector.
            OSError: The disk of temporary files is full.
        """
        statistics = Bm25InMemory.of(store, Analyser.of(settings.bm25))
        texts = Texts.of(statistics.chunks(["chunk_hash"]).column(0))
        rows = HeldRows.of(table, numbers_of=texts.numbers_of, count=len(texts))
        return cls(
            HeldPostings.of(store, statistics, settings.bm25),
            rows,
            HeldVectors.of(rows, texts),
            None if sparse is None else HeldSparse.of(sparse, texts),
            document_numbers(statistics),
        )

    @property
    @override
    def statistics(self) -> Bm25InMemory:
        return self.postings.statistics

    @property
    def size_bytes(self) -> int:
        """What is held in memory, and mapped."""
        texts = self.vectors.texts
        arrays = (texts.hashes, texts.numbers, texts.chunk_numbers, texts.starts, self.document_of_chunk)
        parts = (self.statistics, self.postings, self.rows, self.sparse_vectors)
        return sum(part.size_bytes for part in parts if part is not None) + sum(array.nbytes for array in arrays)

    @override
    def fields(self, names: Collection[str]) -> Fields:
        return self._fields.of(names, super(HeldStage, self).fields)

    @override
    def documents(self, settings: Settings) -> Documents | None:
        return documents_behind(self.document_of_chunk, settings)

    @override
    def bm25(
        self, queries: Sequence[str], allowed: NDArray[np.bool_] | None = None, *, settings: Settings, depth: int
    ) -> pa.Table:
        documents = self.documents(settings)
        return self.postings.leg(queries, settings=settings.bm25, depth=depth, documents=documents, allowed=allowed)

    @override
    def dense(
        self,
        query_vectors: NDArray[np.float32],
        allowed: NDArray[np.bool_] | None = None,
        *,
        settings: Settings,
        depth: int,
    ) -> pa.Table:
        return self.vectors.leg(query_vectors, depth=depth, documents=self.documents(settings), allowed=allowed)

    @override
    def sparse(
        self, query_vectors: SparseVectors, allowed: NDArray[np.bool_] | None = None, *, settings: Settings, depth: int
    ) -> pa.Table:
        assert self.sparse_vectors is not None
        return self.sparse_vectors.leg(query_vectors, depth=depth, documents=self.documents(settings), allowed=allowed)
