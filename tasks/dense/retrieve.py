"""The dense leg: every query against texts, exactly, as matrix products over a stream of blocks.

scores = einsum("qd,td->qt", query_vectors, text_vectors)

The products are single precision and say only what may matter; what does is computed again in double precision and
rounded once. So a score depends on its two vectors alone, never on the block that it was computed in: a list kept
from another night and a scan of tonight's whole collection agree to the last bit.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

import numpy as np

from nightrank.storage.lance.table import vectors_of
from nightrank.tasks.kernels.top_documents import RunningTopDocuments
from nightrank.tasks.kernels.top_k import RunningTopK, not_a_number
from nightrank.tasks.legs.texts import leg_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from nightrank.storage.lance.table import ChunkTable
    from nightrank.tasks.kernels.top_documents import Documents
    from nightrank.tasks.legs.texts import Texts

    # Numbers of texts, int32 (n,), and their vectors, float32 (n, dim).
    Block = tuple[NDArray[np.int32], NDArray[np.float32]]

SCORES_HELD = 8_000_000  # float32 values of one block of scores, 32 MB: about what a processor's cache holds
QUERIES_HELD = 2048  # of one block of scores
TEXTS_HELD = 16_384
QUERIES_AT_ONCE = 64  # of one thread's turn


def retrieve_dense(
    query_vectors: NDArray[np.float32],
    blocks: Iterable[Block],
    texts: Texts,
    *,
    depth: int,
    documents: Documents | None = None,
) -> pa.Table:
    """The ``depth`` nearest chunks of each query by inner product, or those of as many nearest documents, exactly.

    Each distinct text is compared once; chunks that say the same share the score.

    Args:
        query_vectors: float32 (n_queries, dim).
        blocks: The vectors of all texts, in any order.
        texts: Of the collection.
        depth: Results a query: documents where these count, else chunks.
        documents: Behind the chunks, where documents count.

    Returns:
        A table of schema LEG.
    """
    if documents is None:
        best = RunningTopK(len(query_vectors), depth)
        add_nearest(best, query_vectors, blocks)
        return leg_of(best.entries(), texts, depth=depth)
    best_documents = RunningTopDocuments(len(query_vectors), depth, documents, texts=texts)
    add_nearest(None, query_vectors, blocks, documents=best_documents)
    return best_documents.table()


def add_nearest(
    best: RunningTopK | None,
    query_vectors: NDArray[np.float32],
    blocks: Iterable[Block],
    *,
    documents: RunningTopDocuments | None = None,
) -> None:
    """Add the scores of every query against every text of the blocks that may be among its best.

    Args:
        best: Texts of as many queries; None where none are wanted.
        query_vectors: float32 (n_queries, dim).
        blocks: Numbers and vectors of texts.
        documents: Documents of as many queries; None where none are wanted.

    Raises:
        MachineError: A score is not a number.
    """
    from nightrank.tasks.kernels.compiled import threads
    from nightrank.tasks.kernels.loops import score_products

    query_length = longest(query_vectors)
    held = np.empty(0, dtype=np.float32)  # one piece of memory for all products: new pages cost time
    with threads() as pool:
        for text_numbers, vectors in _read_ahead(blocks):
            margin = error_of(vectors.shape[1], query_length, longest(vectors))
            for first in range(0, len(query_vectors), QUERIES_HELD):
                part = slice(first, min(first + QUERIES_HELD, len(query_vectors)))
                queries = query_vectors[part]
                if held.size < len(queries) * len(vectors):
                    held = np.empty(len(queries) * len(vectors), dtype=np.float32)
                products = held[: len(queries) * len(vectors)].reshape(len(queries), len(vectors))
                np.matmul(queries, vectors.T, out=products)
                score = partial(
                    score_products,
                    products=products,
                    margin=margin,
                    queries=queries,
                    texts=vectors,
                    text_numbers=text_numbers,
                    floors=None if best is None else best.floors[part],
                    best=None if best is None else best.heaps(part),
                    documents=None if documents is None else documents.heaps(part),
                )
                starts = range(0, len(queries), QUERIES_AT_ONCE)
                ends = (min(start + QUERIES_AT_ONCE, len(queries)) for start in starts)
                if any(list(pool.map(score, starts, ends))):
                    raise not_a_number()


def _read_ahead(blocks: Iterable[Block]) -> Iterator[Block]:
    """The same blocks; the next one is read while one is worked on."""
    source = iter(blocks)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, source, None)
        while (block := coming.result()) is not None:
            coming = reader.submit(next, source, None)
            yield block


def blocks_of(batches: Iterable[pa.RecordBatch], texts: Texts, *, dimensions: int) -> Iterator[Block]:
    """Batches of a chunk table as blocks; rows that are no text of the collection are passed over.

    Args:
        batches: With ``chunk_hash`` and ``vector``.
        texts: Of the collection.
        dimensions: Length of a vector.
    """
    for batch in batches:
        numbers = texts.numbers_of(batch.column("chunk_hash"))
        known = numbers >= 0
        if known.any():
            vectors = vectors_of(batch, dimensions)
            yield (numbers, vectors) if known.all() else (numbers[known], vectors[known])


@dataclass(frozen=True, slots=True, eq=False)
class DenseQueries:
    """Queries by their vectors.

    Attributes:
        vectors: float32 (n_queries, dim).
    """

    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.vectors)

    def only(self, numbers: NDArray[np.integer]) -> Self:
        """Some of them, int (n,), in this order."""
        return type(self)(self.vectors[numbers])

    def add_best(
        self, best: RunningTopK, blocks: Iterable[Block], *, documents: RunningTopDocuments | None = None
    ) -> None:
        """Add the scores of every query against every text of the blocks that may be among its best."""
        add_nearest(best, self.vectors, blocks, documents=documents)

    def contents(self) -> Iterator[bytes]:
        """What each vector is, to the bit."""
        return (vector.tobytes() for vector in self.vectors)


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """The vectors of texts as a chunk table holds them."""

    table: ChunkTable

    def everything(self, texts: Texts, *, queries: int) -> Iterator[Block]:
        """The vectors of all texts, in blocks whose scores with so many queries fit into memory."""
        batches = self.table.stream(["chunk_hash", "vector"], batch_rows=_rows_held(queries))
        return blocks_of(batches, texts, dimensions=self.table.dimensions)

    def some(self, texts: Texts, chunk_hashes: pa.Array, *, queries: int) -> Iterator[Block]:
        """The vectors of some texts, string (n,) hashes, in such blocks."""
        batches = self.table.batches(chunk_hashes, ["vector"], rows=_rows_held(queries))
        return blocks_of(batches, texts, dimensions=self.table.dimensions)


def _rows_held(queries: int) -> int:
    return min(max(1, SCORES_HELD // max(1, min(queries, QUERIES_HELD))), TEXTS_HELD)


def error_of(dimensions: int, query_length: float, text_length: float) -> np.float32:
    """By how much the difference of two products in single precision may be wrong.

    A product of d terms errs by d * 2^-24 of the vectors' lengths at most, in either of two compared.

    Args:
        dimensions: d.
        query_length: Of the longest query's vector.
        text_length: Of the longest text's.
    """
    return np.float32(2.0 * (dimensions + 1) * 2.0**-24 * query_length * text_length)


def longest(vectors: NDArray[np.float32]) -> float:
    """The length of the longest of some vectors, float32 (n, dim)."""
    return float(np.sqrt(np.einsum("nd,nd->n", vectors, vectors).max(initial=0.0)))
