"""A dual encoder's own stages of its training: it learns, it is measured, it is guarded, it gets its name."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from nightrank.storage.errors import InputError
from nightrank.storage.files.parquet import write_table
from nightrank.storage.keys import fingerprint
from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.evaluate.significance import compare_evaluations
from nightrank.tasks.models.card import MEASURES, Guarded, figures_of
from nightrank.tasks.models.files import find_model
from nightrank.tasks.runtime.progress import progress
from nightrank.tasks.train.embedder.examine import Examination, examine
from nightrank.tasks.train.embedder.learn import Learnt, train_embedder
from nightrank.tasks.train.embedder.rows import training_rows
from nightrank.tasks.train.seal import Measured
from nightrank.tasks.train.sets import read_training_set
from nightrank.tasks.train.split import watched_and_measured

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from nightrank.tasks.train.embedder.guard import Guard
    from nightrank.tasks.train.embedder.options import EmbedderTraining
    from nightrank.tasks.train.run import TrainingRun

ALLOWED_LOSS = 0.01  # of nDCG@10 on a guard
GUARD_QUERIES, GUARD_PASSAGES = 300, 6000


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
