"""A dual encoder's own stages of its training: it learns, it is measured, it is guarded, it gets its name."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from nightrank.storage.errors import InputError
from nightrank.storage.keys import fingerprint
from nightrank.storage.workspace.models import seal_model
from nightrank.storage.files.parquet import read_table, write_table
from nightrank.storage.workspace.base import write_atomically
from nightrank.tasks.train.embedder.examine import MEASURES, Examination, examine
from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.train.embedder.learn import Learnt, train_embedder
from nightrank.tasks.models.curve import draw_losses
from nightrank.tasks.models.files import find_model
from nightrank.tasks.runtime.progress import progress
from nightrank.tasks.evaluate.significance import compare_evaluations
from nightrank.tasks.models.card import CARD, LOSSES_FILE, Figure, Guarded, figures_of
from nightrank.tasks.train.embedder.rows import training_rows
from nightrank.tasks.train.sets import read_training_set
from nightrank.tasks.train.split import watched_and_measured

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from nightrank.tasks.models.card import TrainingCard
    from nightrank.tasks.train.embedder.guard import Guard
    from nightrank.tasks.train.run import TrainingRun
    from nightrank.tasks.train.settings import EmbedderTraining

ALLOWED_LOSS = 0.01  # of nDCG@10 on a guard
GUARD_QUERIES, GUARD_PASSAGES = 300, 6000


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


@task(name="learn", cache_policy=NO_CACHE)
def learn(run: TrainingRun, training: EmbedderTraining) -> Learnt:
    """Train the dual encoder, from its last checkpoint where there is one.

    Raises:
        InputError: There is nothing to learn from, or the model to start from is not there.
    """
    return run.once("learnt", Learnt, lambda: _learn(run, training))


@task(name="measure", cache_policy=NO_CACHE)
def measure_embedder(run: TrainingRun, training: EmbedderTraining, *, seed: int) -> Measured:
    """Measure the present and the trained model on held-out queries that chose nothing of the trained one."""

    def measure() -> Measured:
        training_set = read_training_set(run.folder)
        watched, queries = watched_and_measured(training_set.held_out, most_watched=training.watched_queries)
        comparison = _compared(run, Examination.held_out(training_set, queries), seed=seed)
        write_table(run.comparison, comparison)
        return Measured(figures=figures_of(comparison), watched_too=watched[0] in queries)

    return run.once("measured", Measured, measure)


@task(name="guard", cache_policy=NO_CACHE)
def guard_embedder(run: TrainingRun, collection: Guard, *, seed: int) -> Guarded:
    """Measure the present and the trained model on a general collection.

    Args:
        run: The training.
        collection: Which.
        seed: Decides what is drawn where the collection is large.

    Raises:
        InputError: It is not there, or has no judged query.
    """
    small = collection.examination(
        queries=GUARD_QUERIES, passages=GUARD_PASSAGES, generator=np.random.default_rng(seed)
    )

    def guard() -> Guarded:
        figures = figures_of(_compared(run, small, seed=seed))
        return Guarded(
            name=collection.name,
            passages=len(small.passages),
            allowed_loss=ALLOWED_LOSS,
            figure=next(figure for figure in figures if figure.measure == MEASURES[0]),
        )

    key = fingerprint([collection.name, small.queries, small.relevant, small.passages, small.document_ids])
    return run.once(f"guard-{key[:8]}", Guarded, guard)


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
    write_atomically(run.sealed / CARD, card.model_dump_json(indent=2) + "\n")
    told_in = (LOSSES_FILE, "losses.svg", "comparison.parquet", CARD)
    return seal_model(run.workspace, run.sealed, kind=run.kind, fingerprint=card.fingerprint, told_in=told_in)


def _learn(run: TrainingRun, training: EmbedderTraining) -> Learnt:
    training_set = read_training_set(run.folder)
    generator = random.Random(training.seed)  # noqa: S311 - nothing secret
    rows = list(training_rows(training_set, negatives=training.negatives, generator=generator))
    if len(rows) < 2:
        message = f"{len(rows)} pairs with {training.negatives} negatives each are too few to learn from."
        raise InputError(message, remedy="Give more pairs, or ask for fewer negatives with --negatives.")
    queries, _ = watched_and_measured(training_set.held_out, most_watched=training.watched_queries)
    watched = Examination.held_out(training_set, queries).smaller(
        queries=len(queries),
        passages=training.watched_passages,
        generator=np.random.default_rng(training.seed),
    )
    base = run.embedder.files.folder
    if training.base is not None:
        base = find_model(training.base, base=run.base, revision=None, sha256=None).folder
    with progress("training", training.planned(len(rows))) as advance:
        learnt, losses = train_embedder(
            rows,
            watched,
            training,
            base=base,
            folder=run.trained,
            checkpoints=run.checkpoints,
            prompts=run.settings.embedder,
            execution=run.settings.execution,
            device=run.embedder.device,
            advance=advance,
        )
    write_table(run.losses, losses)
    return learnt


def _compared(run: TrainingRun, examination: Examination, *, seed: int) -> pa.Table:
    """The present model against the trained one, schema COMPARISON."""
    before = _evaluation(run, examination, folder=None)
    after = _evaluation(run, examination, folder=run.trained)
    return compare_evaluations(before, after, generator=np.random.default_rng(seed))


def _evaluation(run: TrainingRun, examination: Examination, *, folder: Path | None) -> pa.Table:
    settings, execution = run.settings.embedder, run.settings.execution
    plan = run.embedder
    if folder is not None:
        trained = settings.model_copy(update={"model": str(folder), "revision": None, "sha256": None})
        plan = plan_embedder(trained, execution, base=run.base)
    embedder = Embedder(plan, batch_tokens=execution.batch_tokens, threads=execution.threads)
    with progress("measuring", len(examination.passages)) as advance:
        return examine(
            examination,
            embed_queries=embedder.embed_queries,
            embed_passages=lambda texts: embedder.embed_passages(texts, on_batch=advance),
        )
