"""The LanceDB table of a release, as the release's tag pins it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lancedb

from storage.chunk_table import ChunkTable
from storage.errors import MachineError

if TYPE_CHECKING:
    from pathlib import Path

    from storage.releases import Manifest


def table_of_release(folder: Path, manifest: Manifest) -> ChunkTable:
    """The chunks of a release, at the version that its tag names, for reading.

    Args:
        folder: LanceDB's folder.
        manifest: Of the release.

    Raises:
        MachineError: The table, or the release's tag in it, is not there.
    """
    name, tag = manifest.chunk_table.name, manifest.release_id
    try:
        if not folder.is_dir():  # LanceDB would make it
            raise FileNotFoundError(folder)
        table = lancedb.connect(str(folder)).open_table(name)
        version = table.tags.get_version(tag)
    except (ValueError, RuntimeError, FileNotFoundError) as error:
        message = f"LanceDB's table {name} in {folder} has no tag {tag}."
        raise MachineError(message, remedy="Run `nightrank refresh` to build a new release.") from error
    return ChunkTable.open(folder, name=name, version=version)
