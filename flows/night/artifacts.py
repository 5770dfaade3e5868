"""A refresh on Prefect's pages: its counts, measures, gates, and where the report lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.context import FlowRunContext

from nightrank.flows.engine.artifacts import _show_measures_and_gates, _show_report
from nightrank.flows.engine.names import if_reachable
from nightrank.storage.release.files import ReleaseFiles

if TYPE_CHECKING:
    from nightrank.flows.night.summary import Summary
    from nightrank.storage.workspace.base import Workspace


@if_reachable()
def show_in_prefect(summary: Summary, *, workspace: Workspace) -> None:
    """Create the artifacts of a night; does nothing outside a flow run."""
    if FlowRunContext.get() is None:
        return
    manifest = summary.manifest
    files = ReleaseFiles.of(workspace, manifest.release_id, only=[ReleaseFiles.report])
    create_link_artifact(
        link=workspace.link(manifest.release_id),
        link_text=f"Release {manifest.release_id} ({manifest.status})",
        key="nightrank-release",
        description="The folder of the release.",
    )
    if files.report.is_there():
        _show_report(manifest.release_id, files.report.path)
    create_table_artifact(
        table=[{"what": name, "count": count} for name, count in summary.counts.model_dump().items()],
        key="nightrank-counts",
        description="How much the run saw and did.",
    )
    _show_measures_and_gates(manifest)
