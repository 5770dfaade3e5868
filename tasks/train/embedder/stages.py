"""A dual encoder's own stages of its training: it learns, it is measured, also on a regression set, and named."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

from nightrank.storage.errors import InputError
from nightrank.storage.files.parquet import write_table
from nightrank.storage.keys import fingerprint
from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.evaluate.significance import compare_evaluations
from nightrank.tasks.models.card import MEASURES, RegressionCheck, figures_of
from nightrank.tasks.models.files import find_model
from nightrank.tasks.runtime.progress import progress
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.train.commit import Measured
from nightrank.tasks.train.embedder.examine import Examination, examine
from nightrank.tasks.train.embedder.learn import Learnt, train_embedder
from nightrank.tasks.train.embedder.rows import training_rows
from nightrank.tasks.train.sets import read_training_set
from nightrank.tasks.train.split import validation_and_test

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from nightrank.tasks.train.embedder.options import EmbedderTraining
    from nightrank.tasks.train.embedder.regression import RegressionSet
    from nightrank.tasks.train.job import TrainingJob

ALLOWED_LOSS = 0.01  # of nDCG@10 on a regression set
REGRESSION_QUERIES, REGRESSION_PASSAGES = 300, 6000


@stage_task("learn")
def learn(job: TrainingJob, training: EmbedderTraining) -> Learnt:
    """Train the dual encoder, from its last checkpoint where there is one.

    Raises:
        InputError: There is nothing to learn from, or the model to start from is not there.
    """
    return job.once("learnt", Learnt, lambda: _learn(job, training))


@stage_task("measure")
def measure_embedder(job: TrainingJob, training: EmbedderTraining, *, seed: int) -> Measured:
    """Measure the present and the trained model on held-out queries that chose nothing of the trained one."""

    def measure() -> Measured:
        training_set = read_training_set(job.folder)
        validation, queries = validation_and_test(training_set.held_out, max_validation=training.validation_queries)
        comparison = _compared(job, Examination.held_out(training_set, queries), seed=seed)
        write_table(job.comparison, comparison)
        return Measured(figures=figures_of(comparison), validation_reused=validation[0] in queries)

    return job.once("measured", Measured, measure)


@stage_task("regression_set")
def check_regression(job: TrainingJob, collection: RegressionSet, *, seed: int) -> RegressionCheck:
    """Measure the present and the trained model on a general collection.

    Args:
        job: The training.
        collection: Which.
        seed: Decides what is drawn where the collection is large.

    Raises:
        InputError: It is not there, or has no judged query.
    """
    small = collection.examination(
        queries=REGRESSION_QUERIES, passages=REGRESSION_PASSAGES, generator=np.random.default_rng(seed)
    )

    def regression_set() -> RegressionCheck:
        figures = figures_of(_compared(job, small, seed=seed))
        return RegressionCheck(
            name=collection.name,
            passages=len(small.passages),
            allowed_loss=ALLOWED_LOSS,
            figure=next(figure for figure in figures if figure.measure == MEASURES[0]),
        )

    key = fingerprint([collection.name, small.queries, small.relevant, small.passages, small.document_ids])
    return job.once(f"regression set-{key[:8]}", RegressionCheck, regression_set)


def _learn(job: TrainingJob, training: EmbedderTraining) -> Learnt:
    training_set = read_training_set(job.folder)
    generator = random.Random(training.seed)  # noqa: S311 - nothing secret
    rows = list(training_rows(training_set, negatives=training.negatives, generator=generator))
    if len(rows) < 2:
        message = f"{len(rows)} pairs with {training.negatives} negatives each are too few to learn from."
        raise InputError(message, remedy="Give more pairs, or ask for fewer negatives with --negatives.")
    queries, _ = validation_and_test(training_set.held_out, max_validation=training.validation_queries)
    validation = Examination.held_out(training_set, queries).smaller(
        queries=len(queries),
        passages=training.validation_passages,
        generator=np.random.default_rng(training.seed),
    )
    base = job.embedder.files.folder
    if training.base is not None:
        base = find_model(training.base, base=job.base, revision=None, sha256=None).folder
    with progress("training", training.planned(len(rows))) as advance:
        learnt, losses = train_embedder(
            rows,
            validation,
            training,
            base=base,
            folder=job.trained,
            checkpoints=job.checkpoints,
            prompts=job.settings.embedder,
            execution=job.settings.execution,
            device=job.embedder.device,
            advance=advance,
        )
    write_table(job.losses, losses)
    return learnt


def _compared(job: TrainingJob, examination: Examination, *, seed: int) -> pa.Table:
    """The present model against the trained one, schema COMPARISON."""
    before = _evaluation(job, examination, folder=None)
    after = _evaluation(job, examination, folder=job.trained)
    return compare_evaluations(before, after, generator=np.random.default_rng(seed))


def _evaluation(job: TrainingJob, examination: Examination, *, folder: Path | None) -> pa.Table:
    settings, execution = job.settings.embedder, job.settings.execution
    plan = job.embedder
    if folder is not None:
        trained = settings.model_copy(update={"model": str(folder), "revision": None, "sha256": None})
        plan = plan_embedder(trained, execution, base=job.base)
    embedder = Embedder(plan, batch_tokens=execution.batch_tokens, threads=execution.threads)
    with progress("measuring", len(examination.passages)) as advance:
        return examine(
            examination,
            embed_queries=embedder.embed_queries,
            embed_passages=lambda texts: embedder.embed_passages(texts, on_batch=advance),
        )
