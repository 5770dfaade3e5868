"""Making another release the one that readers see: one pointer is replaced, and nothing else changes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import read_manifest, readable_and_damaged
from nightrank.storage.release.retention import live_line
from nightrank.storage.release.whole import file_faults

if TYPE_CHECKING:
    from datetime import datetime

    from nightrank.storage.release.manifest import Manifest
    from nightrank.storage.workspace.base import Workspace


@dataclass(frozen=True, slots=True)
class RolledBack:
    """Which release readers see now, and which they saw before; None where ``current.json`` named none."""

    current: str
    before: str | None


class Publish(Protocol):
    """Makes a release the one that readers see."""

    def __call__(self, workspace: Workspace, release_id: str, /, *, now: datetime) -> object:
        """Move the pointer."""


def roll_back(workspace: Workspace, release_id: str | None, *, now: datetime, publish: Publish) -> RolledBack:
    """Make an accepted release current, once its files have proved whole and its table of vectors is there.

    Args:
        workspace: Where the releases are.
        release_id: The release, or None for the one that was live before the current one (where it is gone, the newest
            accepted one that is older).
        now: The time that the pointer carries.
        publish: Moves it, once what was taken down is kept out of what readers get.

    Raises:
        InputError: There is no such release, it was rejected, it is current already, or an earlier version made it in
            a form that this one does not read.
        MachineError: A file of the release is not what its manifest says, or its table of vectors is gone.
        WorkspaceBusy: Another run is at work.
    """
    with workspace.writing(now=now):
        before: str | None
        if release_id is None:
            manifest, before = _newest_before_current(workspace)
        else:
            manifest, before = read_manifest(workspace, release_id), _current_if_readable(workspace)
        _require_publishable(manifest, current=before)
        _require_whole(workspace, manifest)
        publish(workspace, manifest.release_id, now=now)
    return RolledBack(current=manifest.release_id, before=before)


def _newest_before_current(workspace: Workspace) -> tuple[Manifest, str]:
    current = workspace.require_current()
    manifests, _ = readable_and_damaged(workspace)
    accepted = {manifest.release_id: manifest for manifest in manifests if manifest.status == "accepted"}
    older = sorted((release_id for release_id in accepted if release_id < current), reverse=True)
    for release_id in (*live_line(manifests, current=current)[1:], *older):
        if release_id in accepted:
            return accepted[release_id], current
    message = f"There is no accepted release before {current}."
    raise InputError(message, remedy="`nightrank releases` lists what there is.")


def _current_if_readable(workspace: Workspace) -> str | None:
    with suppress(MachineError):  # a pointer that cannot be read is what naming a release mends
        return workspace.current_release_id()
    return None


def _require_publishable(manifest: Manifest, *, current: str | None) -> None:
    if manifest.release_id == current:
        message = f"The release {current} is the current one already."
        raise InputError(message, remedy="Name another; `nightrank releases` lists what there is.")
    if manifest.status == "rejected":
        reasons = "; ".join(f"{gate.name}: {gate.reason}" for gate in manifest.gates if not gate.passed)
        message = f"The release {manifest.release_id} was rejected. {reasons}."
        raise InputError(message, remedy="Choose a release that passed its gates.")
    if ReleaseFiles.former_results.name in manifest.files:
        message = f"An earlier version made the release {manifest.release_id}; this one cannot read its results."
        raise InputError(message, remedy="Choose a later release, or roll back with that version.")


def _require_whole(workspace: Workspace, manifest: Manifest) -> None:
    faults = file_faults(workspace.release(manifest.release_id), manifest)
    if faults:
        message = f"The release {manifest.release_id} is damaged: {'; '.join(map(str, faults))}."
        raise MachineError(message, remedy="Choose another, or restore these files.")
    ChunkTable.of_release(workspace.lance, name=manifest.chunk_table.name, release_id=manifest.release_id)
