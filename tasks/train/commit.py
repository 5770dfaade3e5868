"""The end of a training: its measures, its name, its folder made final."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from nightrank.storage.files.atomic import write_text
from nightrank.storage.files.parquet import read_table, write_table
from nightrank.storage.workspace.models import commit_model
from nightrank.tasks.models.card import CARD, LOSSES_FILE, MEASURES, Figure
from nightrank.tasks.models.curve import draw_losses
from nightrank.tasks.models.files import find_model
from nightrank.tasks.runtime.stage_task import stage_task

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.tasks.models.card import TrainingCard
    from nightrank.tasks.train.job import TrainingJob


class Measured(BaseModel):
    """The held-out queries, before and after.

    Attributes:
        figures: What they come to.
        validation_too: Whether they were looked at in training, for they were too few to be split.
    """

    model_config = ConfigDict(frozen=True)

    figures: list[Figure]
    validation_reused: bool = False


class Named(BaseModel):
    """What a trained model is called."""

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    weights_sha256: str


@stage_task("name model")
def name_model(job: TrainingJob) -> Named:
    """The fingerprint of the trained model's files."""

    def name() -> Named:
        files = find_model(str(job.trained), base=job.base, revision=None, sha256=None)
        return Named(fingerprint=files.fingerprint(), weights_sha256=files.weights_sha256)

    return job.once("named", Named, name)


@stage_task("commit model")
def commit_trained(job: TrainingJob, card: TrainingCard) -> Path:
    """Put the card, the figures and the loss curve beside the weights, and give the folder its name.

    Where the same weights were made before, the newest card counts: it has what was asked for last.

    Returns:
        The model's folder.
    """
    losses = read_table(job.losses)
    shutil.rmtree(job.staging, ignore_errors=True)
    shutil.copytree(job.trained, job.staging)  # a run that is killed behind this finds again what it was asked to make
    write_table(job.staging / LOSSES_FILE, losses)
    draw_losses(losses, job.staging / "losses.svg", held_out=f"{MEASURES[0]}, held out")
    shutil.copyfile(job.comparison, job.staging / "comparison.parquet")
    write_text(job.staging / CARD, card.model_dump_json(indent=2) + "\n")
    report_files = (LOSSES_FILE, "losses.svg", "comparison.parquet", CARD)
    return commit_model(
        job.workspace, job.staging, kind=job.kind, fingerprint=card.fingerprint, report_files=report_files
    )
