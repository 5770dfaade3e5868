"""Queries that meet blocks of texts: products in single precision on the processor, what may matter scored exactly."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from nightrank.tasks.dense.bounds import error_of, longest
from nightrank.tasks.kernels.top_k import not_a_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from nightrank.tasks.kernels.loops import ChunkHeaps, DocumentHeaps
    from nightrank.tasks.kernels.top_documents import RunningTopDocuments
    from nightrank.tasks.kernels.top_k import RunningTopK

    # Numbers of texts, int32 (n,), and their vectors, float32 (n, dim).
    Block = tuple[NDArray[np.int32], NDArray[np.float32]]

T = TypeVar("T")

QUERIES_HELD = 2048  # of one block of scores
QUERIES_AT_ONCE = 64  # of one thread's turn


class Scan:
    """Queries, and where their scores go.

    Args:
        query_vectors: float32 (n_queries, dim).
        best: Texts of as many queries; None where none are wanted.
        documents: Documents of as many queries; None where none are wanted.
        pool: The threads that score.

    Attributes:
        queries: float32 (n_queries, dim).
        query_length: Of the longest query's vector.
    """

    def __init__(
        self,
        query_vectors: NDArray[np.float32],
        best: RunningTopK | None,
        documents: RunningTopDocuments | None,
        pool: ThreadPoolExecutor,
    ) -> None:
        self.queries = query_vectors
        self.query_length = longest(query_vectors)
        self._best, self._documents, self._pool = best, documents, pool
        self._held = np.empty(0, dtype=np.float32)  # one piece of memory for all products: new pages cost time

    def add(self, block: Block, *, first: int = 0) -> None:
        """Add the scores of the queries, from the first on, against a block that may be among their best.

        Raises:
            MachineError: A score is not a number.
        """
        from nightrank.tasks.kernels.loops import score_products

        text_numbers, vectors = block
        margin = error_of(vectors.shape[1], self.query_length, longest(vectors))
        for start in range(first, len(self.queries), QUERIES_HELD):
            part = slice(start, min(start + QUERIES_HELD, len(self.queries)))
            queries = self.queries[part]
            if self._held.size < len(queries) * len(vectors):
                self._held = np.empty(len(queries) * len(vectors), dtype=np.float32)
            products = self._held[: len(queries) * len(vectors)].reshape(len(queries), len(vectors))
            with np.errstate(over="ignore", invalid="ignore"):  # such products are scored exactly
                np.matmul(queries, vectors.T, out=products)
            score = partial(
                score_products,
                products=products,
                margin=margin,
                queries=queries,
                texts=vectors,
                text_numbers=text_numbers,
                floors=self.floors(part),
                best=self.best(part),
                documents=self.documents(part),
            )
            self.in_turns(score, len(queries), at_once=QUERIES_AT_ONCE)

    def floors(self, part: slice) -> NDArray[np.float32] | None:
        """What scores of some queries must reach, float32 (n,); None: any will do."""
        return None if self._best is None else self._best.floors[part]

    def best(self, part: slice) -> ChunkHeaps | None:
        """The heaps of some queries, of texts; None where none are wanted."""
        return None if self._best is None else self._best.heaps(part)

    def documents(self, part: slice) -> DocumentHeaps | None:
        """The heaps of some queries, of documents; None where none are wanted."""
        return None if self._documents is None else self._documents.heaps(part)

    def in_turns(self, score: Callable[[int, int], bool], count: int, *, at_once: int) -> None:
        """Score queries on all threads.

        Args:
            score: Takes the first query of a turn and the one behind its last; says whether a score is not a number.
            count: Queries.
            at_once: Of a turn.

        Raises:
            MachineError: A score is not a number.
        """
        starts = range(0, count, at_once)
        ends = (min(start + at_once, count) for start in starts)
        if any(list(self._pool.map(score, starts, ends))):
            raise not_a_number()


def read_ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items; the next one is made while one is worked on."""
    source = iter(items)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, source, None)
        while (item := coming.result()) is not None:
            coming = reader.submit(next, source, None)
            yield item
