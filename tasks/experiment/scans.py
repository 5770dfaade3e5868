"""Legs over vectors where a release's lists do not reach: the queries meet the whole collection once more.

Vectors are those of the workspace's memos, which no other run may be writing meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from nightrank.storage.errors import MachineError
from nightrank.storage.filters.queries import by_text
from nightrank.storage.memo.query_vectors import QueryMemo
from nightrank.storage.memo.sparse_vectors import SparseMemo
from nightrank.tasks.sparse.retrieve import StoredSparseVectors

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName
    from nightrank.storage.memo.sparse_vectors import SparseVectors
    from nightrank.tasks.first_stage import FirstStage
    from nightrank.tasks.release import StoredRelease
    from nightrank.tasks.settings.whole import Settings


@dataclass(frozen=True, eq=False)  # no slots: vectors are read when they are first asked for, and once
class Scans:
    """The whole collection of a release, met by some of its queries.

    Attributes:
        release: Whose.
        first_stage: Over its stores.
        queries: Schema QUERIES.
        now: For whoever finds the workspace's writer held.
    """

    release: StoredRelease
    first_stage: FirstStage
    queries: pa.Table
    now: datetime

    def leg(
        self,
        leg: LegName,
        numbers: NDArray[np.int64],
        allowed: NDArray[np.bool_] | None,
        *,
        settings: Settings,
        depth: int,
    ) -> pa.Table:
        """What some queries find, schema LEG.

        Args:
            leg: The dense or the sparse one.
            numbers: int64 (n,), the queries.
            allowed: bool (n_chunks,), the chunks that their filter lets through; None for all.
            settings: What counts.
            depth: Documents, or chunks, a query.

        Raises:
            MachineError: A memo lacks a vector.
            WorkspaceBusy: Another run holds the workspace.
        """
        if leg == "dense":
            return self.first_stage.dense(self._vectors[numbers], allowed, settings=settings, depth=depth)
        workspace, encoder = self.release.workspace, self.release.manifest.inputs.sparse
        vectors = self._sparse_vectors.take(numbers)
        with (
            workspace.writing(now=self.now, tidy=False),
            SparseMemo(workspace.memo, "texts", encoder=encoder) as memo,
        ):
            first_stage = replace(self.first_stage, sparse_vectors=StoredSparseVectors(memo))
            return first_stage.sparse(vectors, allowed, settings=settings, depth=depth)

    @cached_property
    def _vectors(self) -> NDArray[np.float32]:
        """Float32 (n_queries, dim)."""
        workspace, embedder = self.release.workspace, self.release.manifest.inputs.embedder
        with workspace.writing(now=self.now, tidy=False), QueryMemo(workspace.memo, embedder=embedder) as memo:
            known, vectors = memo.vectors_of(self._keys().to_pylist())
        self._require(known)
        return vectors

    @cached_property
    def _sparse_vectors(self) -> SparseVectors:
        """Those of all queries."""
        workspace, encoder = self.release.workspace, self.release.manifest.inputs.sparse
        with (
            workspace.writing(now=self.now, tidy=False),
            SparseMemo(workspace.memo, "queries", encoder=encoder) as memo,
        ):
            known, vectors = memo.vectors_of(self._keys())
        self._require(known)
        return vectors

    def _keys(self) -> pa.Array:
        return by_text(self.queries, self.queries).column("query_key").combine_chunks()

    def _require(self, known: NDArray[np.integer]) -> None:
        if known.size < self.queries.num_rows:
            message = f"The memo of {self.release.workspace} lacks vectors of queries that the release answers."
            raise MachineError(message, remedy="Run a refresh, and evaluate the release that it makes.")
