"""Offline evaluation: what a release is worth and why, against what, and what other settings would make of it.

Nothing of the workspace is changed, but that pairs which a variant of the settings needs and nobody has scored yet are
scored and remembered.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from nightrank.flows.engine.flow import nightrank_flow
from nightrank.flows.engine.names import name_flow_run, workspace_name
from nightrank.flows.engine.steps import step
from nightrank.flows.evaluate.artifacts import show_evaluation_in_prefect
from nightrank.flows.evaluate.baseline import find_baseline
from nightrank.flows.evaluate.inputs import check_inputs, evaluation_context
from nightrank.flows.evaluate.known_items import measured_by_known_items
from nightrank.flows.evaluate.outcome import Evaluated
from nightrank.flows.settings_file import load_settings
from nightrank.storage.records import kind_of
from nightrank.tasks.experiment.baselines import compare_with
from nightrank.tasks.experiment.explain import explain_release, measure_release, measure_run_files, run_names
from nightrank.tasks.experiment.grid import evaluate_grid
from nightrank.tasks.experiment.variants import read_grid
from nightrank.tasks.names import judged_queries


@nightrank_flow("evaluate")
def evaluate(
    settings_file: str = "nightrank.toml",
    *,
    release_id: str | None = None,
    measures: list[str] | None = None,
    qrels: str | None = None,
    runs: list[str] | None = None,
    only_runs: bool = False,
    write_runs: str | None = None,
    baseline: str | None = None,
    grid: list[str] | None = None,
    per_query: bool = False,
    seed: int = 0,
) -> Evaluated:
    """Measure a stored release, and TREC run files, on judged queries.

    Where nobody judged, what the release keeps of its known items is told.

    Args:
        settings_file: Path of the settings.
        release_id: Of the release; None for the current one.
        measures: As ir_measures writes them; None for those of the settings.
        qrels: A file of judgments; None for that of the settings.
        runs: TREC run files to measure beside the release.
        only_runs: Measure them alone.
        write_runs: A folder for a TREC run file of each stage.
        baseline: What to compare with: a release's id, a settings file (``*.toml``), a TREC run file.
        grid: Axes such as ``retrieval.fusion=rrf,minmax``; every variant of their product is run over the release.
        per_query: Tell the figures of single queries.
        seed: Of everything random in it.

    Returns:
        What was found.

    Raises:
        InputError: A setting, a file, a measure or a value is wrong, or there is nothing to evaluate.
        WorkspaceBusy: Pairs must be scored, and another run holds the workspace.
    """
    configuration = load_settings(Path(settings_file))
    judged = qrels is not None or configuration.settings.judgments.qrels is not None
    if not (judged or runs or only_runs or write_runs or baseline or grid):
        known = measured_by_known_items(configuration, release_id, measures=measures, per_query=per_query)
        if known is not None:
            return known
    context = evaluation_context(configuration, measures=measures, qrels=qrels, now=datetime.now(UTC), seed=seed)
    files, variants = run_names([Path(run) for run in runs or []]), read_grid(grid or [])
    compared_with = None if baseline is None else find_baseline(baseline, configuration)
    release_id = check_inputs(
        configuration,
        release_id,
        files,
        only_runs=only_runs,
        grid=bool(variants),
        write_runs=write_runs is not None,
        baseline=compared_with,
    )

    evaluation, explained = step(measure_run_files, files, context), None
    written: dict[str, Path] = {}
    if not only_runs:
        of_release, written = step(measure_release, release_id, context, write_to=write_runs)
        explained = step(explain_release, release_id, context, of_release)
        evaluation = pa.concat_tables([of_release, evaluation])
    compared = None
    if compared_with is not None:
        compared = step(compare_with, compared_with, evaluation, context, release_id=release_id)
    grid_results = step(evaluate_grid, variants, context, release_id=release_id) if variants else []

    evaluated = Evaluated(
        release_id=None if only_runs else release_id,
        evaluation=evaluation,
        judged_by=kind_of(context.judgments()) or "people",
        explained=explained,
        baseline=baseline,
        comparison=compared,
        grid=grid_results,
        runs=written,
        per_query=per_query,
    )
    name_flow_run(
        workspace_name(configuration.settings.workspace, base=configuration.base),
        evaluated.release_id or "run files",
        "evaluated",
        log=f"Measured on {evaluated.queries:,} {judged_queries(evaluated.judged_by)}.",
    )
    show_evaluation_in_prefect(evaluated)
    return evaluated
