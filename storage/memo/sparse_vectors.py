"""The memos of sparse vectors: what a learned sparse encoder made of a text or of a query, under its fingerprint.

Two files an encoder: ``memo/sparse-texts-<fingerprint>.duckdb`` by ``chunk_hash``, ``memo/sparse-queries-<fingerprint>
.duckdb`` by the key of the query's text. A text whose vector has no entry has a row like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import pyarrow as pa

from nightrank.storage.files.database import require_finite
from nightrank.storage.memo.file import MemoFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

TEXTS_PREFIX, QUERIES_PREFIX = "sparse-texts-", "sparse-queries-"  # of the files' names

CREATE_SPARSE_VECTORS = """
CREATE TABLE IF NOT EXISTS sparse_vectors (key UUID NOT NULL, tokens INTEGER[] NOT NULL, weights FLOAT[] NOT NULL)
"""
_COUNT = "SELECT count(*) FROM sparse_vectors"
_APPEND = "INSERT INTO sparse_vectors SELECT key::UUID, tokens, weights FROM batch"
_KNOWN = """
SELECT wanted.position, memo.rowid AS row
FROM (SELECT position, key::UUID AS key FROM wanted) AS wanted JOIN sparse_vectors AS memo USING (key)
ORDER BY wanted.position
"""
_ROWS = """
SELECT rowid AS row, tokens, weights FROM sparse_vectors WHERE rowid BETWEEN $first AND $last
"""
_EVERYTHING = "SELECT replace(key::VARCHAR, '-', '') AS key, tokens, weights FROM sparse_vectors"

ROWS_HELD = 16_384  # vectors in memory at one time


@dataclass(frozen=True, slots=True, eq=False)
class SparseVectors:
    """Vectors of few entries, end to end.

    Attributes:
        bounds: int64 (n + 1,), where each vector begins and ends in the two that follow.
        tokens: int32 (n_entries,), of the encoder's vocabulary, ascending within a vector.
        weights: float32 (n_entries,), above 0.
    """

    bounds: NDArray[np.int64]
    tokens: NDArray[np.int32]
    weights: NDArray[np.float32]

    @classmethod
    def of(cls, rows: Sequence[tuple[NDArray[np.int32], NDArray[np.float32]]]) -> Self:
        """The vectors of tokens and weights (n_entries,) each.

        >>> SparseVectors.of([(np.array([3, 7]), np.array([0.5, 2.0])), (np.array([]), np.array([]))]).bounds.tolist()
        [0, 2, 2]
        """
        bounds = np.cumsum([0, *(len(tokens) for tokens, _ in rows)], dtype=np.int64)
        tokens = [np.zeros(0, np.int32), *(tokens for tokens, _ in rows)]
        weights = [np.zeros(0, np.float32), *(weights for _, weights in rows)]
        return cls(bounds, np.concatenate(tokens).astype(np.int32), np.concatenate(weights).astype(np.float32))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The vectors of all parts, end to end."""
        sizes = np.concatenate([np.zeros(0, np.int64), *(np.diff(part.bounds) for part in parts)])
        return cls(
            np.append(0, np.cumsum(sizes)).astype(np.int64),
            np.concatenate([np.zeros(0, np.int32), *(part.tokens for part in parts)]),
            np.concatenate([np.zeros(0, np.float32), *(part.weights for part in parts)]),
        )

    @classmethod
    def in_table(cls, rows: pa.Table | pa.RecordBatch) -> Self:
        """The vectors of the columns ``tokens`` and ``weights``, lists of int32 and of float32."""
        tokens, weights = (_one_block(rows.column(name)) for name in ("tokens", "weights"))
        bounds = np.append(0, np.cumsum(tokens.value_lengths().to_numpy())).astype(np.int64)
        return cls(bounds, tokens.flatten().to_numpy(), weights.flatten().to_numpy())

    def with_keys(self, keys: pa.Array | pa.ChunkedArray) -> pa.Table:
        """A table of the column ``key``, string (n,), and those of ``in_table``; 2^31 entries at most."""
        bounds = pa.array(self.bounds.astype(np.int32))
        columns = [pa.ListArray.from_arrays(bounds, pa.array(values)) for values in (self.tokens, self.weights)]
        return pa.table([keys, *columns], names=["key", "tokens", "weights"])

    def __len__(self) -> int:
        return self.bounds.size - 1

    def take(self, rows: NDArray[np.integer]) -> Self:
        """Some of the vectors, int (n,), in this order.

        >>> vectors = SparseVectors.of([(np.array([1]), np.array([0.5])), (np.array([2, 3]), np.array([1.0, 2.0]))])
        >>> vectors.take(np.array([1, 0, 1])).tokens.tolist()
        [2, 3, 1, 2, 3]
        """
        sizes = np.diff(self.bounds)[rows]
        bounds = np.append(0, np.cumsum(sizes)).astype(np.int64)
        places = np.arange(bounds[-1]) + np.repeat(self.bounds[:-1][rows] - bounds[:-1], sizes)
        return type(self)(bounds, self.tokens[places], self.weights[places])

    def contents(self) -> Iterator[bytes]:
        """What each vector is, to the bit."""
        for first, last in zip(self.bounds[:-1].tolist(), self.bounds[1:].tolist(), strict=True):
            yield self.tokens[first:last].tobytes() + self.weights[first:last].tobytes()


def largest_difference(one: SparseVectors, other: SparseVectors, *, min_weight: float) -> NDArray[np.float64]:
    """The largest difference of an entry between vectors, each with its counterpart: float64 (n,).

    An entry that only one of two has was dropped from the other, just below ``min_weight`` perhaps: it counts by how
    far it is above that.

    >>> one = SparseVectors.of([(np.array([1, 2]), np.array([0.5, 0.25]))])
    >>> other = SparseVectors.of([(np.array([1, 7]), np.array([0.75, 0.5]))])
    >>> largest_difference(one, other, min_weight=0.125).tolist()
    [0.375]
    """
    keys = [np.repeat(np.arange(len(part)) << 32, np.diff(part.bounds)) | part.tokens for part in (one, other)]
    either = np.union1d(*keys)
    values = np.full((2, either.size), min_weight)
    for row, part in enumerate((one, other)):
        values[row, np.searchsorted(either, keys[row])] = part.weights
    found = np.zeros(len(one))
    np.maximum.at(found, either >> 32, np.abs(values[0] - values[1]))  # what is not a number stays none
    return found


class SparseMemo(MemoFile):
    """Sparse vectors by one encoder.

    Args:
        folder: The workspace's folder of memos; made where it is missing.
        kind: Whether of chunks' texts or of queries.
        encoder: The encoder's fingerprint.
        read_only: As ``MemoFile`` has it.

    Attributes:
        encoder: As given.
    """

    def __init__(
        self, folder: Path, kind: Literal["texts", "queries"], *, encoder: str, read_only: bool = False
    ) -> None:
        prefix = TEXTS_PREFIX if kind == "texts" else QUERIES_PREFIX
        path = folder / f"{prefix}{encoder}.duckdb"
        self.encoder = encoder
        super().__init__(path, create=CREATE_SPARSE_VECTORS, count=_COUNT, read_only=read_only)

    def append(self, keys: Sequence[str], vectors: SparseVectors) -> None:
        """Commit vectors that the memo does not hold yet.

        Args:
            keys: (n,), distinct.
            vectors: n.

        Raises:
            ValueError: There is not a vector a key.
            MachineError: A weight is not finite; it would be remembered for ever.
        """
        if len(vectors) != len(keys):
            raise ValueError(f"expected {len(keys)} vectors, got {len(vectors)}")
        require_finite(vectors.weights, what="weights of sparse vectors", section="sparse")
        self.run_over("batch", vectors.with_keys(pa.array(keys, pa.string())), _APPEND)

    def known(self, keys: pa.Array) -> NDArray[np.bool_]:
        """Of which keys, string (n,), there is a vector: bool (n,)."""
        found = np.zeros(len(keys), dtype=np.bool_)
        found[self.rows_of(keys)[0]] = True
        return found

    def vectors_of(self, keys: pa.Array) -> tuple[NDArray[np.int64], SparseVectors]:
        """What is known of some keys.

        Args:
            keys: string (n,).

        Returns:
            Positions in ``keys``, int64 (m,), ascending, and their vectors; m is how many are known.
        """
        positions, rows = self.rows_of(keys)
        distinct, places = np.unique(rows, return_inverse=True)
        read = list(self.at(distinct))
        order = np.argsort(np.concatenate([np.zeros(0, np.int64), *(found for found, _ in read)]))
        return positions, SparseVectors.joined([vectors for _, vectors in read]).take(order[places])

    def everything(self) -> Iterator[tuple[pa.Array, SparseVectors]]:
        """Keys, string (n,), and vectors of all that there is, in no particular order, some thousand at a time."""
        with self._connection.cursor() as cursor:  # an unread result blocks its connection
            for batch in cursor.sql(_EVERYTHING).to_arrow_reader(ROWS_HELD):
                yield batch.column("key"), SparseVectors.in_table(batch)

    def some(self, keys: pa.Array) -> Iterator[tuple[pa.Array, SparseVectors]]:
        """The same of some keys, string (n,), distinct; only about these are read where they were appended together."""
        positions, rows = self.rows_of(keys)
        order = np.argsort(rows)
        for found, vectors in self.at(rows[order]):
            yield keys.take(pa.array(positions[order[found]])), vectors

    def rows_of(self, keys: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where some keys, string (n,), lie while the memo is only read.

        Returns:
            Positions of the keys that are there, int64 (m,), ascending, and their rows, int64 (m,).
        """
        wanted = pa.table({"position": pa.array(np.arange(len(keys))), "key": keys})
        known = self.run_over("wanted", wanted, _KNOWN)
        return known.column("position").to_numpy(), known.column("row").to_numpy()

    def at(self, rows: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], SparseVectors]]:
        """The vectors of rows that ascend, int64 (n,), in no particular order: places among the rows, and vectors."""
        for first in range(0, rows.size, ROWS_HELD):
            part = rows[first : first + ROWS_HELD]
            with self._connection.cursor() as cursor:
                found = cursor.sql(_ROWS, params={"first": int(part[0]), "last": int(part[-1])})
                for batch in found.to_arrow_reader(ROWS_HELD):
                    numbers = batch.column("row").to_numpy()
                    places = np.searchsorted(part, numbers)
                    wanted = part[places] == numbers
                    if wanted.any():
                        yield places[wanted] + first, SparseVectors.in_table(batch.filter(pa.array(wanted)))


def _one_block(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
