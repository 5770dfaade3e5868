"""The dense leg: every query against texts, exactly, as matrix products over a stream of blocks.

scores = einsum("qd,td->qt", query_vectors, text_vectors)

The products are single precision and say only what may matter; what does is computed again in double precision and
rounded once (``tasks.dense.scan``). So a score depends on its two vectors alone, never on the block that it was
computed in: a list kept from another night and a scan of tonight's whole collection agree to the last bit. Where there
is a GPU, it makes the products as soon as there are many (``tasks.dense.device``), and the lists stay the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from nightrank.storage.lance.table import vectors_of
from nightrank.tasks.dense.scan import QUERIES_HELD, Scan, read_ahead
from nightrank.tasks.kernels.top_documents import RunningTopDocuments
from nightrank.tasks.kernels.top_k import RunningTopK
from nightrank.tasks.legs.texts import leg_of
from nightrank.tasks.models.files import resolve_device

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from nightrank.storage.lance.table import ChunkTable
    from nightrank.tasks.dense.scan import Block
    from nightrank.tasks.kernels.top_documents import Documents
    from nightrank.tasks.legs.texts import Texts
    from nightrank.tasks.settings.operation import ExecutionSettings

SCORES_HELD = 8_000_000  # float32 values of one block of scores, 32 MB: about what a processor's cache holds
TEXTS_HELD = 16_384
# Multiplications that a processor does in a second or less, and so before a device is started.
PRODUCTS_HERE = 20_000_000_000


def retrieve_dense(
    query_vectors: NDArray[np.float32],
    blocks: Iterable[Block],
    texts: Texts,
    *,
    depth: int,
    documents: Documents | None = None,
    device: str | None = None,
) -> pa.Table:
    """The ``depth`` nearest chunks of each query by inner product, or those of as many nearest documents, exactly.

    Each distinct text is compared once; chunks that say the same share the score.

    Args:
        query_vectors: float32 (n_queries, dim).
        blocks: The vectors of all texts, in any order.
        texts: Of the collection.
        depth: Results a query: documents where these count, else chunks.
        documents: Behind the chunks, where documents count.
        device: As torch names it, where products are made there as soon as there are many; None: the processor's.

    Returns:
        A table of schema LEG.
    """
    if documents is None:
        best = RunningTopK(len(query_vectors), depth)
        add_nearest(best, query_vectors, blocks, device=device)
        return leg_of(best.entries(), texts, depth=depth)
    best_documents = RunningTopDocuments(len(query_vectors), depth, documents, texts=texts)
    add_nearest(None, query_vectors, blocks, documents=best_documents, device=device)
    return best_documents.table()


def add_nearest(
    best: RunningTopK | None,
    query_vectors: NDArray[np.float32],
    blocks: Iterable[Block],
    *,
    documents: RunningTopDocuments | None = None,
    device: str | None = None,
) -> None:
    """Add the scores of every query against every text of the blocks that may be among its best.

    Args:
        best: Texts of as many queries; None where none are wanted.
        query_vectors: float32 (n_queries, dim).
        blocks: Numbers and vectors of texts.
        documents: Documents of as many queries; None where none are wanted.

        device: As torch names it, where products are made there as soon as there are many; None: the processor's.

    Raises:
        MachineError: A score is not a number.
    """
    from nightrank.tasks.kernels.compiled import threads

    with threads() as pool:
        scan, seen = Scan(query_vectors, best, documents, pool), 0
        coming = read_ahead(blocks)
        for block in coming:
            if device is not None and seen * query_vectors.size >= PRODUCTS_HERE:
                from nightrank.tasks.dense.device import DeviceScan  # it imports torch

                DeviceScan(scan, device, seen=seen).run(chain([block], coming))
                return
            scan.add(block)
            seen += len(block[0])


def device_of(execution: ExecutionSettings) -> str | None:
    """Where products are made that are many: None for the processor.

    Raises:
        InputError: The device is not there.
    """
    device = resolve_device(execution.device)
    return None if device == "cpu" else device


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
        device: As torch names it, where products are made there as soon as there are many; None: the processor's.
    """

    vectors: NDArray[np.float32]
    device: str | None = None

    def __len__(self) -> int:
        return len(self.vectors)

    def only(self, numbers: NDArray[np.integer]) -> Self:
        """Some of them, int (n,), in this order."""
        return type(self)(self.vectors[numbers], self.device)

    def add_best(
        self, best: RunningTopK, blocks: Iterable[Block], *, documents: RunningTopDocuments | None = None
    ) -> None:
        """Add the scores of every query against every text of the blocks that may be among its best."""
        add_nearest(best, self.vectors, blocks, documents=documents, device=self.device)

    def table(self) -> pa.Table:
        """The column ``vector``, a row each."""
        flat = pa.array(np.ascontiguousarray(self.vectors).ravel())
        return pa.table({"vector": pa.FixedSizeListArray.from_arrays(flat, self.vectors.shape[1])})

    def contents(self) -> Iterator[bytes]:
        """What each vector is, to the bit."""
        return (vector.tobytes() for vector in self.vectors)


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """The vectors of texts as a chunk table holds them."""

    table: ChunkTable

    def everything(self, texts: Texts, *, queries: int) -> Iterator[Block]:
        """The vectors of all texts, in blocks whose scores with so many queries fit into memory."""
        batches = self.table.stream(["chunk_hash", "vector"], batch_rows=rows_held(queries))
        return blocks_of(batches, texts, dimensions=self.table.dimensions)

    def some(self, texts: Texts, chunk_hashes: pa.Array, *, queries: int) -> Iterator[Block]:
        """The vectors of some texts, string (n,) hashes, in such blocks."""
        batches = self.table.batches(chunk_hashes, ["vector"], rows=rows_held(queries))
        return blocks_of(batches, texts, dimensions=self.table.dimensions)


def rows_held(queries: int) -> int:
    """Texts of a block whose scores with so many queries fit into memory."""
    return min(max(1, SCORES_HELD // max(1, min(queries, QUERIES_HELD))), TEXTS_HELD)
