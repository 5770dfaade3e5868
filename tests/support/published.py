"""Looking at a workspace as its readers do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks.parts.compare_releases import first_difference, rankings_of
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.release.manifest import digests_of, read_manifest
from nightrank.storage.workspace.folder import FolderWorkspace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.parts.compare_releases import Entry
    from nightrank.storage.release.manifest import Manifest


def rankings(root: Path, release_id: str | None = None) -> dict[str, list[Entry]]:
    """Every answered query of a release (by default the current one) and its results, read through SearchCache."""
    return rankings_of(FolderWorkspace(root), release_id)


def assert_same_rankings(left: Mapping[str, list[Entry]], right: Mapping[str, list[Entry]]) -> None:
    """The same ids in the same order with the same scores."""
    difference = first_difference(left, right)
    assert difference is None, difference


def check_readable(root: Path, release_id: str | None = None) -> Manifest:
    """Everything that a release (by default the current one) names is there, whole, and agrees."""
    workspace = FolderWorkspace(root)
    release_id = workspace.require_current() if release_id is None else release_id
    manifest = read_manifest(workspace, release_id)
    folder = workspace.release(release_id)
    assert digests_of(folder) == manifest.files
    table = ChunkTable.of_release(workspace.lance, name=manifest.chunk_table.name, release_id=release_id)
    with Bm25Store.open(folder / "bm25.duckdb") as store:
        chunks = store.chunks()
    assert chunks.num_rows == manifest.counts.chunks
    wanted = chunks.column("chunk_hash").unique()
    rows = table.rows(wanted, ["text"])
    assert sorted(rows.column("chunk_hash").to_pylist()) == sorted(wanted.to_pylist())
    assert len(rankings(root, release_id)) == manifest.counts.queries
    return manifest


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its bytes, every folder with None."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def pointer(root: Path) -> dict[str, str]:
    """What current.json says."""
    value: dict[str, str] = json.loads((root / "current.json").read_text())
    return value
