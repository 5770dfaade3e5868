"""What a source holds at one moment, told apart by a digest: names, sizes and times of files, and the settings."""

from __future__ import annotations

import glob
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nightrank.flows.settings_file import read_settings
from nightrank.storage.keys import fingerprint
from nightrank.tasks.read.folder.named import files_named
from nightrank.tasks.read.signature import source_signature
from nightrank.tasks.read.sources.kind import is_path

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from nightrank.tasks.settings.whole import Settings


class WatchedSource(NamedTuple):
    """The documents that a settings file names. Log and judgments are read with the next refresh, and start none.

    Attributes:
        settings_file: It; read anew by each look, so that a change of it is one, too.
    """

    settings_file: Path

    def state(self) -> str:
        """A digest of what is there: another one where a file came, went or was written, or the settings changed.

        Files count that a refresh would read, so the workspace within the documents' folder does not, nor what
        ``exclude`` leaves out.

        Raises:
            InputError: The settings are wrong, or the source is not there or holds nothing.
            MachineError: It does not answer.
            OSError: It cannot be listed.
        """
        settings = self._settings()
        named = files_named(settings, base=self._base)
        there = source_signature(settings.documents, base=self._base, named=named, workspace=settings.workspace)
        return fingerprint([settings.what(), there])

    def folders(self) -> Sequence[Path]:
        """Where file system events tell of changes; none where the source is no folder or file here."""
        settings = self._settings()
        root = root_of(settings.documents.source, base=self._base)
        return [] if root is None else [root]

    def left_out(self) -> Collection[Path]:
        """What the settings name for something else: the workspace, logs."""
        return files_named(self._settings(), base=self._base).keys()

    def _settings(self) -> Settings:
        return read_settings(self.settings_file, anew=True)  # a schedule is one command that goes on for weeks

    @property
    def _base(self) -> Path:
        return self.settings_file.resolve().parent


def root_of(source: str, *, base: Path) -> Path | None:
    """The folder that a source is in: itself, that of a file, or that before a glob's first wildcard; None elsewhere.

    Args:
        source: ``[documents].source``.
        base: The folder that it is relative to.
    """
    if not is_path(source, base=base):
        return None
    path = base / source
    if not path.exists():
        path = base.joinpath(*takewhile(lambda part: not glob.has_magic(part), Path(source).parts))
    return path.parent if path.is_file() else path
