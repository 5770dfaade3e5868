"""Whether the files of a release are the ones that its manifest names."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from nightrank.storage.doctor.faults import Fault, fault_of
from nightrank.storage.errors import NotStored
from nightrank.storage.files.listing import files_below
from nightrank.storage.keys import sha256_of_file
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.release.files import FileReference, ReleaseFiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nightrank.storage.release.manifest import Manifest
    from nightrank.storage.workspace.base import Workspace

F = TypeVar("F", bound=FileReference)


def file_faults(
    folder: Path, manifest: Manifest, *, on_file: Callable[[int], None] = lambda _done: None
) -> list[Fault]:
    """Which files that a manifest names are not there, or hold something else.

    Args:
        folder: Of the release.
        manifest: Of the release.
        on_file: Called after each file.
    """
    missing, empty, changed = [], [], []
    for name, sha256 in manifest.files.items():
        path = folder / name
        if not path.is_file():
            missing.append(name)
        elif path.stat().st_size == 0:
            empty.append(name)
        elif sha256_of_file(path) != sha256:
            changed.append(name)
        on_file(1)
    return [
        *fault_of("files that are missing", missing),
        *fault_of("files that are empty", empty),
        *fault_of("files whose SHA-256 is not the manifest's", changed),
    ]


def is_there(workspace: Workspace, manifest: Manifest) -> bool:
    """Whether a release has all the files that its manifest names, and LanceDB its tag; contents are not looked at.

    Raises:
        MachineError: The store does not say.
    """
    if not workspace.holds(manifest.release_id, manifest.files):
        return False
    try:
        ChunkTable.of_release(workspace.lance, name=manifest.chunk_table.name, release_id=manifest.release_id)
    except NotStored:
        return False
    return True


def whole_file(file: F, manifest: Manifest) -> F | None:
    """A file of a release; None where it is missing or not the one that the manifest names."""
    is_whole = file.is_there() and sha256_of_file(file.path) == manifest.files.get(file.path.name)
    return file if is_whole else None


def stray_files(folder: Path, manifest: Manifest) -> list[Fault]:
    """Which files of a release its manifest does not name."""
    there = {path.relative_to(folder).as_posix() for path in files_below(folder)}
    return fault_of("files that the manifest does not name", there - {*manifest.files, ReleaseFiles.manifest.name})
