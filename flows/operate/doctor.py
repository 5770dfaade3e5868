"""The doctor: proves that the stores of a release agree, by count and by digest, and changes nothing.

It takes no writer's lock, only the one by which readers keep vectors from being pruned, so it holds up no night.
What it builds anew lies outside the workspace.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.storage.doctor.faults import Fault
from nightrank.storage.errors import NightrankError, WorkspaceBusy, reason_of
from nightrank.storage.release.manifest import read_manifest, readable_and_damaged
from nightrank.tasks.doctor.collection import (
    check_chunks,
    check_documents,
    check_files,
    check_pointer,
    check_statistics,
    check_vectors,
)
from nightrank.tasks.doctor.examined import Examined, Findings
from nightrank.tasks.doctor.order import check_order
from nightrank.tasks.doctor.rankings import (
    check_candidates,
    check_dense_lists,
    check_measures,
    check_results,
    check_sparse_lists,
)
from nightrank.tasks.doctor.retracted import check_retracted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nightrank.storage.records import JsonValue
    from nightrank.storage.release.manifest import Manifest
    from nightrank.storage.workspace.base import Workspace

CHECKS: Mapping[str, Callable[[Examined], Findings]] = {
    "files": check_files,
    "pointer": check_pointer,
    "documents": check_documents,
    "chunks": check_chunks,
    "vectors": check_vectors,
    "bm25": check_statistics,
    "dense_lists": check_dense_lists,
    "sparse_lists": check_sparse_lists,
    "candidates": check_candidates,
    "order": check_order,
    "results": check_results,
    "measures": check_measures,
    "retracted": check_retracted,
}


@dataclass(frozen=True, slots=True)
class Check:
    """A check by its name, and what it found."""

    name: str
    findings: Findings

    @property
    def passed(self) -> bool:
        """Whether nothing disagrees."""
        return not self.findings.faults


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What every check found in a release."""

    release_id: str
    checks: tuple[Check, ...]

    @property
    def healthy(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def as_json(self) -> dict[str, JsonValue]:
        """The object of ``doctor --json``."""
        checks: list[JsonValue] = [
            {
                "name": check.name,
                "passed": check.passed,
                "compared": dict(check.findings.compared),
                "faults": [
                    {"what": fault.what, "count": fault.count, "examples": list(fault.examples)}
                    for fault in check.findings.faults
                ],
            }
            for check in self.checks
        ]
        return {"release_id": self.release_id, "healthy": self.healthy, "checks": checks}


def examine(workspace: Workspace, *, release_id: str | None) -> Diagnosis:
    """Run every check on a release.

    Args:
        workspace: Where it lies.
        release_id: The release. None: the current one, or the newest accepted one where the pointer names none that
            can be read.

    Raises:
        InputError: There is no such release, or none at all.
        MachineError: The manifest of the release that was named cannot be read.
        WorkspaceBusy: A run is writing what would be read.
    """
    with workspace.reading(), tempfile.TemporaryDirectory(prefix="nightrank-doctor-") as scratch:
        manifest = _current_or_newest(workspace) if release_id is None else read_manifest(workspace, release_id)
        examined = Examined(workspace, manifest, Path(scratch))
        checks = tuple(Check(name, _findings_of(check, examined)) for name, check in CHECKS.items())
    return Diagnosis(manifest.release_id, checks)


def _current_or_newest(workspace: Workspace) -> Manifest:
    try:
        return read_manifest(workspace, workspace.require_current())
    except NightrankError:
        manifests, _ = readable_and_damaged(workspace)
        accepted = [manifest for manifest in manifests if manifest.status == "accepted"]
        if not accepted:
            raise
        return accepted[-1]


def _findings_of(check: Callable[[Examined], Findings], examined: Examined) -> Findings:
    try:
        return check(examined)
    except WorkspaceBusy:
        raise
    except Exception as error:  # a damaged store fails in as many ways as there are stores; each is a finding
        return Findings({}, [Fault(f"it cannot be checked: {' '.join(reason_of(error).split())}")])
