"""Legs of documents by a plain loop down whole rankings, to compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from nightrank.tasks.kernels.top_documents import Documents

Row = tuple[int, int, float, int]  # query number, chunk number, score, rank


def documents_of(chunks: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """Chunks in documents of one to many chunks: int32 (chunks,)."""
    starts = generator.random(chunks) < generator.choice([0.1, 0.3, 0.8])
    return np.cumsum(np.r_[False, starts[1:]] if chunks else starts).astype(np.int32)


def cut_by_loop(whole: pa.Table, documents: Documents | None, *, depth: int) -> list[Row]:
    """The first ``depth`` documents (or chunks) of whole rankings, schema LEG, chunk by chunk down each."""
    rows: list[Row] = []
    met: dict[int, dict[int, int]] = {}
    ranks: dict[int, int] = {}
    for row in whole.to_pylist():
        query, chunk = row["query_number"], row["chunk_number"]
        own = met.setdefault(query, {})
        if len(own) == depth:
            continue
        document = chunk if documents is None else int(documents.of_chunk[chunk])
        own[document] = own.get(document, 0) + 1
        if documents is None or own[document] <= documents.chunks:
            ranks[query] = ranks.get(query, 0) + 1
            rows.append((query, chunk, row["score"], ranks[query]))
    return rows


def rows_of(leg: pa.Table) -> list[Row]:
    """The rows of a leg, schema LEG."""
    return list(zip(*(column.to_pylist() for column in leg.columns), strict=True))


def chunks_by_query(leg: pa.Table, queries: int) -> list[list[tuple[int, float]]]:
    """Each query's chunk numbers and scores from a leg, schema LEG, whose ranks are found to be without a gap."""
    found: list[list[tuple[int, float]]] = [[] for _ in range(queries)]
    for row in leg.to_pylist():
        found[row["query_number"]].append((row["chunk_number"], row["score"]))
        assert row["rank"] == len(found[row["query_number"]])
    return found
