"""What an evaluation is asked for, checked before anything is computed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.tasks.evaluate.measures import parse_measure
from nightrank.tasks.experiment.baselines import OtherSettings
from nightrank.tasks.experiment.explain import EvaluationContext
from nightrank.tasks.release import StoredRelease

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from nightrank.flows.settings_file import Configuration
    from nightrank.tasks.experiment.baselines import Baseline


def evaluation_context(
    configuration: Configuration, *, measures: Sequence[str] | None, qrels: str | None, now: datetime, seed: int
) -> EvaluationContext:
    """What everything in an evaluation is measured by.

    Args:
        configuration: Names the judgments and measures where the others are None.
        measures: As ir_measures writes them.
        qrels: A file, relative to the working directory.
        now: When the evaluation begins.
        seed: Of everything random in it.

    Raises:
        InputError: No judgments are named, or a measure is unknown.
    """
    settings = configuration.settings
    if qrels is None and settings.judgments.qrels is None:
        message = "The settings name no judgments to evaluate against."
        raise InputError(message, remedy="Set `qrels` in [judgments], or name a file with --qrels.")
    names = tuple(dict.fromkeys(measures or settings.evaluation.measures))
    for name in names:
        parse_measure(name)
    return EvaluationContext(
        workspace=configuration.workspace,
        settings=settings,
        base=configuration.base,
        qrels=Path(qrels) if qrels is not None else configuration.base / str(settings.judgments.qrels),
        qrels_name=str(qrels or settings.judgments.qrels),
        measures=names,
        now=now,
        seed=seed,
    )


def check_inputs(
    configuration: Configuration,
    release_id: str | None,
    runs: Mapping[str, Path],
    *,
    only_runs: bool,
    grid: bool,
    write_runs: bool,
    baseline: Baseline | None,
) -> str | None:
    """The id of the release to evaluate; None where run files are evaluated alone and nothing needs a release.

    Raises:
        InputError: There is no such release, or no run file where these alone are wanted, or what is asked for beside
            these alone is of a release.
    """
    if not only_runs:
        return StoredRelease.open(configuration.workspace, release_id).release_id
    if not runs:
        message = "There is nothing to evaluate: --only-runs, and no --run."
        raise InputError(message, remedy="Name TREC run files with --run.")
    for option, is_there in (("--grid", grid), ("--write-runs", write_runs)):
        if is_there:
            message = f"{option} is about a release, and --only-runs evaluates none."
            raise InputError(message, remedy=f"Leave out --only-runs or {option}.")
    is_run_over_a_release = isinstance(baseline, OtherSettings)
    return StoredRelease.open(configuration.workspace, release_id).release_id if is_run_over_a_release else None
