"""A release made from nothing, to compare a nightly one with.

``from_memos`` inherits what models have said (vectors in LanceDB, pair scores and embeddings of queries in the memos)
and no release, so that no model runs and every other stage is done in full. ``from_nothing`` inherits nothing.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.parts.compare_releases import Comparison, compare_releases
from benchmarks.parts.plain_nights import refresh_plainly
from benchmarks.parts.settings_files import write_settings_file
from nightrank.storage.workspace.folder import FolderWorkspace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.parts.settings_files import Value
    from nightrank.storage.workspace.base import Workspace

SEPARATE = "rebuilt"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild found, and what models had to do for it."""

    comparison: Comparison
    chunks_embedded: int
    pairs_scored: int


def from_memos(work: Path, sections: Mapping[str, Mapping[str, Value]], workspace: Workspace) -> Rebuilt:
    """Rebuild with the memos of a workspace and compare; the rebuilt workspace is removed again.

    Args:
        work: The folder that paths in the settings are relative to.
        sections: The settings of the nightly runs, without the workspace.
        workspace: Theirs.
    """
    shutil.rmtree(work / SEPARATE, ignore_errors=True)
    # LanceDB never writes into a file that is there, so a link will do; DuckDB does.
    shutil.copytree(workspace.root / "lance", FolderWorkspace(work / SEPARATE).root / "lance", copy_function=os.link)
    if workspace.memo.is_dir():
        shutil.copytree(workspace.memo, FolderWorkspace(work / SEPARATE).memo)
    return _rebuild(work, sections, workspace)


def from_nothing(work: Path, sections: Mapping[str, Mapping[str, Value]], workspace: Workspace) -> Rebuilt:
    """Rebuild in an empty workspace, all models run again, and compare; arguments as of ``from_memos``."""
    shutil.rmtree(work / SEPARATE, ignore_errors=True)
    return _rebuild(work, sections, workspace)


def _rebuild(work: Path, sections: Mapping[str, Mapping[str, Value]], workspace: Workspace) -> Rebuilt:
    settings_file = write_settings_file(work / f"{SEPARATE}.toml", {"": {"workspace": SEPARATE}, **sections})
    counts = refresh_plainly(settings_file).counts
    comparison = compare_releases(workspace, FolderWorkspace(work / SEPARATE))
    shutil.rmtree(work / SEPARATE)
    return Rebuilt(comparison, counts.chunks_embedded, counts.pairs_scored)
