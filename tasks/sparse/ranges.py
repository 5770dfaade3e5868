"""The learned sparse leg in ranges: workers read their rows of the memo, and score as one process does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.memo.sparse_vectors import SparseMemo, SparseVectors
from nightrank.tasks.sparse.retrieve import StoredSparseVectors, add_products, require_all

if TYPE_CHECKING:
    from nightrank.storage.bucket.lent import LentFile
    from nightrank.storage.bucket.shards import SharedFolder
    from nightrank.storage.legs import LegName
    from nightrank.tasks.kernels.top_documents import RunningTopDocuments
    from nightrank.tasks.kernels.top_k import RunningTopK
    from nightrank.tasks.legs.texts import Texts


@dataclass(frozen=True, slots=True)
class SparseRanges:
    """A memo of texts' vectors.

    Attributes:
        memo: The file.
        encoder: The fingerprint that it is under.
    """

    memo: LentFile
    encoder: str

    @property
    def leg(self) -> LegName:
        """Which leg."""
        return "sparse"

    def add_best(
        self,
        asked: pa.Table,
        rows: pa.Table,
        best: RunningTopK | None,
        documents: RunningTopDocuments | None,
        *,
        device: str,  # noqa: ARG002 (processors alone)
    ) -> None:
        """Add the scores of every query against every text of the range with which it shares a token.

        Args:
            asked: ``tokens`` and ``weights``.
            rows: ``place``, the row of the memo.
            best: Texts of as many queries; None where none are wanted.
            documents: Documents of as many queries; None where none are wanted.
            device: Not asked.
        """
        places = rows.column("place").to_numpy()
        order = np.argsort(places).astype(np.int32)
        with (
            self.memo.here() as path,
            SparseMemo(path.parent, "texts", encoder=self.encoder, read_only=True) as memo,
        ):
            blocks = ((order[found], vectors) for found, vectors in memo.at(places[order]))
            add_products(best, SparseVectors.in_table(asked), blocks, documents=documents)


class RangedSparseVectors(StoredSparseVectors):
    """Sparse vectors of a memo, open for reading alone, that workers find too."""

    def placed(self, texts: Texts, chunk_hashes: pa.Array | None) -> pa.Table:
        """Where some texts lie: ``number`` and ``place``, by place.

        Args:
            texts: The collection.
            chunk_hashes: string (n,); None for all of it.

        Raises:
            MachineError: The memo lacks one.
        """
        hashes = texts.hashes_by_number() if chunk_hashes is None else chunk_hashes
        positions, rows = self.memo.rows_of(hashes)
        require_all(positions.size, expected=len(hashes))
        order = np.argsort(rows)
        numbers = texts.numbers_of(hashes)[positions[order]]
        return pa.table({"number": pa.array(numbers, pa.int32()), "place": pa.array(rows[order], pa.int64())})

    def range_scan(self, folder: SharedFolder) -> SparseRanges:
        """What finds them from elsewhere.

        Args:
            folder: By which run and workers meet.
        """
        return SparseRanges(folder.lend(self.memo.path), self.memo.encoder)
