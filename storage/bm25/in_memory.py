"""The statistics of one release without its postings, held in memory for as long as that release is served.

What ``Bm25Store`` says of chunks and of queries' terms, without a query of SQL: chunks lie in a file without a name
that is mapped (``storage.files.mapped``), terms are looked for by halving (``storage.bm25.one_query``). Postings are
held as the weights that a formula gives them, by ``tasks.bm25.held``.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from nightrank.storage.bm25.index import CHUNK_COLUMNS
from nightrank.storage.bm25.one_query import OneQuery
from nightrank.storage.errors import MachineError
from nightrank.storage.files.mapped import mapped_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.storage.bm25.terms import TextAnalyser

_TERMS = pa.schema([("query_number", pa.int32()), ("term_number", pa.int32()), ("qtf", pa.int32())])


@dataclass(frozen=True, slots=True, eq=False)
class Bm25InMemory:
    """The statistics of one release; made by ``of``. Threads may share one.

    Attributes:
        one_query: What makes terms of a query.
        chunk_counts: int32 (n_terms,), in how many chunks each term is.
        document_starts: int32 (n_documents,), the first chunk of each document.
    """

    one_query: OneQuery
    chunk_counts: NDArray[np.int32]
    document_starts: NDArray[np.int32]
    _chunks: pa.Table

    @classmethod
    def of(cls, store: Bm25Store, analyse: TextAnalyser) -> Self:
        """The statistics in a store.

        Raises:
            MachineError: The collection was analysed in another way, or its postings are laid out in another.
            OSError: The disk of temporary files is full.
        """
        chunks = mapped_table(store.chunks())
        documents = chunks.column("document_id").combine_chunks().dictionary_encode().indices.to_numpy()
        starts = np.flatnonzero(np.diff(documents, prepend=-1)).astype(np.int32)
        return cls(OneQuery.of(store, analyse), store.chunk_counts(), starts, chunks)

    @property
    def chunk_count(self) -> int:
        """Chunks of the collection, those without a term included."""
        return int(self._chunks.num_rows)

    @property
    def size_bytes(self) -> int:
        """What is mapped, and held in memory."""
        return int(self._chunks.nbytes + self.one_query.terms.nbytes + self.chunk_counts.nbytes)

    def chunks(self, columns: Sequence[str] | None = None) -> pa.Table:
        """As of ``Bm25Store``."""
        return self._chunks.select(list(CHUNK_COLUMNS if columns is None else columns))

    def chunk_reader(self, columns: Sequence[str]) -> pa.RecordBatchReader:
        """As of ``Bm25Store``."""
        chosen = self.chunks(columns)
        return pa.RecordBatchReader.from_batches(chosen.schema, chosen.to_batches(max_chunksize=65_536))

    def chunks_at(self, chunk_numbers: NDArray[np.int32], columns: Sequence[str]) -> pa.Table:
        """As of ``Bm25Store``."""
        return self.chunks(columns).take(pa.array(chunk_numbers))

    def query_terms(self, texts: Sequence[str], *, analyse: TextAnalyser) -> pa.Table:
        """As of ``Bm25Store``."""
        if analyse != self.one_query.analyse:
            raise MachineError("The queries would be analysed in another way than the release's chunks.")
        found = [
            (number, term, count)
            for number, text in enumerate(texts)
            for term, count in self.one_query.term_numbers(text).items()
        ]
        columns = zip(*found, strict=True) if found else ([], [], [])
        arrays = [pa.array(list(column), pa.int32()) for column in columns]
        return pa.Table.from_arrays(arrays, schema=_TERMS)

    def terms_at(self, term_numbers: NDArray[np.int32]) -> pa.Table:
        """As of ``Bm25Store``."""
        terms = self.one_query.terms.take(pa.array(term_numbers))
        return pa.table({"term": terms, "chunk_count": self.chunk_counts[term_numbers]})

    def document(self, document_id: str) -> range:
        """The numbers of a document's chunks, in their order; none where there is no such document."""
        ids, starts = self._chunks.column("document_id"), self.document_starts
        # They lie by id, the last first.
        behind = bisect_left(range(starts.size), document_id, key=lambda place: ids[int(starts[-1 - place])].as_py())
        place = starts.size - 1 - behind
        if place < 0 or ids[int(starts[place])].as_py() != document_id:
            return range(0)
        end = int(starts[place + 1]) if place + 1 < starts.size else self.chunk_count
        return range(int(starts[place]), end)
