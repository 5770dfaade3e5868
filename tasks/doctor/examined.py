"""What the checks of a release share: what they look at, and what they come back with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.release.files import ReleaseFiles
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nightrank.storage.doctor.faults import Fault
    from nightrank.storage.release.files import FileReference
    from nightrank.storage.release.manifest import Manifest
    from nightrank.storage.workspace.base import Workspace


DOCUMENTS_SINCE = 5  # the pipeline whose candidates are documents


@dataclass(frozen=True, slots=True)
class Examined:
    """A release under examination.

    Attributes:
        workspace: Where it lies; nothing in it is ever written.
        manifest: What the release says of itself.
        scratch: A folder outside the workspace for what a check builds anew.
    """

    workspace: Workspace
    manifest: Manifest
    scratch: Path

    @property
    def folder(self) -> Path:
        """The folder of the release."""
        return self.workspace.release(self.manifest.release_id)

    @property
    def settings(self) -> Settings:
        """The settings that the release was made with."""
        return Settings.model_validate(self.manifest.settings)

    @property
    def ranks_documents(self) -> bool:
        """Whether its candidates are documents; those of pipelines before the fifth are chunks."""
        return self.settings.results.unit == "document" and self._made_by >= DOCUMENTS_SINCE

    @property
    def _made_by(self) -> int:
        """The number of the pipeline that made it; what follows a comma says what else it went by."""
        return int(self.manifest.inputs.pipeline.partition(",")[0])

    def table(self) -> ChunkTable:
        """Its texts and vectors, as its tag in LanceDB names them.

        Raises:
            MachineError: The table or the tag is not there.
        """
        name, release_id = self.manifest.chunk_table.name, self.manifest.release_id
        return ChunkTable.of_release(self.workspace.lance, name=name, release_id=release_id)

    @property
    def files(self) -> ReleaseFiles:
        """Its files."""
        return ReleaseFiles(self.folder)

    def holds(self, file: FileReference) -> bool:
        """Whether a file belongs to the release: its manifest names it, or it is there."""
        return file.path.name in self.manifest.files or file.is_there()


@dataclass(frozen=True, slots=True)
class Findings:
    """What a check came back with.

    Attributes:
        compared: How many of what were compared; empty where the release has nothing for the check to look at.
        faults: What does not agree.
    """

    compared: Mapping[str, int]
    faults: Sequence[Fault]
