"""Offline evaluation: what a release is worth and why, against what, and what other settings would make of it.

Nothing of the workspace is changed, but that pairs which a variant of the settings needs and nobody has scored yet are
scored and remembered.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from nightrank.flows.engine.flow import nightrank_flow
from nightrank.flows.engine.names import name_run, workspace_name
from nightrank.flows.engine.steps import step
from nightrank.flows.evaluate.artifacts import show_evaluation_in_prefect
from nightrank.flows.evaluate.inputs import check_inputs, yardstick_of
from nightrank.flows.evaluate.opponent import find_opponent
from nightrank.flows.evaluate.outcome import Evaluated
from nightrank.flows.settings import load_settings
from nightrank.tasks.experiment.explain import explain_release, measure_release, measure_run_files, run_names
from nightrank.tasks.experiment.grid import try_grid
from nightrank.tasks.experiment.opponents import compare_with
from nightrank.tasks.experiment.variants import read_grid


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
    against: str | None = None,
    grid: list[str] | None = None,
    per_query: bool = False,
    seed: int = 0,
) -> Evaluated:
    """Measure a stored release, and TREC run files, on judged queries.

    Args:
        settings_file: Path of the settings.
        release_id: Of the release; None for the current one.
        measures: As ir_measures writes them; None for those of the settings.
        qrels: A file of judgments; None for that of the settings.
        runs: TREC run files to measure beside the release.
        only_runs: Measure them alone.
        write_runs: A folder for a TREC run file of each stage.
        against: What to compare with: a release's id, a settings file (``*.toml``), a TREC run file.
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
    yardstick = yardstick_of(configuration, measures=measures, qrels=qrels, now=datetime.now(UTC), seed=seed)
    files, variants = run_names([Path(run) for run in runs or []]), read_grid(grid or [])
    opponent = None if against is None else find_opponent(against, configuration)
    release_id = check_inputs(
        configuration,
        release_id,
        files,
        only_runs=only_runs,
        grid=bool(variants),
        write_runs=write_runs is not None,
        opponent=opponent,
    )

    evaluation, explained = step(measure_run_files, files, yardstick), None
    written: dict[str, Path] = {}
    if not only_runs:
        of_release, written = step(measure_release, release_id, yardstick, write_to=write_runs)
        explained = step(explain_release, release_id, yardstick, of_release)
        evaluation = pa.concat_tables([of_release, evaluation])
    compared = None
    if opponent is not None:
        compared = step(compare_with, opponent, evaluation, yardstick, release_id=release_id)
    tried = step(try_grid, variants, yardstick, release_id=release_id) if variants else []

    evaluated = Evaluated(
        release_id=None if only_runs else release_id,
        evaluation=evaluation,
        explained=explained,
        against=against,
        comparison=compared,
        grid=tried,
        runs=written,
        per_query=per_query,
    )
    name_run(
        workspace_name(configuration.settings.workspace, base=configuration.base),
        evaluated.release_id or "run files",
        "evaluated",
        log=f"Measured on {evaluated.queries:,} judged queries.",
    )
    show_evaluation_in_prefect(evaluated)
    return evaluated
