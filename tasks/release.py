"""A release opened again: what it was made with, its judged queries, and where its stores are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from nightrank.storage.errors import MachineError
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import read_manifest
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from nightrank.storage.records import Judgment
    from nightrank.storage.release.manifest import LogMeans, Manifest
    from nightrank.storage.workspace.base import Workspace


@dataclass(frozen=True, slots=True)
class StoredRelease:
    """A release that was committed, for reading.

    Attributes:
        workspace: Where it lies.
        manifest: Its own.
        settings: What it was made with.
    """

    workspace: Workspace
    manifest: Manifest
    settings: Settings

    @classmethod
    def open(cls, workspace: Workspace, release_id: str | None = None) -> Self:
        """A release by its id, or the current one.

        Raises:
            InputError: There is none.
            MachineError: Its manifest, or the settings in it, cannot be read.
        """
        release_id = workspace.require_current() if release_id is None else release_id
        manifest = read_manifest(workspace, release_id)
        try:
            settings = Settings.model_validate(manifest.settings)
        except ValidationError as error:
            message = f"This version cannot read the settings of the release {release_id}."
            raise MachineError(message, remedy="Use the version that made it, or run a refresh.") from error
        # Weighted also where it was made before there was a learned order.
        order = "weighted" if manifest.inputs.order == "weighted" else "learned"
        settings = settings.model_copy(update={"results": settings.results.model_copy(update={"order": order})})
        return cls(workspace, manifest, settings)

    def log_means(self, settings: Settings) -> LogMeans | None:
        """What lists say in the mean over its log; None where the lists of other settings are not those that it had.

        Args:
            settings: By which queries are to be answered.
        """
        return self.manifest.log_means if settings.retrieval.legs == self.settings.retrieval.legs else None

    @property
    def release_id(self) -> str:
        """Its id."""
        return self.manifest.release_id

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.workspace.release(self.release_id)

    @property
    def files(self) -> ReleaseFiles:
        """Its files."""
        return ReleaseFiles(self.folder)

    def judged_queries(self, judgments: Iterable[Judgment]) -> pa.Table:
        """Those of its queries that somebody judged, schema QUERIES, in their order."""
        return judged_queries(self.files.queries.read(), judgments)

    def candidates(self, queries: pa.Table) -> pa.Table:
        """The candidates of some of its queries, schema CANDIDATES."""
        return self.files.candidates.read_rows("query_key", queries.column("query_key"))

    def document_ids(self) -> pa.ChunkedArray:
        """String (n_documents,), the ids of its collection."""
        return self.files.documents.read(["document_id"]).column(0)

    def chunk_table(self) -> ChunkTable:
        """Texts and vectors of its chunks; to be read while ``storage.workspace.folder.reading`` is held."""
        name = self.manifest.chunk_table.name
        return ChunkTable.of_release(self.workspace.lance, name=name, release_id=self.release_id)


def judged_queries(queries: pa.Table, judgments: Iterable[Judgment]) -> pa.Table:
    """The queries that somebody judged, in their order.

    Args:
        queries: With ``query_ids``, those of the log behind each query.
        judgments: The qrels.
    """
    judged = pa.array(sorted({judgment.query_id for judgment in judgments}), pa.string())
    ids = queries.column("query_ids").combine_chunks()
    rows = pc.unique(pc.list_parent_indices(ids).filter(pc.is_in(pc.list_flatten(ids), value_set=judged)))
    return queries.take(rows)
