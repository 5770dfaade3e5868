"""A night's run as stages see it: where it reads, where it builds, under which settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from storage.workspace import Workspace
    from tasks.settings import Settings


@dataclass(frozen=True, slots=True)
class Night:
    """A small record that every stage takes: stages hand on files, never tables.

    Args:
        settings: What is computed, and where.
        base: The folder that paths in the settings are relative to.
        workspace: Where state lies.
        release_id: Of the release that this run builds.
    """

    settings: Settings
    base: Path
    workspace: Workspace
    release_id: str

    @property
    def staging(self) -> Path:
        """The folder in which this run's release is built."""
        return self.workspace.staging(self.release_id)

    @property
    def scratch(self) -> Path:
        """Files that stages hand on and the release does not keep."""
        return self.staging / "scratch"

    @property
    def documents(self) -> Path:
        """Every document once, schema DOCUMENTS."""
        return self.scratch / "documents.parquet"

    @property
    def chunks(self) -> Path:
        """The chunks by chunk number, schema CHUNKS."""
        return self.scratch / "chunks.parquet"

    @property
    def leg_bm25(self) -> Path:
        """The BM25 leg, schema LEG."""
        return self.scratch / "bm25.parquet"

    @property
    def leg_dense(self) -> Path:
        """The dense leg, schema LEG."""
        return self.scratch / "dense.parquet"

    @property
    def fused(self) -> Path:
        """Both legs fused, schema FUSED."""
        return self.scratch / "fused.parquet"

    @property
    def bad_rows(self) -> Path:
        """What was set aside and why, schema BAD_ROWS."""
        return self.staging / "bad_rows.parquet"

    @property
    def document_digests(self) -> Path:
        """``document_id`` and ``document_digest`` of every document."""
        return self.staging / "documents.parquet"

    @property
    def queries(self) -> Path:
        """The chosen queries by query number, schema QUERIES."""
        return self.staging / "queries.parquet"

    @property
    def bm25(self) -> Path:
        """The BM25 statistics."""
        return self.staging / "bm25.duckdb"

    @property
    def candidates(self) -> Path:
        """Legs, fusion, pair scores and final order, schema CANDIDATES."""
        return self.staging / "candidates.parquet"

    @property
    def results(self) -> Path:
        """The search cache."""
        return self.staging / "results.duckdb"

    @property
    def evaluation(self) -> Path:
        """Measures of each stage and judged query."""
        return self.staging / "evaluation.parquet"
