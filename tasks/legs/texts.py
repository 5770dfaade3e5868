"""The distinct texts of a collection: chunks that say the same are one text, compared once and found again by hash.

A text is numbered by its first chunk, so that texts with equal scores stand in the order of their chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from nightrank.storage.keys import KEY_LENGTH
from nightrank.storage.records import LEG, ranking_order, ranks_within
from nightrank.tasks.kernels.top_documents import within_depth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nightrank.tasks.kernels.top_documents import Documents
    from nightrank.tasks.kernels.top_k import Entries


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """The texts behind some chunks; memory is 44 bytes a chunk.

    Attributes:
        hashes: bytes of 32 (n_texts,), the texts' hashes in order, to look them up in.
        numbers: int32 (n_texts,), the number of the text behind each hash.
        chunk_numbers: int32 (n_chunks,), the chunks text by text, ascending within a text.
        starts: int64 (n_texts + 1,), where the chunks of each text begin.
    """

    hashes: NDArray[np.bytes_]
    numbers: NDArray[np.int32]
    chunk_numbers: NDArray[np.int32]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, chunk_hashes: pa.ChunkedArray | pa.Array, chunk_numbers: NDArray[np.int32] | None = None) -> Self:
        """The texts of the chunks.

        Args:
            chunk_hashes: string (n_chunks,).
            chunk_numbers: int32 (n_chunks,), ascending; None for 0, 1, 2, ...

        >>> texts = Texts.of(pa.array(["b" * 32, "a" * 32, "b" * 32]))
        >>> texts.chunk_numbers.tolist(), texts.starts.tolist()  # the first text stands in the chunks 0 and 2
        ([0, 2, 1], [0, 2, 3])
        """
        hashes, first, of_chunk = np.unique(as_bytes(chunk_hashes), return_index=True, return_inverse=True)
        numbers = np.empty(hashes.size, dtype=np.int32)
        numbers[np.argsort(first)] = np.arange(hashes.size, dtype=np.int32)
        text_of_chunk = numbers[of_chunk]
        order = np.argsort(text_of_chunk, kind="stable").astype(np.int32)
        starts = np.append(0, np.cumsum(np.bincount(text_of_chunk, minlength=hashes.size))).astype(np.int64)
        return cls(hashes, numbers, order if chunk_numbers is None else chunk_numbers[order], starts)

    def __len__(self) -> int:
        return self.hashes.size

    @property
    def copies(self) -> NDArray[np.int64]:
        """int64 (n_texts,), how many chunks say each text."""
        return np.diff(self.starts)

    def only(self, allowed: NDArray[np.bool_]) -> tuple[Texts, NDArray[np.int32]]:
        """The texts of some of the chunks, as a collection of its own: numbered by the first chunk that is left.

        Args:
            allowed: bool (chunk_count,), by chunk number.

        Returns:
            The texts, and int32 (n,), the number that each of them has here.

        >>> texts = Texts.of(pa.array(["b" * 32, "a" * 32, "b" * 32]))
        >>> rest, numbers = texts.only(np.array([False, True, True]))
        >>> numbers.tolist(), rest.chunk_numbers.tolist(), rest.starts.tolist()
        ([1, 0], [1, 2], [0, 1, 2])
        """
        kept = allowed[self.chunk_numbers]
        chunk_numbers = self.chunk_numbers[kept]
        of_chunk = np.repeat(np.arange(len(self), dtype=np.int32), self.copies)[kept]
        numbers, first, copies = np.unique(of_chunk, return_index=True, return_counts=True)
        order = np.argsort(chunk_numbers[first])
        numbers, copies = numbers[order], copies[order]
        places = np.full(len(self), -1, dtype=np.int32)
        places[numbers] = np.arange(numbers.size, dtype=np.int32)
        by_hash = places[self.numbers]
        starts = np.append(0, np.cumsum(copies)).astype(np.int64)
        by_text = chunk_numbers[np.argsort(places[of_chunk], kind="stable")]
        return Texts(self.hashes[by_hash >= 0], by_hash[by_hash >= 0], by_text, starts), numbers

    def thinned(self, documents: Documents) -> Texts:
        """The same texts without the chunks of a document, beyond those that a leg lists, that repeat a text."""
        of_chunk = np.repeat(np.arange(len(self), dtype=np.int64), self.copies)
        places = ranks_within((of_chunk << 32) | documents.of_chunk[self.chunk_numbers])
        kept = places <= documents.chunks
        if kept.all():
            return self
        starts = np.append(0, np.cumsum(np.bincount(of_chunk[kept], minlength=len(self)))).astype(np.int64)
        return Texts(self.hashes, self.numbers, self.chunk_numbers[kept], starts)

    def numbers_of(self, chunk_hashes: pa.ChunkedArray | pa.Array) -> NDArray[np.int32]:
        """int32 (n,), the number of each text; -1 for what no chunk says.

        Args:
            chunk_hashes: string (n,).
        """
        wanted = as_bytes(chunk_hashes)
        if not len(self):
            return np.full(wanted.size, -1, dtype=np.int32)
        places = np.minimum(np.searchsorted(self.hashes, wanted), len(self) - 1)
        return np.where(self.hashes[places] == wanted, self.numbers[places], np.int32(-1))

    def hashes_by_number(self) -> pa.Array:
        """String (n_texts,), the hash of each text by its number."""
        by_number = np.empty_like(self.hashes)
        by_number[self.numbers] = self.hashes
        return as_strings(by_number)


def leg_of(entries: Entries, texts: Texts, *, depth: int, documents: Documents | None = None) -> pa.Table:
    """The best chunks of each query from its best texts, or those of its best documents.

    The first ``depth`` chunks say no more than ``depth`` texts, and these are the best ones, as texts are numbered
    by their first chunk.

    Args:
        entries: Query numbers, text numbers and scores (n,), by query, then rank: ``depth`` a query or all there are;
            where documents count, all that score above some floor.
        texts: Of the collection.
        depth: Results a query: documents where these count, else chunks.
        documents: Behind the chunks, where documents count.

    Returns:
        A table of schema LEG; where documents count, a query that met fewer than ``depth`` of them has all chunks that
        a leg may list.
    """
    query_numbers, text_numbers, scores = entries
    most = depth  # chunks that say the same tie: more cannot be results
    if documents is not None:
        texts, most = texts.thinned(documents), depth * documents.chunks
    copies = np.minimum(texts.copies[text_numbers], most)
    within = np.arange(copies.sum()) - np.repeat(np.cumsum(copies) - copies, copies)
    chunk_numbers = texts.chunk_numbers[np.repeat(texts.starts[text_numbers], copies) + within]
    query_numbers, scores = np.repeat(query_numbers, copies), np.repeat(scores, copies)
    order = ranking_order(query_numbers, scores, chunk_numbers)
    if documents is None:
        order = order[ranks_within(query_numbers[order]) <= depth]
    else:
        order = order[within_depth(query_numbers[order], chunk_numbers[order], documents, depth=depth)]
    ranks = ranks_within(query_numbers[order])
    return pa.table([query_numbers[order], chunk_numbers[order], scores[order], ranks], schema=LEG)


def results_found(leg: pa.Table, *, queries: int, documents: Documents | None) -> NDArray[np.int64]:
    """How many documents, or chunks where these count, a leg has of each query: int64 (n_queries,).

    Args:
        leg: Schema LEG.
        queries: How many there are.
        documents: Behind the chunks, where documents count.
    """
    numbers = leg.column("query_number").to_numpy()
    if documents is not None:
        chunks = leg.column("chunk_number").to_numpy()
        numbers = np.unique((numbers.astype(np.int64) << 32) | documents.of_chunk[chunks]) >> 32
    return np.bincount(numbers, minlength=queries)


def as_bytes(chunk_hashes: pa.ChunkedArray | pa.Array) -> NDArray[np.bytes_]:
    """Hashes as bytes of 32 (n,): a third of the memory of Python strings, and ordered the same."""
    column = chunk_hashes.combine_chunks() if isinstance(chunk_hashes, pa.ChunkedArray) else chunk_hashes
    fixed = column.cast(pa.binary()).cast(pa.binary(KEY_LENGTH))
    _, data = fixed.buffers()
    if data is None:
        return np.zeros(0, dtype=f"S{KEY_LENGTH}")
    return np.frombuffer(data, dtype=f"S{KEY_LENGTH}")[fixed.offset : fixed.offset + len(fixed)]


def as_strings(hashes: NDArray[np.bytes_]) -> pa.Array:
    """The other way round: bytes of 32 (n,) as strings (n,)."""
    data = pa.py_buffer(np.ascontiguousarray(hashes))
    fixed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(KEY_LENGTH), hashes.size, [None, data])
    return fixed.cast(pa.binary()).cast(pa.string())
