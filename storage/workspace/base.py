"""The workspace: where everything lies, who may write, and which release readers see.

workspace/
  current.json              the one mutable pointer, replaced atomically
  lance/                    one table of chunks an embedder
  lance/.readers            locked while old versions of a table are read, or removed
  memo/                     pair scores, embeddings of queries
  releases/<release_id>/    immutable, named by its manifest
  releases/.staging-<id>/   a release being built; abandoned ones are removed by the next writer
  models/                   what trainings made; see nightrank.storage.workspace.models

Of a workspace in an object store this folder is a local copy; ``storage.workspace.bucket`` says what lies where over
there.
"""

from __future__ import annotations

import json
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.files.atomic import sync_folder, write_atomically

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path

    from nightrank.storage.lance.place import LancePlace
    from nightrank.storage.workspace.bucket import Origin

POINTER = "current.json"
MANIFEST = "manifest.json"  # in the folder of a release, written last
STAGING_PREFIX = ".staging-"


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace: the paths of what is in it, and its pointer.

    Args:
        root: Its folder, or that of its local copy; it need not exist yet.
        origin: Where it is, if that is not here.
    """

    root: Path
    origin: Origin | None = None

    def __str__(self) -> str:
        return str(self.root) if self.origin is None else self.origin.remote.url

    @property
    def lance(self) -> LancePlace:
        """Where LanceDB's tables are."""
        from nightrank.storage.lance.place import LanceBucket, LanceFolder

        return LanceFolder(self.root / "lance") if self.origin is None else LanceBucket(self.origin)

    @property
    def memo(self) -> Path:
        """The folder of the memos."""
        return self.root / "memo"

    @property
    def releases(self) -> Path:
        """The folder of the releases."""
        return self.root / "releases"

    @property
    def models(self) -> Path:
        """The folder of trained models."""
        return self.root / "models"

    def release(self, release_id: str, only: Collection[str] | None = None) -> Path:
        """The folder of one release.

        Args:
            release_id: Its id.
            only: The files that will be read, where that is not all of them: no others are brought from elsewhere.
        """
        if self.origin is not None and is_release_id(release_id):
            self.origin.bring_release(release_id, only)
        return self.releases / release_id

    def manifest_of(self, release_id: str) -> bytes | None:
        """The manifest of a release as it was written; None where there is no such release."""
        if not is_release_id(release_id):
            return None
        if self.origin is not None:
            return self.origin.read(f"releases/{release_id}/{MANIFEST}")
        path = self.releases / release_id / MANIFEST
        return path.read_bytes() if path.is_file() else None

    def release_ids(self) -> list[str]:
        """The ids of all sealed releases, oldest first; a folder without a manifest is no release."""
        if self.origin is not None:
            names = self.origin.release_ids()
        else:
            names = sorted(path.parent.name for path in self.releases.glob(f"*/{MANIFEST}"))
        return [name for name in names if is_release_id(name)]

    def holds(self, release_id: str, names: Collection[str]) -> bool:
        """Whether all these files of a release are there."""
        if self.origin is not None:
            return self.origin.holds(release_id, names)
        return all((self.releases / release_id / name).is_file() for name in names)

    def adopt(self, release_id: str, staging: Path) -> Path:
        """Make a folder with a whole release in it the release's, in one step as readers see it.

        Returns:
            The folder of the release.
        """
        target = self.releases / release_id
        if self.origin is not None:
            self.origin.put_release(release_id, staging)
            shutil.rmtree(target, ignore_errors=True)  # a reader on this machine may have brought files of it already
        staging.rename(target)
        sync_folder(self.releases)
        return target

    def remove_release(self, release_id: str) -> None:
        """Remove a release; it is whole or gone, and what a killed process leaves the next writer removes."""
        if self.origin is not None:
            self.origin.remove_release(release_id)
        with suppress(FileNotFoundError):  # a release that is elsewhere need not be here
            (self.releases / release_id).rename(self.staging(release_id))
            sync_folder(self.releases)
            shutil.rmtree(self.staging(release_id))

    def model(self, name: str) -> Path:
        """The folder of a trained model, whether it is there or not."""
        if self.origin is not None:
            self.origin.bring_model(name)
        return self.models / name

    def memo_to_read(self, path: Path, *, scratch: Path) -> Path:
        """A memo's file for who is not the one writer, whether it is there or not.

        Args:
            path: Of the memo in this workspace.
            scratch: A folder of the reader's own, where a memo that is elsewhere is put together.
        """
        if self.origin is None:
            return path
        self.origin.copy_memo(path.name, scratch)
        return scratch / path.name

    def portable(self, name: str) -> str:
        """A model's name as every machine knows it: models in a local copy are named by where they are kept."""
        if self.origin is None or not name.startswith(f"{self.models}/"):
            return name
        return f"{self}/models/{name.removeprefix(f'{self.models}/')}"

    def here(self, name: str) -> str:
        """The same name as this machine knows it."""
        if self.origin is None or not name.startswith(f"{self}/models/"):
            return name
        return f"{self.models}/{name.removeprefix(f'{self}/models/')}"

    def size_bytes(self, path: Path) -> int:
        """The bytes of a file or folder of the workspace, with all that is in it."""
        if self.origin is not None:
            key = "" if path == self.root else path.relative_to(self.root).as_posix().removesuffix(".duckdb")
            return self.origin.size_bytes(key)
        files = path.rglob("*") if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files if file.is_file())

    def staging(self, release_id: str) -> Path:
        """The folder in which a release is built before it has its name."""
        return self.releases / f"{STAGING_PREFIX}{release_id}"

    def current_release_id(self) -> str | None:
        """The id of the release that readers see, or None before the first.

        Raises:
            MachineError: ``current.json`` cannot be read, or is no JSON object with a release id.
        """
        path = f"{self}/{POINTER}"
        try:
            pointer = self._pointer()
            if pointer is None:
                return None
            release_id = json.loads(pointer)["release_id"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f"{path} does not name a release."
            raise MachineError(message, remedy="Restore it, or remove it and run `nightrank refresh`.") from error
        if not is_release_id(release_id):
            message = f"{path} names {release_id!r}, which is no release id."
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

    def point_at(self, release_id: str, *, now: datetime) -> None:
        """Make a release the one that readers see, atomically.

        Raises:
            MachineError: Another writer has published meanwhile, where that can be.
        """
        pointer = {"release_id": release_id, "published_at": now.isoformat(timespec="seconds")}
        text = json.dumps(pointer, indent=2) + "\n"
        if self.origin is not None:
            self.origin.point_at(text)
        else:
            write_atomically(self.root / POINTER, text)

    def _pointer(self) -> bytes | None:
        if self.origin is not None:
            return self.origin.read(POINTER)
        try:
            return (self.root / POINTER).read_bytes()
        except FileNotFoundError:
            return None


def is_release_id(value: object) -> TypeGuard[str]:
    """Whether a value can be a release's id: the plain name of a folder, not hidden and no path.

    >>> [is_release_id(value) for value in ("20260102T030405-678Z", "..", "", ".staging-1", "a/b", 7)]
    [True, False, False, False, False, False]
    """
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", value) is not None
