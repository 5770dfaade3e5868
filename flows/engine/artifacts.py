"""What a run leaves on Prefect's pages: its tables, and where the release or the trained model is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.context import FlowRunContext

from nightrank.flows.engine.names import if_reachable
from nightrank.tasks.names import STAGE_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nightrank.storage.release.manifest import Gate, Manifest
    from nightrank.storage.release.prune import Pruned


@if_reachable()
def show_pruned_in_prefect(pruned: Pruned, *, dry_run: bool) -> None:
    """Create a collection's artifact; does nothing outside a flow run."""
    if FlowRunContext.get() is None:
        return
    create_table_artifact(
        table=[{"what": name, "removed": value} for name, value in pruned.as_json().items()],
        key="nightrank-pruned",
        description="What would be removed." if dry_run else "What was removed: no kept release needed it.",
    )


@if_reachable()
def show_report_in_prefect(manifest: Manifest, *, path: Path) -> None:
    """Create the artifacts of a release's report; does nothing outside a flow run."""
    if FlowRunContext.get() is None:
        return
    _show_report(manifest.release_id, path)
    _show_measures_and_gates(manifest)


def _show_report(release_id: str, path: Path) -> None:
    place = path.resolve()
    create_link_artifact(
        link=place.as_uri(),
        link_text=f"Report of {release_id}",
        key="nightrank-report",
        description="What changed, what each stage is worth, and which queries won or lost. Browsers follow no link "
        f"from here to a file: open {place}, or run `nightrank report --release {release_id}` there.",
    )


def _show_measures_and_gates(manifest: Manifest) -> None:
    create_table_artifact(
        table=[{"gate": gate.name, "verdict": _verdict(gate), "why": gate.reason} for gate in manifest.gates],
        key="nightrank-gates",
        description=f"What the release {manifest.release_id} had to pass.",
    )
    if manifest.measures:
        create_table_artifact(
            table=_stages(manifest.measures),
            key="nightrank-measures",
            description=f"What each stage of {manifest.release_id} is worth on the judged queries.",
        )


def _verdict(gate: Gate) -> str:
    if gate.passed:
        return "passed"
    return "accepted all the same" if gate.accepted else "refused"


def _stages(measures: Mapping[str, Mapping[str, float]]) -> list[dict[str, str]]:
    """Rows of a table: stages by the names that people know, and four digits."""
    return [
        {"stage": STAGE_NAMES.get(stage, stage), **{name: f"{value:.4f}" for name, value in values.items()}}
        for stage, values in measures.items()
    ]
