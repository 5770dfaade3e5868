"""The workspace: where everything lies, who may write, and which release readers see.

workspace/
  current.json              the one mutable pointer, replaced atomically
  lance/                    one table of chunks an embedder
  lance/.readers            locked while old versions of a table are read, or removed
  memo/                     pair scores, embeddings of queries
  releases/<release_id>/    immutable, named by its manifest
  releases/.staging-<id>/   a release being built; abandoned ones are removed by the next writer
  models/                   what trainings made; see nightrank.storage.workspace.models
  retracted.json            documents that were taken down, and in retracted/ what is answered without them; see
                            nightrank.storage.retracted.listed

``storage.workspace.folder`` and ``storage.workspace.bucket`` are the two that there are, and ``storage.workspace.open``
chooses between them. Of a workspace in an object store this folder is a local copy; ``storage.workspace.bucket`` says
what lies where over there.
"""

from __future__ import annotations

import json
import re
import shutil
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol, TypeGuard

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.files.atomic import remove_unfinished
from nightrank.storage.files.listing import entries
from nightrank.storage.foreign import machine_error
from nightrank.storage.workspace.locks import held, waiting_for

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from nightrank.storage.bucket.shards import SharedFolder
    from nightrank.storage.lance.place import LancePlace
    from nightrank.storage.workspace.locks import Abandoned

POINTER = "current.json"
MANIFEST = "manifest.json"
RELEASES = "releases"
MODELS = "models"
MEMOS = "memo"
ANSWERS = "retracted"  # the folder of answers that are others since documents were taken down
STAGING_PREFIX = ".staging-"


class SmallFile(Protocol):
    """A small file of a workspace that was read to be changed."""

    @property
    def data(self) -> bytes | None:
        """What was in it; None where it was not there."""

    def write(self, text: str) -> None:
        """Write it anew.

        Raises:
            MachineError: Somebody else has meanwhile, where that can be told.
        """


class Workspace(ABC):
    """A workspace: the paths of what is in it, its pointer, its one writer and its readers.

    Attributes:
        root: Its folder, or that of its local copy; it need not exist yet.
    """

    root: Path

    @abstractmethod
    def __str__(self) -> str:
        """Its name as people write it."""

    @property
    @abstractmethod
    def lance(self) -> LancePlace:
        """Where LanceDB's tables are."""

    @property
    def memo(self) -> Path:
        """The folder of the memos."""
        return self.root / MEMOS

    @property
    def releases(self) -> Path:
        """The folder of the releases."""
        return self.root / RELEASES

    @property
    def models(self) -> Path:
        """The folder of trained models."""
        return self.root / MODELS

    def staging(self, release_id: str) -> Path:
        """The folder in which a release is built before it has its name."""
        return self.releases / f"{STAGING_PREFIX}{release_id}"

    @abstractmethod
    def shared_folder(self, path: Path) -> SharedFolder:
        """Where a run and its workers find each other's files.

        Args:
            path: A folder of the run's own in this workspace; in an object store it stands for a place there.
        """

    # What is small.

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """A small file as it is now, by its path in the workspace; None where there is none."""

    @abstractmethod
    def change(self, name: str) -> SmallFile:
        """A small file as it is now, to be written anew."""

    # Small files that never change, which readers need beside a release.

    @abstractmethod
    def bring(self, name: str, *, sha256: str) -> Path | None:
        """Such a file by its path in the workspace, here; None where it is not there or damaged, as far as is seen."""

    @abstractmethod
    def share(self, name: str) -> None:
        """Let other machines have a file that lies in the folder of the workspace, where they have not the same one."""

    @abstractmethod
    def files_in(self, folder: str) -> list[str]:
        """The names of such files in a folder of the workspace."""

    @abstractmethod
    def remove_files(self, names: Collection[str]) -> None:
        """Remove such files by their paths in the workspace; one that is not there is passed over."""

    @abstractmethod
    def holding(self, name: str, *, what: str, now: datetime) -> AbstractContextManager[None]:
        """Hold a small file of the workspace alone, whoever holds the workspace: others who want to hold it wait.

        Args:
            name: By its path in the workspace.
            what: It is, for people.
            now: When it begins, for whoever waits in vain.

        Raises:
            WorkspaceBusy: Somebody else has held it for longer than is waited.
        """

    @abstractmethod
    def every_file(self) -> Iterator[tuple[str, Path]]:
        """All that the workspace holds, by its path in it, with a file that has its bytes until the next is asked for.

        Of one in an object store that is what lies there, and then what lies in the local copy.
        """

    # Releases.

    @abstractmethod
    def release(self, release_id: str, only: Collection[str] | None = None) -> Path:
        """The folder of one release.

        Args:
            release_id: Its id.
            only: The files that will be read, where that is not all of them: no others are brought from elsewhere.
        """

    def manifest_of(self, release_id: str) -> bytes | None:
        """The manifest of a release as it was written; None where there is no such release."""
        return self.read(f"{RELEASES}/{release_id}/{MANIFEST}") if is_release_id(release_id) else None

    @abstractmethod
    def release_ids(self) -> list[str]:
        """The ids of all committed releases, oldest first; a folder without a manifest is no release."""

    @abstractmethod
    def holds(self, release_id: str, names: Collection[str]) -> bool:
        """Whether all these files of a release are there."""

    @abstractmethod
    def link(self, release_id: str) -> str:
        """The address of a release for people."""

    @abstractmethod
    def adopt(self, release_id: str, staging: Path) -> Path:
        """Make a folder with a whole release in it the release's, in one step as readers see it.

        Returns:
            The folder of the release.
        """

    @abstractmethod
    def remove_release(self, release_id: str) -> None:
        """Remove a release; it is whole or gone, and what a killed process leaves the next writer removes."""

    @abstractmethod
    def forget_removed(self) -> None:
        """Remove copies of releases that are no longer where they were brought from."""

    @abstractmethod
    def size_bytes(self, path: Path) -> int:
        """The bytes of a file or folder of the workspace, with all that is in it."""

    # The pointer.

    def current_release_id(self) -> str | None:
        """The id of the release that readers see, or None before the first.

        Raises:
            MachineError: ``current.json`` cannot be read, or is no JSON object with a release id.
        """
        path = f"{self}/{POINTER}"
        try:
            pointer = self.read(POINTER)
            if pointer is None:
                return None
            release_id = json.loads(pointer)["release_id"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            if (told := machine_error(error)) is not None:
                raise told from error
            message = f"{path} does not name a release."
            raise MachineError(message, remedy="Restore it, or remove it and run `nightrank refresh`.") from error
        if not is_release_id(release_id):
            message = f"{path} names {release_id!r}, which is not a release id."
            raise MachineError(message, remedy="Restore it, or remove it and run `nightrank refresh`.")
        return release_id

    def require_current(self) -> str:
        """The id of the release that readers see.

        Raises:
            InputError: Nothing has been published yet.
        """
        release_id = self.current_release_id()
        if release_id is None:
            message = f"The workspace {self} has no published release."
            raise InputError(message, remedy="Run `nightrank refresh` first.")
        return release_id

    def publish(self, release_id: str, *, now: datetime) -> None:
        """Make a release the one that readers see, atomically.

        Raises:
            MachineError: Another writer has published meanwhile, where that can be.
        """
        pointer = {"release_id": release_id, "published_at": now.isoformat(timespec="seconds")}
        self._replace_pointer(json.dumps(pointer, indent=2) + "\n")

    @abstractmethod
    def _replace_pointer(self, text: str) -> None: ...

    # Trained models.

    @abstractmethod
    def model(self, name: str) -> Path:
        """The folder of a trained model, whether it is there or not."""

    @abstractmethod
    def share_model(self, name: str, *, last: str) -> None:
        """Let other machines have a trained model, where they have not the same folder.

        Args:
            name: Of its folder.
            last: The file that tells of it: without that there is no model.
        """

    @abstractmethod
    def portable(self, name: str) -> str:
        """A model's name as every machine knows it: models in a local copy are named by where they are kept."""

    @abstractmethod
    def here(self, name: str) -> str:
        """The same name as this machine knows it."""

    # Memos.

    @abstractmethod
    def memo_to_read(self, path: Path, *, scratch: Path) -> Path:
        """A memo's file for who is not the one writer, whether it is there or not.

        Args:
            path: Of the memo in this workspace.
            scratch: A folder of the reader's own, where a memo that is elsewhere is put together.
        """

    @abstractmethod
    def hold_memos(self) -> None:
        """Share what memos hold, and leave their files alone from now on: they may be written anew."""

    @abstractmethod
    def share_pruned_memos(self) -> None:
        """Have what was removed from memos go wherever else they are."""

    # One writer, and readers.

    @abstractmethod
    def writing(
        self, *, now: datetime, tidy: bool = True, run: str | None = None
    ) -> AbstractContextManager[Abandoned | None]:
        """Hold the workspace as its one writer; it comes with the run that held it last and was killed, if any was.

        The lock is the operating system's, so it ends with the process that holds it, however that ends. In an object
        store there is a lease beside it, for writers on other machines.
        A workspace that this made and that is still empty at the end is removed again.

        Args:
            now: When it begins, for whoever finds it held.
            tidy: Remove on entry what killed writers left: staging folders, pointers that were not put in place.
            run: Id of the run that writes, by which the next one knows it where it is killed.

        Raises:
            WorkspaceBusy: Another process holds it; the message says which.
        """

    @abstractmethod
    def reading(self) -> AbstractContextManager[None]:
        """Read LanceDB's tables: no version and no file of theirs is removed meanwhile. Readers hold it together.

        Whoever reads but the writer enters it before it asks for the current release. While files are being removed,
        which takes milliseconds, it waits. The results of a release need it not: an open file survives its removal.
        Where there is no lock yet and this user may not make one, as on a read-only mount, it does without.
        """

    @abstractmethod
    def without_readers(self) -> AbstractContextManager[bool]:
        """Keep readers of LanceDB's tables out, if there are none at this moment; whether it is so. Never waits.

        In an object store they are not kept out: who comes now reads the newest version of a table, for every tag names
        that one when this is asked.
        """

    @abstractmethod
    def make_readers_lock(self) -> None:
        """Make what readers hold, for those who may not make it themselves; it is there for good."""

    @contextmanager
    def _holding_here(self, name: str, *, what: str, now: datetime) -> Iterator[None]:
        """Hold a lock of the folder's own for a small file."""
        path = self.root / f".{name}.lock"
        with waiting_for(lambda: held(path, what=f"{what} of {self}", now=now)):
            yield

    @contextmanager
    def _writing_here(self, *, now: datetime, run: str | None) -> Iterator[Abandoned | None]:
        """Hold the lock of the folder; one that this made and that is still empty at the end is removed again."""
        made_here = not self.root.exists()
        try:
            with held(self.root / ".lock", what=f"the workspace {self}", now=now, run=run) as abandoned:
                yield abandoned
        finally:
            if made_here:
                _remove_empty(self.releases)
                _remove_empty(self.root)

    def _remove_abandoned(self) -> None:
        """Remove what killed writers left in the folder."""
        for abandoned in entries(self.releases, f"{STAGING_PREFIX}*"):
            shutil.rmtree(abandoned)
        remove_unfinished(self.root, POINTER)


def is_release_id(value: object) -> TypeGuard[str]:
    """Whether a value can be a release's id: the plain name of a folder, not hidden and no path.

    >>> [is_release_id(value) for value in ("20260102T030405-678Z", "..", "", ".staging-1", "a/b", 7)]
    [True, False, False, False, False, False]
    """
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", value) is not None


def _remove_empty(folder: Path) -> None:
    """Remove a folder where it is there and empty; another process may be filling or removing it meanwhile."""
    with suppress(OSError):
        folder.rmdir()
