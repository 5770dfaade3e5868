"""The dense leg: every query against every chunk, exactly, as matrix products over a stream of blocks.

scores = einsum("qd,cd->qc", query_vectors, chunk_vectors)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from storage.chunk_table import vectors_of
from tasks.topk import RunningTopK

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from storage.chunk_table import ChunkTable

SCORES_HELD = 16_000_000  # float32 values of one block of scores, 64 MB


def retrieve_dense(
    query_vectors: NDArray[np.float32], table: ChunkTable, chunk_hashes: pa.ChunkedArray, *, depth: int
) -> pa.Table:
    """The ``depth`` nearest chunks of each query by inner product, exactly.

    Each distinct text is compared once; chunks that say the same share the score.

    Args:
        query_vectors: float32 (n_queries, dim), unit length.
        table: The vectors; rows of other releases in it are passed over.
        chunk_hashes: (n_chunks,) of the release, by chunk number.
        depth: Results a query.

    Returns:
        A table of schema LEG.
    """
    numbers, starts = _numbers_by_hash(chunk_hashes, copies=depth)
    best = RunningTopK(len(query_vectors), depth)
    rows_held = max(1, SCORES_HELD // max(1, len(query_vectors)))
    for batch in table.stream(["chunk_hash", "vector"], batch_rows=min(rows_held, 16_384)):
        positions = [starts.get(key) for key in batch.column("chunk_hash").to_pylist()]
        known = np.array([row for row, position in enumerate(positions) if position is not None], dtype=np.intp)
        if known.size == 0:
            continue
        ranges = [position for position in positions if position is not None]
        copies = np.array([last - first for first, last in ranges])
        chunk_numbers = np.concatenate([numbers[first:last] for first, last in ranges])
        scores = query_vectors @ vectors_of(batch, table.dimensions)[known].T
        best.add_block(np.repeat(scores, copies, axis=1), chunk_numbers)
    return best.table()


def _numbers_by_hash(
    chunk_hashes: pa.ChunkedArray, *, copies: int
) -> tuple[NDArray[np.int32], dict[str, tuple[int, int]]]:
    """Chunk numbers grouped by hash, and where each hash's first ``copies`` lie in them.

    Chunks that say the same tie, so no more than the first ``depth`` of them can be results.
    """
    keys = chunk_hashes.to_numpy()
    order = np.argsort(keys, kind="stable").astype(np.int32)
    ordered = keys[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if ordered.size else np.zeros(0, np.intp)
    ends = np.minimum(np.r_[starts[1:], ordered.size], starts + copies)
    groups = zip(ordered[starts].tolist(), starts.tolist(), ends.tolist(), strict=True)
    return order, {key: (first, last) for key, first, last in groups}
