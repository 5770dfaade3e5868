"""A release opened again: what it was made with, its judged queries, and where its stores are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from nightrank.storage.errors import MachineError
from nightrank.storage.keys import normalise_query
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.records import ids_or_words
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import read_manifest
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

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
        queries: Schema QUERIES, with ``query_ids``, those of the log behind each query. One without an id is judged by
            its words.
        judgments: The qrels.
    """
    judged = {judgment.query_id for judgment in judgments}
    words = pa.array(sorted({normalise_query(one) for one in judged}), pa.string())
    by_id = _with_any(queries.column("query_ids"), pa.array(sorted(judged), pa.string()))
    by_words = pc.is_in(queries.column("text"), value_set=words).to_numpy()
    if "aliases" in queries.schema.names:  # older releases have none
        by_words |= _with_any(queries.column("aliases"), words)
    found = queries.filter(pa.array(by_id | by_words))
    rows = found.to_pylist()
    ids = ids_or_words(
        [row["text"] for row in rows],
        [row["query_ids"] for row in rows],
        [row.get("aliases", ()) for row in rows],
        [row.get("filter") for row in rows],
        judged=judged,
    )
    place, field = queries.schema.get_field_index("query_ids"), queries.schema.field("query_ids")
    named = found.set_column(place, field, pa.array(ids, field.type))
    return named.filter(pa.array([not judged.isdisjoint(of) for of in ids], pa.bool_()))


def _with_any(lists: pa.ChunkedArray, values: pa.Array) -> NDArray[np.bool_]:
    """Which lists (n,) of texts hold one of some values: bool (n,)."""
    listed = lists.combine_chunks()
    found = np.zeros(len(listed), dtype=np.bool_)
    found[pc.list_parent_indices(listed).filter(pc.is_in(pc.list_flatten(listed), value_set=values)).to_numpy()] = True
    return found
