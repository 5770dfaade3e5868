"""Exact running top-k of documents: the best documents of each query by their best chunks, with these chunks.

Where results are documents, a leg goes down its ranking of chunks until it has met so many documents, and lists a
bounded number of chunks of each: a book of thousands of chunks takes one place, like any other document.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from nightrank.storage.records import ranks_within
from nightrank.tasks.kernels.top_k import RunningTopK, in_turns

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from nightrank.tasks.kernels.loops import DocumentHeaps

BYTES_HELD = 2**28  # of heaps at one time; longer logs go in parts


@dataclass(frozen=True, slots=True, eq=False)
class Documents:
    """The documents behind a collection's chunks, where documents count.

    Attributes:
        of_chunk: int32 (n_chunks,), the document of each chunk, numbered from 0 in the order of their chunks.
        chunks: How many chunks of a document a leg lists at most.
    """

    of_chunk: NDArray[np.int32]
    chunks: int

    def __len__(self) -> int:
        return int(self.of_chunk[-1]) + 1 if self.of_chunk.size else 0

    @property
    def largest(self) -> int:
        """Chunks of the document that has most; 0 where there is none."""
        return int(np.bincount(self.of_chunk).max(initial=0))


def each_alone(chunk_count: int) -> Documents:
    """Each chunk a document of its own: where chunks count."""
    return Documents(np.arange(chunk_count, dtype=np.int32), 1)


class TextChunks(Protocol):
    """Which chunks say each text."""

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where the chunks of each text begin, int64 (n_texts + 1,)."""
        ...

    @property
    def chunk_numbers(self) -> NDArray[np.int32]:
        """The chunks text by text, int32 (n_chunks,)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ChunksLeft:
    """The chunks of each text that a filter lets through.

    Attributes:
        starts: int64 (n_texts + 1,), where those of each text begin.
        chunk_numbers: int32 (n,), text by text.
    """

    starts: NDArray[np.int64]
    chunk_numbers: NDArray[np.int32]

    @classmethod
    def of(cls, texts: TextChunks, allowed: NDArray[np.bool_]) -> Self:
        """Those of some texts.

        Args:
            texts: Before.
            allowed: bool (n_chunks,).

        >>> alone = ChunksLeft(np.arange(4), np.arange(3, dtype=np.int32))
        >>> left = ChunksLeft.of(alone, np.array([True, False, True]))
        >>> left.starts.tolist(), left.chunk_numbers.tolist()
        ([0, 1, 1, 2], [0, 2])
        """
        kept = allowed[texts.chunk_numbers]
        return cls(np.append(0, np.cumsum(kept, dtype=np.int64))[texts.starts], texts.chunk_numbers[kept])

    @classmethod
    def of_chunks(cls, allowed: NDArray[np.bool_]) -> Self:
        """Those of chunks that are their own texts.

        Args:
            allowed: bool (n_chunks,).

        >>> left = ChunksLeft.of_chunks(np.array([True, False, True]))
        >>> left.starts.tolist(), left.chunk_numbers.tolist()
        ([0, 1, 1, 2], [0, 2])
        """
        return cls(np.append(0, np.cumsum(allowed, dtype=np.int64)), np.flatnonzero(allowed).astype(np.int32))


def within_depth(
    queries: NDArray[np.integer], chunk_numbers: NDArray[np.integer], documents: Documents, *, depth: int
) -> NDArray[np.bool_]:
    """Which entries of rankings a leg of ``depth`` documents has: bool (n,).

    Args:
        queries: int (n,), ascending; a query's entries stand best first.
        chunk_numbers: int (n,).
        documents: Behind the chunks.
        depth: Documents a query.

    >>> documents = Documents(np.array([0, 0, 0, 1, 2], np.int32), chunks=2)
    >>> within_depth(np.zeros(5, int), np.array([1, 0, 2, 4, 3]), documents, depth=2).tolist()
    [True, True, False, True, False]
    """
    of_entry = documents.of_chunk[chunk_numbers]
    by_document = np.lexsort((of_entry, queries))  # stable: best first within a document
    pairs = (queries[by_document].astype(np.int64) << 32) | of_entry[by_document]
    places = np.empty(pairs.size, dtype=np.int32)
    places[by_document] = ranks_within(pairs)
    met = np.cumsum(places == 1) - (places == 1)  # documents before an entry, over all queries
    starts = np.flatnonzero(ranks_within(queries) == 1)
    met -= np.repeat(met[starts], np.diff(np.append(starts, pairs.size)))
    kept: NDArray[np.bool_] = (met < depth) & (places <= documents.chunks)
    return kept


class RunningTopDocuments:
    """The ``depth`` best documents of each query among all chunks that were added, each by its best chunk.

    What is kept of a query is its ranking of chunks as far down as the best chunk of the last of these documents, with
    at most ``documents.chunks`` of each. A (query, chunk) pair must be added once at most.

    Args:
        query_count: Queries are numbered from 0 to ``query_count - 1``.
        depth: Documents a query, at least 1.
        documents: Behind the chunks.
        texts: Whose chunks are added by text number; None where chunks are added by their own.

    Attributes:
        depth: As given.
        documents: As given.

    >>> from nightrank.tasks.kernels.loops import offer_chunk
    >>> best = RunningTopDocuments(1, 2, Documents(np.array([0, 0, 0, 1, 2], np.int32), chunks=2))
    >>> for chunk_number, score in enumerate(np.array([0.5, 0.75, -1.0, -2.0, 0.5], np.float32)):
    ...     offer_chunk(best.heaps(), 0, score, chunk_number)
    >>> best.table().to_pydict()["chunk_number"]  # the second document ends at its best chunk, 4
    [1, 0, 4]
    """

    def __init__(
        self,
        query_count: int,
        depth: int,
        documents: Documents,
        *,
        texts: TextChunks | None = None,
    ) -> None:
        if query_count < 0 or depth < 1:
            raise ValueError(f"query_count {query_count} must be >= 0 and depth {depth} >= 1")
        self.query_count, self.depth, self.documents = query_count, depth, documents
        depth, width = _shape(depth, documents)
        self._starts = np.zeros(0, np.int64) if texts is None else texts.starts
        self._chunks = np.zeros(0, np.int32) if texts is None else texts.chunk_numbers
        self._best = np.empty((query_count, depth), dtype=np.int32)
        self._held = np.zeros((query_count, depth), dtype=np.int32)
        self._scores = np.empty((query_count, depth, width), dtype=np.float32)
        self._numbers = np.empty((query_count, depth, width), dtype=np.int32)
        self._counts = np.zeros(query_count, dtype=np.int32)

    @staticmethod
    def bytes_each(depth: int, documents: Documents) -> int:
        """What a query takes in memory."""
        depth, width = _shape(depth, documents)
        return depth * (8 + 16 * width)  # its chunks twice, where they are put into order

    def heaps(self, queries: slice = slice(None)) -> DocumentHeaps:
        """What the loops add to, of some of the queries."""
        from nightrank.tasks.kernels.loops import DocumentHeaps

        return DocumentHeaps(
            self.documents.of_chunk,
            self._starts,
            self._chunks,
            self._best[queries],
            self._held[queries],
            self._scores[queries],
            self._numbers[queries],
            self._counts[queries],
        )

    def add(
        self, query_numbers: NDArray[np.int32], chunk_numbers: NDArray[np.int32], scores: NDArray[np.float32]
    ) -> None:
        """Add scores, numbers all of them, of single chunks, (n,) each, in any order.

        What is best of parts of the collection, each by itself, is enough to say what is best of all: a chunk that
        stands behind ``depth`` documents of its part does so in the whole.
        """
        from nightrank.tasks.kernels.loops import offer_all_chunks

        offer_all_chunks(self.heaps(), query_numbers, chunk_numbers, scores)

    def table(self, *, first: int = 0) -> pa.Table:
        """What is best so far, with the schema ``LEG``: by query number, counted from ``first``, then rank from 1."""
        from nightrank.tasks.kernels.loops import chunks_of_documents

        best = RunningTopK(self.query_count, max(1, self._scores[0].size if self.query_count else 1))
        in_turns(partial(chunks_of_documents, heaps=self.heaps(), best=best.heaps()), self.query_count)
        return best.table(first=first)


def in_parts(query_count: int, *, bytes_each: int) -> Iterator[slice]:
    """Queries in parts whose heaps fit into memory, in their order; one part, empty, where there is no query."""
    size = max(1, BYTES_HELD // max(1, bytes_each))
    for first in range(0, max(1, query_count), size):
        yield slice(first, min(first + size, query_count))


def _shape(depth: int, documents: Documents) -> tuple[int, int]:
    """Rows for documents, more than there are where that is no more than ``depth``, and chunks in a row."""
    return min(depth, len(documents) + 1), max(1, min(documents.chunks, documents.largest))
