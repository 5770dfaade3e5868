"""The memo of pair scores: what a reranker said of (query, chunk), under its fingerprint.

One file a reranker, ``memo/pairs-<fingerprint>.duckdb``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from nightrank.storage.files.database import require_finite
from nightrank.storage.memo.file import MemoFile

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

PAIR_SCORES = pa.schema(
    [
        pa.field("query_key", pa.string(), nullable=False),
        pa.field("chunk_hash", pa.string(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
    ]
)

PAID = "hosted-"  # begins the fingerprints of rerankers whose scores cost money: their memos are kept for longer

# Keys are 128-bit digests, kept as UUIDs: 16 bytes instead of 32 characters.
CREATE_PAIR_SCORES = """
CREATE TABLE IF NOT EXISTS pair_scores (query_key UUID NOT NULL, chunk_hash UUID NOT NULL, score FLOAT NOT NULL)
"""
_COUNT = "SELECT count(*) FROM pair_scores"
_APPEND = "INSERT INTO pair_scores SELECT query_key::UUID, chunk_hash::UUID, score FROM batch"
_KNOWN = """
SELECT wanted.position, memo.score
FROM (SELECT position, query_key::UUID AS query_key, chunk_hash::UUID AS chunk_hash FROM wanted) AS wanted
JOIN pair_scores AS memo USING (query_key, chunk_hash)
"""


class PairMemo(MemoFile):
    """Pair scores of one reranker.

    Args:
        folder: The workspace's folder of memos; made where it is missing.
        reranker: The reranker's fingerprint.
    """

    def __init__(self, folder: Path, *, reranker: str) -> None:
        super().__init__(folder / f"pairs-{reranker}.duckdb", create=CREATE_PAIR_SCORES, count=_COUNT)

    def append(self, pairs: pa.Table, scores: NDArray[np.float32]) -> None:
        """Commit the scores of pairs that the memo does not hold yet.

        Args:
            pairs: ``query_key`` and ``chunk_hash`` (n,).
            scores: float32 (n,).

        Raises:
            MachineError: A score is not finite; it would be remembered for ever.
        """
        require_finite(scores, what="pair scores", section="reranker")
        columns = [pairs.column("query_key"), pairs.column("chunk_hash"), pa.array(scores, pa.float32())]
        self.run_over("batch", pa.Table.from_arrays(columns, schema=PAIR_SCORES), _APPEND)

    def scores_of(self, pairs: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """What is known of some pairs.

        Args:
            pairs: ``query_key`` and ``chunk_hash`` (n,).

        Returns:
            Positions in ``pairs``, int64 (m,), and their scores, float32 (m,); m is how many are known.
        """
        position = pa.array(range(pairs.num_rows), pa.int64())
        wanted = pa.table(
            {"position": position, "query_key": pairs.column("query_key"), "chunk_hash": pairs.column("chunk_hash")}
        )
        known = self.run_over("wanted", wanted, _KNOWN)
        return known.column("position").to_numpy(), known.column("score").to_numpy()
