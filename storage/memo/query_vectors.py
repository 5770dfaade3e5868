"""The memo of queries' embeddings: what an embedder made of a query, under its fingerprint.

One file an embedder, ``memo/queries-<fingerprint>.duckdb``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.files.database import only_row, require_finite
from nightrank.storage.memo.file import MemoFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

# Keys are 128-bit digests, kept as UUIDs. All vectors of a memo have one length, which the first batch settles.
CREATE_QUERY_VECTORS = "CREATE TABLE IF NOT EXISTS query_vectors (query_key UUID NOT NULL, vector FLOAT[] NOT NULL)"
_COUNT = "SELECT count(*) FROM query_vectors"
_DIMENSIONS = "SELECT coalesce((SELECT len(vector) FROM query_vectors LIMIT 1), 0)"
_APPEND = "INSERT INTO query_vectors SELECT query_key::UUID, vector FROM batch"
_KNOWN = """
SELECT wanted.position, memo.vector
FROM (SELECT position, query_key::UUID AS query_key FROM wanted) AS wanted
JOIN query_vectors AS memo USING (query_key)
ORDER BY wanted.position
"""


class QueryMemo(MemoFile):
    """Embeddings of queries by one embedder.

    Args:
        folder: The workspace's folder of memos; made where it is missing.
        embedder: The embedder's fingerprint.
    """

    def __init__(self, folder: Path, *, embedder: str) -> None:
        super().__init__(folder / f"queries-{embedder}.duckdb", create=CREATE_QUERY_VECTORS, count=_COUNT)

    def append(self, query_keys: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Commit the embeddings of queries that the memo does not hold yet.

        Args:
            query_keys: (n,), distinct.
            vectors: float32 (n, dim).

        Raises:
            ValueError: The vectors are not one a query, or of another length than those that are there.
            MachineError: A vector has a value that is not finite; it would be remembered for ever.
        """
        dimensions = int(only_row(self._connection, _DIMENSIONS)[0])
        if vectors.ndim != 2 or len(vectors) != len(query_keys) or dimensions not in {0, vectors.shape[1]}:
            expected = (len(query_keys), dimensions or "dim")
            message = f"expected vectors of shape {expected}, got {vectors.shape}"
            raise ValueError(message)
        require_finite(vectors, what="embeddings of queries", section="embedder")
        flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
        columns = [pa.array(query_keys, pa.string()), pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])]
        self.run_over("batch", pa.table(columns, names=["query_key", "vector"]), _APPEND)

    def vectors_of(self, query_keys: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """What is known of some queries.

        Args:
            query_keys: (n,).

        Returns:
            Positions in ``query_keys``, int64 (m,), ascending, and their embeddings, float32 (m, dim); m is how many
            are known, and where none is the shape is (0, 0).
        """
        position = pa.array(range(len(query_keys)), pa.int64())
        wanted = pa.table({"position": position, "query_key": pa.array(query_keys, pa.string())})
        known = self.run_over("wanted", wanted, _KNOWN)
        positions: NDArray[np.int64] = known.column("position").to_numpy()
        if positions.size == 0:
            return positions, np.zeros((0, 0), dtype=np.float32)
        flat: NDArray[np.float32] = known.column("vector").combine_chunks().flatten().to_numpy()
        return positions, flat.reshape(len(positions), -1)
