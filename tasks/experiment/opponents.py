"""What an evaluation is held against: another release, other settings over the same one, or a run of another system."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from prefect import task
from prefect.cache_policies import NO_CACHE

from nightrank.storage.release.evaluation import EVALUATION
from nightrank.tasks.evaluate.measures import STAGES
from nightrank.tasks.evaluate.significance import compare_evaluations
from nightrank.tasks.experiment.explain import measure_release, measure_run_files

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.workspace.base import Workspace
    from nightrank.tasks.experiment.explain import Yardstick
    from nightrank.tasks.settings.file import Settings


@dataclass(frozen=True, slots=True)
class OtherRelease:
    """A release, of this workspace or another: by its id, or the current one."""

    workspace: Workspace
    release_id: str | None


@dataclass(frozen=True, slots=True)
class Variant:
    """Other settings, run over the release that is evaluated."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class RunFile:
    """A TREC run file; it is held against every stage."""

    path: Path


PUBLISHED = "results"  # what readers see of a release, and run files of other systems are held against
Opponent = OtherRelease | Variant | RunFile


@task(name="compare", cache_policy=NO_CACHE)
def compare_with(opponent: Opponent, evaluation: pa.Table, yardstick: Yardstick, *, release_id: str | None) -> pa.Table:
    """Hold an evaluation against an opponent, query by query; differences are in favour of the evaluation.

    A stage is held against the same stage, a run file against the opponent's results.

    Args:
        opponent: What comes before.
        evaluation: Schema EVALUATION, what comes after.
        yardstick: What the latter was, and the former is measured by.
        release_id: Of the release over whose stores a variant is run; None for the current one.

    Returns:
        A table of schema COMPARISON.

    Raises:
        InputError: The opponent is not there, or is none.
    """
    before = _measured(opponent, evaluation, yardstick, release_id=release_id)
    known = set(before.column("stage").to_pylist())
    runs = [stage for stage in evaluation.column("stage").unique().to_pylist() if stage not in STAGES]
    results = before.filter(pc.field("stage") == PUBLISHED)
    before = pa.concat_tables([before, *(_as_stage(results, run) for run in runs if run not in known)])
    return compare_evaluations(before, evaluation, generator=np.random.default_rng(yardstick.seed))


def _measured(opponent: Opponent, evaluation: pa.Table, yardstick: Yardstick, *, release_id: str | None) -> pa.Table:
    """Schema EVALUATION, of the opponent."""
    if isinstance(opponent, OtherRelease):
        theirs = replace(yardstick, workspace=opponent.workspace)
        measured, _ = measure_release.fn(opponent.release_id, theirs)
        return measured
    if isinstance(opponent, RunFile):
        run = measure_run_files.fn({"run": opponent.path}, yardstick)
        stages = evaluation.column("stage").unique().to_pylist()
        return pa.concat_tables([_as_stage(run, stage) for stage in stages])
    with yardstick.experiment(release_id) as experiment:
        return experiment.run(opponent.settings).evaluation


def _as_stage(run: pa.Table, stage: str) -> pa.Table:
    return run.set_column(0, EVALUATION.field("stage"), pa.array([stage] * run.num_rows, pa.string()))
