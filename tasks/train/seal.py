"""The end of a training: its measures, its name, its folder made final."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from nightrank.storage.files.atomic import write_text
from nightrank.storage.files.parquet import read_table, write_table
from nightrank.storage.workspace.models import seal_model
from nightrank.tasks.models.card import CARD, LOSSES_FILE, MEASURES, Figure
from nightrank.tasks.models.curve import draw_losses
from nightrank.tasks.models.files import find_model

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.tasks.models.card import TrainingCard
    from nightrank.tasks.train.run import TrainingRun


class Measured(BaseModel):
    """The held-out queries, before and after.

    Attributes:
        figures: What they come to.
        watched_too: Whether they were looked at in training, for they were too few to be split.
    """

    model_config = ConfigDict(frozen=True)

    figures: list[Figure]
    watched_too: bool = False


class Named(BaseModel):
    """What a trained model is called."""

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    weights_sha256: str


@task(name="name model", cache_policy=NO_CACHE)
def name_model(run: TrainingRun) -> Named:
    """The fingerprint of the trained model's files."""

    def name() -> Named:
        files = find_model(str(run.trained), base=run.base, revision=None, sha256=None)
        return Named(fingerprint=files.fingerprint(), weights_sha256=files.weights_sha256)

    return run.once("named", Named, name)


@task(name="seal model", cache_policy=NO_CACHE)
def seal_trained(run: TrainingRun, card: TrainingCard) -> Path:
    """Put the card, the figures and the loss curve beside the weights, and give the folder its name.

    Where the same weights were made before, the newest card counts: it has what was asked for last.

    Returns:
        The model's folder.
    """
    losses = read_table(run.losses)
    shutil.rmtree(run.sealed, ignore_errors=True)
    shutil.copytree(run.trained, run.sealed)  # a run that is killed behind this finds again what it was asked to make
    write_table(run.sealed / LOSSES_FILE, losses)
    draw_losses(losses, run.sealed / "losses.svg", held_out=f"{MEASURES[0]}, held out")
    shutil.copyfile(run.comparison, run.sealed / "comparison.parquet")
    write_text(run.sealed / CARD, card.model_dump_json(indent=2) + "\n")
    told_in = (LOSSES_FILE, "losses.svg", "comparison.parquet", CARD)
    return seal_model(run.workspace, run.sealed, kind=run.kind, fingerprint=card.fingerprint, told_in=told_in)
