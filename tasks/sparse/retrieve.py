"""The learned sparse leg: every query against texts, exactly, as sparse products over a stream of blocks.

score(query, text) = sum over the tokens that both have of query weight * text weight

A product of two single-precision weights is exact in double precision; the sum goes through the tokens in ascending
order and is rounded once. So a score depends on its two vectors alone, never on the block that it was computed in: a
list kept from another night and a scan of tonight's whole collection agree to the last bit. No statistics of the
collection come in, as BM25's idf does. A text that shares no token with a query is no result for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from nightrank.storage.errors import MachineError
from nightrank.tasks.kernels.postings import AskedTerms, Postings, score_blocks
from nightrank.tasks.kernels.top_documents import RunningTopDocuments
from nightrank.tasks.kernels.top_k import RunningTopK
from nightrank.tasks.legs.texts import leg_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from nightrank.storage.memo.sparse_vectors import SparseMemo, SparseVectors
    from nightrank.tasks.kernels.top_documents import Documents
    from nightrank.tasks.legs.texts import Texts

    # Numbers of texts, int32 (n,), and their vectors, n.
    SparseBlock = tuple[NDArray[np.int32], SparseVectors]

TEXTS_AT_ONCE = 16_384  # whose running scores stay in a processor's cache; 65,536 at most


def retrieve_sparse(
    queries: SparseVectors,
    blocks: Iterable[SparseBlock],
    texts: Texts,
    *,
    depth: int,
    documents: Documents | None = None,
) -> pa.Table:
    """The ``depth`` best chunks of each query by the product of their vectors, or those of as many documents, exactly.

    Each distinct text is compared once; chunks that say the same share the score. A query that shares a token with
    fewer texts has fewer results.

    Args:
        queries: n_queries.
        blocks: The vectors of all texts, in any order.
        texts: Of the collection.
        depth: Results a query: documents where these count, else chunks.
        documents: Behind the chunks, where documents count.

    Returns:
        A table of schema LEG.
    """
    if documents is None:
        best = RunningTopK(len(queries), depth)
        add_products(best, queries, blocks)
        return leg_of(best.entries(), texts, depth=depth)
    best_documents = RunningTopDocuments(len(queries), depth, documents, texts=texts)
    add_products(None, queries, blocks, documents=best_documents)
    return best_documents.table()


def add_products(
    best: RunningTopK | None,
    queries: SparseVectors,
    blocks: Iterable[SparseBlock],
    *,
    documents: RunningTopDocuments | None = None,
) -> None:
    """Add the scores of every query against every text of the blocks with which it shares a token.

    Args:
        best: Texts of as many queries; None where none are wanted.
        queries: n_queries.
        blocks: Numbers and vectors of texts.
        documents: Documents of as many queries; None where none are wanted.
    """
    vocabulary = int(queries.tokens.max(initial=-1)) + 1
    inverted = (inverted_of(numbers, vectors, vocabulary) for numbers, vectors in cut_blocks(blocks))
    score_blocks(inverted, AskedTerms(queries.bounds, queries.tokens, queries.weights), best, documents)


@dataclass(frozen=True, slots=True, eq=False)
class SparseQueries:
    """Queries by their vectors.

    Attributes:
        vectors: n_queries.
    """

    vectors: SparseVectors

    def __len__(self) -> int:
        return len(self.vectors)

    def only(self, numbers: NDArray[np.integer]) -> Self:
        """Some of them, int (n,), in this order."""
        return type(self)(self.vectors.take(numbers))

    def add_best(
        self, best: RunningTopK, blocks: Iterable[SparseBlock], *, documents: RunningTopDocuments | None = None
    ) -> None:
        """Add the scores of every query against every text of the blocks with which it shares a token."""
        add_products(best, self.vectors, blocks, documents=documents)

    def table(self) -> pa.Table:
        """The columns ``tokens`` and ``weights``, a row each."""
        return self.vectors.with_keys(pa.nulls(len(self))).drop_columns(["key"])

    def contents(self) -> Iterator[bytes]:
        """What each vector is, to the bit."""
        return self.vectors.contents()


@dataclass(frozen=True, slots=True)
class StoredSparseVectors:
    """The vectors of texts as a memo holds them."""

    memo: SparseMemo

    def everything(self, texts: Texts, *, queries: int) -> Iterator[SparseBlock]:  # noqa: ARG002 (memory does not grow with them)
        """The vectors of all texts.

        Raises:
            MachineError: The memo lacks one.
        """
        return _blocks_of(self.memo.everything(), texts, expected=len(texts))

    def some(self, texts: Texts, chunk_hashes: pa.Array, *, queries: int) -> Iterator[SparseBlock]:  # noqa: ARG002
        """The vectors of some texts, string (n,) hashes.

        Raises:
            MachineError: The memo lacks one.
        """
        return _blocks_of(self.memo.some(chunk_hashes), texts, expected=len(chunk_hashes))


def _blocks_of(
    parts: Iterable[tuple[pa.Array, SparseVectors]], texts: Texts, *, expected: int
) -> Iterator[SparseBlock]:
    """Keys and vectors as blocks; what is no text of the collection is passed over."""
    found = 0
    for hashes, vectors in parts:
        numbers = texts.numbers_of(hashes)
        known = np.flatnonzero(numbers >= 0)
        found += known.size
        if known.size:
            yield (numbers, vectors) if known.size == numbers.size else (numbers[known], vectors.take(known))
    require_all(found, expected=expected)


def require_all(found: int, *, expected: int) -> None:
    """See that a memo has so many texts.

    Raises:
        MachineError: It lacks one.
    """
    if found != expected:
        message = f"The memo of sparse vectors lacks {expected - found} of {expected} texts."
        raise MachineError(message, remedy="Run `nightrank refresh` again: what is missing is encoded anew.")


def cut_blocks(blocks: Iterable[SparseBlock]) -> Iterator[SparseBlock]:
    """The same, at most ``TEXTS_AT_ONCE`` texts at a time."""
    for numbers, vectors in blocks:
        for first in range(0, numbers.size, TEXTS_AT_ONCE):
            rows = np.arange(first, min(first + TEXTS_AT_ONCE, numbers.size))
            yield (numbers, vectors) if rows.size == numbers.size else (numbers[rows], vectors.take(rows))


def inverted_of(numbers: NDArray[np.int32], vectors: SparseVectors, vocabulary: int) -> Postings:
    """Vectors of at most 65,536 texts by token.

    Args:
        numbers: int32 (n,), of the texts.
        vectors: Theirs.
        vocabulary: Tokens from this one on are left out.
    """
    from nightrank.tasks.kernels.inverted import invert_rows

    size = vectors.tokens.size
    bounds, weights = np.zeros((vocabulary, 2), np.int32), np.empty(size, np.float32)
    inverted = Postings(numbers, bounds, np.empty(size, np.uint16), weights)
    invert_rows(vectors.bounds, vectors.tokens, vectors.weights, bounds, inverted.columns, weights)
    return inverted
