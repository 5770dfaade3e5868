"""What an evaluation is held against: another release, other settings over the same one, or a run of another system."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.release.evaluation import EVALUATION
from nightrank.tasks.evaluate.measures import STAGES
from nightrank.tasks.evaluate.significance import compare_evaluations
from nightrank.tasks.experiment.explain import measure_release, measure_run_files
from nightrank.tasks.runtime.stage_task import stage_task

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.workspace.base import Workspace
    from nightrank.tasks.experiment.explain import EvaluationContext
    from nightrank.tasks.settings.whole import Settings


@dataclass(frozen=True, slots=True)
class OtherRelease:
    """A release, of this workspace or another: by its id, or the current one."""

    workspace: Workspace
    release_id: str | None


@dataclass(frozen=True, slots=True)
class OtherSettings:
    """Other settings, run over the release that is evaluated."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class RunFile:
    """A TREC run file; it is held against every stage."""

    path: Path


PUBLISHED = "results"  # what readers see of a release, and run files of other systems are held against
Baseline = OtherRelease | OtherSettings | RunFile


@stage_task("compare")
def compare_with(
    baseline: Baseline, evaluation: pa.Table, context: EvaluationContext, *, release_id: str | None
) -> pa.Table:
    """Hold an evaluation against a baseline, query by query; differences are in favour of the evaluation.

    A stage is held against the same stage, a run file against the baseline's results.

    Args:
        baseline: What comes before.
        evaluation: Schema EVALUATION, what comes after.
        context: What the latter was, and the former is measured by.
        release_id: Of the release over whose stores a variant is run; None for the current one.

    Returns:
        A table of schema COMPARISON.

    Raises:
        InputError: The baseline is not there, or is none.
    """
    before = _measured(baseline, evaluation, context, release_id=release_id)
    known = set(before.column("stage").to_pylist())
    runs = [stage for stage in evaluation.column("stage").unique().to_pylist() if stage not in STAGES]
    results = before.filter(pc.field("stage") == PUBLISHED)
    before = pa.concat_tables([before, *(_as_stage(results, run) for run in runs if run not in known)])
    return compare_evaluations(before, evaluation, generator=np.random.default_rng(context.seed))


def _measured(
    baseline: Baseline, evaluation: pa.Table, context: EvaluationContext, *, release_id: str | None
) -> pa.Table:
    """Schema EVALUATION, of the baseline."""
    if isinstance(baseline, OtherRelease):
        theirs = replace(context, workspace=baseline.workspace)
        measured, _ = measure_release.fn(baseline.release_id, theirs)
        return measured
    if isinstance(baseline, RunFile):
        run = measure_run_files.fn({"run": baseline.path}, context)
        stages = evaluation.column("stage").unique().to_pylist()
        return pa.concat_tables([_as_stage(run, stage) for stage in stages])
    with context.experiment(release_id) as experiment:
        return experiment.evaluate(baseline.settings).evaluation


def _as_stage(run: pa.Table, stage: str) -> pa.Table:
    return run.set_column(0, EVALUATION.field("stage"), pa.array([stage] * run.num_rows, pa.string()))
