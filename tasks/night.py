"""A night's run as stages see it: where it reads, where it builds, under which settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.keys import sha256_of_file
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.sources.kept import FOLDER, Keeping

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from pathlib import Path

    from nightrank.storage.bucket.shards import SharedFolder
    from nightrank.storage.release.files import Queries, ScratchFiles
    from nightrank.storage.release.manifest import ChunkTableVersion, Manifest
    from nightrank.storage.workspace.base import Workspace
    from nightrank.tasks.settings.whole import Settings

BUILT_UPON = (
    ReleaseFiles.documents,
    ReleaseFiles.statistics,
    ReleaseFiles.dense_lists,
    ReleaseFiles.sparse_lists,
    ReleaseFiles.snippets,
)


@dataclass(frozen=True, slots=True)
class Before:
    """The release that a night builds upon: the one that was live when it began.

    Args:
        files: Its own.
        same_chunking: Whether its documents were cut as tonight's are.
        same_embedder: Whether its lists hold scores of tonight's embedder.
        same_sparse: Whether it has lists of tonight's sparse encoder.
        pairs_per_second: How fast that was when it was last measured; None where it never was.
    """

    files: ReleaseFiles
    same_chunking: bool
    same_embedder: bool
    same_sparse: bool
    pairs_per_second: float | None

    def is_whole(self, digests: Mapping[str, str]) -> bool:
        """Whether all that a night builds upon is there, with the SHA-256 that the manifest names."""
        files = [self.files.documents, self.files.statistics, self.files.dense_lists, self.files.snippets]
        if self.same_sparse:
            files.append(self.files.sparse_lists)
        return all(file.is_there() and sha256_of_file(file.path) == digests.get(file.path.name) for file in files)


@dataclass(frozen=True, slots=True)
class Night:
    """A small record that every stage takes: stages hand on files, never tables.

    Args:
        settings: What is computed, and where.
        base: The folder that paths in the settings are relative to.
        workspace: Where state lies.
        release_id: Of the release that this run builds.
        before: What it builds upon; None where everything is made from nothing.
        current: The release that readers see; None before the first.
        now: When the run began.
        seed: Of samples that this run draws; another one every night.
        answered: The live release's queries, where a budget in seconds asks for them; None where it
            does not, or where the file is not the one that was published.
        retracted: Ids of documents that were taken down before it began: it treats them as removed.
    """

    settings: Settings
    base: Path
    workspace: Workspace
    release_id: str
    before: Before | None
    current: Manifest | None
    now: datetime
    seed: int
    answered: Queries | None = None
    retracted: Collection[str] = ()

    def open_chunks(self, version: ChunkTableVersion) -> ChunkTable:
        """The version of the chunk table that this run reads."""
        return ChunkTable.open(self.workspace.lance, name=version.name, version=version.version)

    @property
    def keeping(self) -> Keeping:
        """What may be kept of a source that is fetched, and where."""
        return Keeping(self.workspace.root / FOLDER, self.settings.workspace, self.retracted)

    @property
    def staging(self) -> Path:
        """The folder in which this run's release is built."""
        return self.workspace.staging(self.release_id)

    @property
    def files(self) -> ReleaseFiles:
        """The files of the release that is being built."""
        return ReleaseFiles(self.staging)

    @property
    def scratch(self) -> ScratchFiles:
        """Files that stages hand on and the release does not keep."""
        return self.files.scratch

    @property
    def shards(self) -> SharedFolder:
        """What workers are to compute, and what came of it; of a workspace in a bucket it lies there too."""
        return self.workspace.shared_folder(self.scratch.folder / "shards")
