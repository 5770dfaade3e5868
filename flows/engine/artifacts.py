"""What a run leaves on Prefect's pages: its tables, and where the release or the trained model is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.context import FlowRunContext

from nightrank.tasks.names import STAGE_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nightrank.flows.evaluate.outcome import Evaluated
    from nightrank.flows.train.promotion import Trained
    from nightrank.flows.night.summary import Summary
    from nightrank.storage.release.collect import Collected
    from nightrank.storage.release.manifest import Gate, Manifest
    from nightrank.storage.workspace.base import Workspace
    from nightrank.tasks.tune.cross_validate import Tuned


def show_in_prefect(summary: Summary, *, workspace: Workspace) -> None:
    """Create the artifacts of a night; does nothing outside a flow run."""
    if FlowRunContext.get() is None:
        return
    manifest = summary.manifest
    folder = workspace.release(manifest.release_id, only=("report.html",)).resolve()
    create_link_artifact(
        link=folder.as_uri() if workspace.origin is None else f"{workspace}/releases/{manifest.release_id}",
        link_text=f"Release {manifest.release_id} ({manifest.status})",
        key="nightrank-release",
        description="The folder of the release.",
    )
    if (report := folder / "report.html").is_file():
        _show_report(manifest.release_id, report)
    create_table_artifact(
        table=[{"what": name, "count": count} for name, count in summary.counts.model_dump().items()],
        key="nightrank-counts",
        description="How much the run saw and did.",
    )
    _show_measures_and_gates(manifest)


def show_training_in_prefect(trained: Trained) -> None:
    """Create the artifacts of a training; does nothing outside a flow run."""
    if FlowRunContext.get() is None:
        return
    create_link_artifact(
        link=trained.folder.resolve().as_uri(),
        link_text=f"Model {trained.folder.name}",
        key="nightrank-model",
        description="The folder of the model, with its card and its loss curve.",
    )
    create_table_artifact(
        table=[figure.model_dump() for figure in trained.card.figures],
        key="nightrank-training",
        description="The trained model against the present one, on held-out queries.",
    )


def show_evaluation_in_prefect(evaluated: Evaluated) -> None:
    """Create an evaluation's artifacts; does nothing outside a flow run."""
    if FlowRunContext.get() is None:
        return
    create_table_artifact(
        table=_stages(evaluated.means),
        key="nightrank-evaluation",
        description=f"Measures on {evaluated.queries} judged queries, release {evaluated.release_id}.",
    )
    if evaluated.comparison is not None:
        create_table_artifact(
            table=evaluated.comparison.to_pylist(),
            key="nightrank-comparison",
            description=f"Against {evaluated.against}, query by query.",
        )
    if evaluated.grid:
        create_table_artifact(
            table=[{**tried.values, **tried.measures["results"]} for tried in evaluated.grid],
            key="nightrank-grid",
            description="Variants of the settings, the best results first.",
        )


def show_tuning_in_prefect(tuned: Tuned) -> None:
    """Create a tuning's artifacts; does nothing outside a flow run."""
    if FlowRunContext.get() is None:
        return
    create_table_artifact(
        table=[{"key": key, "now": tuned.present.get(key), "chosen": tuned.chosen.get(key)} for key in tuned.chosen],
        key="nightrank-tuning",
        description=f"What {tuned.queries} judged queries choose, release {tuned.release_id}.",
    )
    create_table_artifact(
        table=[{"against": name, **found._asdict()} for name, found in tuned.against.items()],
        key="nightrank-tuning-worth",
        description="nDCG@10 of what is chosen, cross-validated.",
    )


def show_collected_in_prefect(collected: Collected, *, dry_run: bool) -> None:
    """Create a collection's artifact; does nothing outside a flow run."""
    if FlowRunContext.get() is None:
        return
    create_table_artifact(
        table=[{"what": name, "removed": value} for name, value in collected.as_json().items()],
        key="nightrank-collected",
        description="What would go." if dry_run else "What nothing reached, and is gone.",
    )


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
