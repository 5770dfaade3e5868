"""Prunes: removes what no kept release reaches, so that a workspace grows with its collection and not by the night.

What kept releases reach stays: their texts' rows in LanceDB and sparse vectors, the pair scores behind their
candidates, the embeddings and sparse vectors of their queries; and all pair scores of their texts that were paid for,
whoever asked for them. Which releases are kept is ``storage.release.retention``'s matter.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from nightrank.storage.errors import MachineError
from nightrank.storage.files.listing import entries
from nightrank.storage.lance.prune import ChunkPruning
from nightrank.storage.lance.reachable import unreachable_rows
from nightrank.storage.memo import prune as memo_prune
from nightrank.storage.memo.file import remove_memo
from nightrank.storage.memo.prune import PAID_PAIRS, PAIRS, QUERIES, SPARSE_QUERIES, SPARSE_TEXTS
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import list_releases
from nightrank.storage.release.retention import kept_releases
from nightrank.storage.workspace.base import STAGING_PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from nightrank.storage.memo.prune import MemoKind
    from nightrank.storage.records import JsonValue
    from nightrank.storage.release.manifest import Manifest
    from nightrank.storage.workspace.base import Workspace

_OF_MODELS = (PAIRS, QUERIES, SPARSE_TEXTS, SPARSE_QUERIES)  # kinds of memos that a release names by their models
_READ = (ReleaseFiles.statistics, ReleaseFiles.candidates, ReleaseFiles.queries, ReleaseFiles.known_candidates)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went, or in a dry run would go.

    Attributes:
        at: When.
        releases_removed: Ids, oldest first.
        staging_removed: Folders of runs that were killed.
        tags_removed: Tags in LanceDB that named no kept release.
        tables_removed: Names of LanceDB's tables of embedders that no kept release names.
        rows_removed: From the other tables.
        memos_removed: Names of memos of models that no kept release names and that are not paid for.
        pair_scores_removed: From the other memos.
        query_vectors_removed: From the other memos.
        sparse_vectors_removed: From the other memos, of texts and of queries.
        waiting_for_readers: Whether files of LanceDB stayed because somebody was reading; they go another time.
        bytes_before: Of the workspace.
        bytes_after: Of the workspace; in a dry run, without the folders and files that would go as a whole.
    """

    at: datetime
    releases_removed: tuple[str, ...]
    staging_removed: int
    tags_removed: int
    tables_removed: tuple[str, ...]
    rows_removed: int
    memos_removed: tuple[str, ...]
    pair_scores_removed: int
    query_vectors_removed: int
    sparse_vectors_removed: int
    waiting_for_readers: bool
    bytes_before: int
    bytes_after: int

    def as_json(self) -> dict[str, JsonValue]:
        """The same names, with the time as ISO 8601 has it."""
        return {**asdict(self), "at": self.at.isoformat(timespec="seconds")}


@dataclass(frozen=True, slots=True)
class _Unwanted:
    """What goes as a whole."""

    releases: tuple[str, ...]
    staging: tuple[Path, ...]
    tables: tuple[str, ...]
    memos: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _KeptTable:
    """A table of chunks that kept releases read: its rows that none of them reaches, uint64 (n,), and stray tags."""

    upkeep: ChunkPruning
    release_ids: tuple[str, ...]
    unreachable: NDArray[np.uint64]
    stale_tags: int


def prune(workspace: Workspace, *, keep: int, now: datetime, thorough: bool = False, dry_run: bool = False) -> Pruned:
    """Remove what nothing reaches. The caller holds the workspace as its one writer.

    A process that is killed at any point leaves every kept release readable, and the next collection goes on.
    In a workspace without a release nothing is known to be unreached, so only abandoned folders go.

    Args:
        workspace: Where.
        keep: Accepted releases to keep, the current one among them; at least 1.
        now: When.
        thorough: Write anew whatever holds something dead, and not only where that is worth its cost every night.
        dry_run: Say what would go, and remove nothing.

    Raises:
        MachineError: The current release is not there, a kept one lacks a file, or its table a row; nothing has gone.
    """
    bytes_before = workspace.size_bytes(workspace.root)
    workspace.hold_memos()
    releases = list_releases(workspace)
    kept = kept_releases(releases, current=workspace.current_release_id(), keep=keep)
    _require_files(workspace, kept)
    tables = [_kept_table(workspace, name, kept) for name in sorted({manifest.chunk_table.name for manifest in kept})]
    unwanted = _unwanted(workspace, releases, kept)
    waiting = False if dry_run else _remove(workspace, unwanted, tables, thorough=thorough)
    removed = {
        kind: _keep_reachable(workspace, kind, kept, thorough=thorough, dry_run=dry_run)
        for kind in (*_OF_MODELS, PAID_PAIRS)
    }
    if not dry_run:
        workspace.share_pruned_memos()
    going = _bytes_of(workspace, unwanted) if dry_run else 0
    return Pruned(
        at=now,
        releases_removed=unwanted.releases,
        staging_removed=len(unwanted.staging),
        tags_removed=sum(table.stale_tags for table in tables),
        tables_removed=unwanted.tables,
        rows_removed=sum(len(table.unreachable) for table in tables),
        memos_removed=tuple(path.name for path in unwanted.memos),
        pair_scores_removed=removed[PAIRS] + removed[PAID_PAIRS],
        query_vectors_removed=removed[QUERIES],
        sparse_vectors_removed=removed[SPARSE_TEXTS] + removed[SPARSE_QUERIES],
        waiting_for_readers=waiting,
        bytes_before=bytes_before,
        bytes_after=workspace.size_bytes(workspace.root) - going,
    )


def is_pruned(workspace: Workspace, *, keep: int, own: Path | None = None) -> bool:
    """Whether no release is there that ``prune`` would remove, nor a part of one: the last night came to its end.

    Args:
        workspace: Where.
        keep: As ``prune`` has it.
        own: The folder of the run that asks, which is no other's leftover.
    """
    releases = list_releases(workspace)
    kept = kept_releases(releases, current=workspace.current_release_id(), keep=keep)
    left = (staging for staging in entries(workspace.releases, f"{STAGING_PREFIX}*") if staging != own)
    return len(kept) == len(releases) and not any(left)


def _require_files(workspace: Workspace, kept: Sequence[Manifest]) -> None:
    for manifest in kept:
        files = _files(workspace, manifest)
        for file in (files.statistics, files.candidates, files.queries):
            if not file.is_there():
                message = f"The release {manifest.release_id} has no file {file.path.name}; nothing is removed."
                raise MachineError(message, remedy="Restore the file, or remove the folder of the release.")


def _unwanted(workspace: Workspace, releases: Sequence[Manifest], kept: Sequence[Manifest]) -> _Unwanted:
    staging = tuple(entries(workspace.releases, f"{STAGING_PREFIX}*"))
    if not kept:
        return _Unwanted((), staging, (), ())
    ids = {manifest.release_id for manifest in kept}
    names = {manifest.chunk_table.name for manifest in kept}
    memos = {path for kind in _OF_MODELS for path in memo_prune.memos(workspace.memo, kind)}
    memos -= {_memo(workspace, kind, manifest) for kind in _OF_MODELS for manifest in kept}
    memos -= set(memo_prune.memos(workspace.memo, PAID_PAIRS))
    return _Unwanted(
        releases=tuple(manifest.release_id for manifest in releases if manifest.release_id not in ids),
        staging=staging,
        tables=tuple(name for name in workspace.lance.table_names() if name not in names),
        memos=tuple(sorted(memos)),
    )


def _bytes_of(workspace: Workspace, unwanted: _Unwanted) -> int:
    paths = [*(workspace.releases / release_id for release_id in unwanted.releases), *unwanted.staging, *unwanted.memos]
    tables = sum(workspace.lance.table_bytes(name) for name in unwanted.tables)
    return tables + sum(workspace.size_bytes(path) for path in paths)


def _kept_table(workspace: Workspace, name: str, kept: Sequence[Manifest]) -> _KeptTable:
    releases = [manifest for manifest in kept if manifest.chunk_table.name == name]
    release_ids = tuple(manifest.release_id for manifest in releases)
    upkeep = ChunkPruning(workspace.lance, name)
    statistics = [_files(workspace, manifest).statistics.path for manifest in releases]
    return _KeptTable(
        upkeep=upkeep,
        release_ids=release_ids,
        unreachable=unreachable_rows(upkeep.rows(), statistics),
        stale_tags=len(upkeep.stale_tags(release_ids)),
    )


def _remove(workspace: Workspace, unwanted: _Unwanted, tables: Sequence[_KeptTable], *, thorough: bool) -> bool:
    """Remove releases before what they alone reach, so that no release is ever there by half; whether readers wait."""
    workspace.make_readers_lock()
    for staging in unwanted.staging:
        shutil.rmtree(staging)
    for release_id in unwanted.releases:
        workspace.remove_release(release_id)
    workspace.lance.remove_leftovers()
    memo_prune.remove_leftovers(workspace.memo)
    for memo in unwanted.memos:
        remove_memo(memo)
    kept = (_tidy(workspace, table, thorough=thorough) for table in tables)
    return any([_remove_tables(workspace, unwanted.tables), *kept])


def _remove_tables(workspace: Workspace, names: Sequence[str]) -> bool:
    """Remove tables as a whole; whether readers kept them."""
    if not names:
        return False
    with workspace.without_readers() as alone:
        for name in names if alone else ():
            workspace.lance.remove_table(name)
    return not alone


def _tidy(workspace: Workspace, table: _KeptTable, *, thorough: bool) -> bool:
    """Remove rows and tags, and put the table together where that is due; whether readers keep its old files."""
    upkeep = table.upkeep
    upkeep.remove(table.unreachable)
    upkeep.move_tags(table.release_ids)
    if not (thorough or upkeep.is_due()):
        return False
    with workspace.without_readers() as alone:
        pass
    if not alone:  # new files beside old ones that stay would only add to them
        return True
    (upkeep.write_anew if thorough else upkeep.put_together)()  # readers may come meanwhile
    upkeep.move_tags(table.release_ids)
    with workspace.without_readers() as alone:
        if alone:
            upkeep.remove_old_versions()
    return not alone


def _files(workspace: Workspace, manifest: Manifest) -> ReleaseFiles:
    """Those of a release that say what it reaches."""
    return ReleaseFiles.of(workspace, manifest.release_id, only=_READ)


def _memo(workspace: Workspace, kind: MemoKind, manifest: Manifest) -> Path:
    """The memo that a release was made with."""
    inputs = manifest.inputs
    named = {PAIRS: inputs.reranker_fingerprint, QUERIES: inputs.embedder}
    return memo_prune.memo_path(workspace.memo, kind, named.get(kind, inputs.sparse))


def _keep_reachable(
    workspace: Workspace, kind: MemoKind, kept: Sequence[Manifest], *, thorough: bool, dry_run: bool
) -> int:
    """Remove from memos what no kept release reaches; how many entries went."""
    return sum(
        memo_prune.keep_reachable(
            memo,
            kind,
            files=[path for files in served for path in _reaching(files, kind)],
            queries=[files.queries.path for files in served],
            thorough=thorough,
            dry_run=dry_run,
        )
        for memo, served in _served(workspace, kind, kept).items()
        if memo.is_file()
    )


def _reaching(files: ReleaseFiles, kind: MemoKind) -> list[Path]:
    """The files of a release that decide what of a memo stays."""
    known = [files.known_candidates.path] if files.known_candidates.is_there() else []
    if kind is PAIRS:
        return [files.candidates.path, *known]
    if kind in {PAID_PAIRS, SPARSE_TEXTS}:
        return [files.statistics.path]
    return [files.queries.path, *known]


def _served(workspace: Workspace, kind: MemoKind, kept: Sequence[Manifest]) -> dict[Path, list[ReleaseFiles]]:
    """The memos of a kind that stay, and the files of the kept releases that each of them serves."""
    if not kept:
        return {}
    paid = memo_prune.memos(workspace.memo, PAID_PAIRS)
    if kind is PAID_PAIRS:
        return {memo: [_files(workspace, manifest) for manifest in kept] for memo in paid}
    served: dict[Path, list[ReleaseFiles]] = {}
    for manifest in kept:
        served.setdefault(_memo(workspace, kind, manifest), []).append(_files(workspace, manifest))
    return {memo: files for memo, files in served.items() if memo not in paid}
