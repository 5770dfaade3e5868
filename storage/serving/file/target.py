"""Serving from a file: written beside the one that is live, which it then replaces in one step.

A reader that has the old file open keeps it until it closes it, so nothing has to be collected.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.errors import ChangedMeanwhile, InputError, MachineError
from nightrank.storage.files.atomic import remove_unfinished, replacing
from nightrank.storage.foreign import machine_error, passing_failure, placed
from nightrank.storage.serving.export import counted
from nightrank.storage.workspace.locks import held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from nightrank.storage.serving.entries import Entry, ReleaseToServe
    from nightrank.storage.serving.reader import KeyedReader, Served


class FileFormat(NamedTuple):
    """How a kind of file is written and read.

    Attributes:
        write: A file that is not there yet, from entries that come by key.
        open: It for look-ups; raises ``NotOurs`` where no export has written it.
    """

    write: Callable[[Path, Served, Iterator[Entry]], None]
    open: Callable[[Path], KeyedReader]


class NotOurs(ValueError):
    """A file is there, and no export has written it."""


@dataclass(frozen=True, slots=True)
class FileTarget:
    """A file that serves a release.

    Args:
        path: The file.
        format: Of it.
        now: When the export began, for whoever finds another at work.
    """

    path: Path
    format: FileFormat
    now: datetime

    def served(self) -> Served | None:
        """What the file serves; None where it is not there.

        Raises:
            InputError: The file was not written by an export, and is therefore not replaced.
        """
        try:
            if not self.path.exists():
                return None
            with placed(self.path), self.format.open(self.path) as reader:
                return reader.served()
        except (NotOurs, OSError) as error:
            if (told := passing_failure(error)) is not None:
                raise told from error
            message = f"{self.path} is there and was not written by an export."
            raise InputError(message, remedy="Remove it, or export to another file.") from error

    def replace(self, release: ReleaseToServe, *, on_entries: Callable[[int], None]) -> tuple[str, ...]:
        """Write a release's results and put them in place of what is served.

        Raises:
            InputError: The folder cannot be written.
            MachineError: The disk is full, or fails.
            ChangedMeanwhile: Something was taken down meanwhile.
            WorkspaceBusy: Another export is writing this file.
        """
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            writable = os.access(folder, os.W_OK) and not self.path.is_dir()
        except OSError as error:
            if (told := passing_failure(error)) is not None:
                raise told from error
            writable = False
        if not writable:
            raise InputError(f"{self.path} cannot be written.", remedy="Export to another file.")
        try:
            with held(folder / f".{self.path.name}.lock", what=f"{self.path}, as an export,", now=self.now):
                remove_unfinished(folder, self.path.name)
                with replacing(self.path) as temporary:
                    self.format.write(temporary, release.served, counted(release.entries(), on_entries))
                    release.require_unchanged()
        except ChangedMeanwhile:
            raise
        except Exception as error:
            told = machine_error(error)
            if told is None:
                raise
            message = f"{self.path} could not be written: {told.message} What it served stays."
            raise MachineError(message, remedy=told.remedy) from error
        return ()
