"""Checks of a release's files, and of the pointer by which readers find a release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.errors import NightrankError
from nightrank.storage.doctor.faults import Fault
from nightrank.storage.release.files import file_faults, stray_files
from nightrank.storage.release.manifest import read_manifest
from nightrank.tasks.doctor.examined import Findings
from nightrank.tasks.runtime.progress import progress

if TYPE_CHECKING:
    from nightrank.tasks.doctor.examined import Examined


def check_files(examined: Examined) -> Findings:
    """Each file that the manifest names has its SHA-256, and there is no other."""
    manifest, folder = examined.manifest, examined.folder
    with progress("files", len(manifest.files)) as advance:
        faults = file_faults(folder, manifest, on_file=advance)
    return Findings({"files": len(manifest.files)}, [*faults, *stray_files(folder, manifest)])


def check_pointer(examined: Examined) -> Findings:
    """``current.json`` names a release that is sealed and was accepted."""
    try:
        release_id = examined.workspace.require_current()
        status = read_manifest(examined.workspace, release_id).status
    except NightrankError as error:
        return Findings({"pointer": 1}, [Fault(error.message)])
    faults = [] if status == "accepted" else [Fault(f"current.json names {release_id}, which was {status}")]
    return Findings({"pointer": 1}, faults)
