"""A reranker's own stages of its training: a teacher is asked, it learns, it is measured against the present one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from prefect import get_run_logger
from pydantic import BaseModel, ConfigDict

from nightrank.storage.errors import InputError
from nightrank.storage.files.parquet import write_table
from nightrank.tasks.evaluate.significance import compare_evaluations
from nightrank.tasks.models.card import figures_of
from nightrank.tasks.models.files import resolve_device
from nightrank.tasks.rank.order import Weighing
from nightrank.tasks.rank.order_file import learned_order
from nightrank.tasks.rerank.cross_encoder import Reranker, about_tokens
from nightrank.tasks.rerank.find import NO_RERANKER, plan_local
from nightrank.tasks.rerank.packaged import network_of
from nightrank.tasks.runtime.progress import progress
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.train.commit import Measured
from nightrank.tasks.train.reranker.base import base_files, base_name, load_base
from nightrank.tasks.train.reranker.groups import GroupSampler, MinedSource
from nightrank.tasks.train.reranker.learn import train
from nightrank.tasks.train.reranker.teacher import ask_teacher, teacher_settings
from nightrank.tasks.train.reranker.validate import WEIGHTS, by_weight, evaluate_reranker, fold_weights, mean_ndcg
from nightrank.tasks.train.sets import read_training_set, write_training_set
from nightrank.tasks.train.split import validation_and_test

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.rerank.plan import RerankerPlan
    from nightrank.tasks.train.job import TrainingJob
    from nightrank.tasks.train.reranker.options import RerankerTraining
    from nightrank.tasks.train.sets import HeldOutQuery, TrainingSet

    Scoring = Callable[[Sequence[str], Sequence[str]], NDArray[np.float32]]

DECISIVE = ("reranked", "nDCG@10")
VALIDATION_BATCH = 32  # pairs


class TeacherScored(BaseModel):
    """What a teacher said.

    Attributes:
        queries: Drawn to be learnt from.
        pairs: Of a query and a passage, that it scored.
        known: Those of them that it had scored before.
    """

    model_config = ConfigDict(frozen=True)

    queries: int
    pairs: int
    known: int


class RerankerLearnt(BaseModel):
    """What a training did.

    Attributes:
        steps: Updates, those of stopped runs included.
        steps_planned: As many as there were to be.
        best_step: After which the model was taken.
        queries_left_out: To which too few passages are known not to answer.
        pairs: That it read.
        tokens: Of these pairs, padding not counted.
        seconds: That this took.
        first_loss: Mean over the first tenth of the updates.
        last_loss: Mean over the last tenth.
        device: On which it ran.
    """

    model_config = ConfigDict(frozen=True)

    steps: int
    steps_planned: int
    best_step: int
    queries_left_out: int
    pairs: int
    tokens: int
    seconds: float
    first_loss: float
    last_loss: float
    device: str


class RerankerMeasured(Measured):
    """The held-out queries, before and after, and the weight that suits the trained reranker.

    Attributes:
        weight: Of the reranker against the first stage.
        queries: That were measured.
        depth: Candidates of each.
    """

    weight: float
    queries: int
    depth: int


@stage_task("ask teacher")
def teach(job: TrainingJob, training: RerankerTraining) -> TeacherScored:
    """Put a teacher's scores in place of the first stage's teacher scores.

    Raises:
        InputError: There is no such reranker.
    """

    def ask() -> TeacherScored:
        assert training.teacher is not None
        whole = read_training_set(job.folder)
        drawn = np.random.default_rng(training.seed).permutation(len(whole.mined))
        drawn = np.sort(drawn[: training.planned(len(whole.mined)) * training.queries])
        settings = teacher_settings(job.settings.reranker, training.teacher)
        if training.teacher == NO_RERANKER:
            raise InputError("There is no teacher 'none'.", remedy="Name a reranker, or leave --teacher out.")
        plan = plan_local(settings, job.settings.execution, base=job.base)
        queries = [whole.mined[place] for place in drawn.tolist()]
        taught, known = ask_teacher(
            queries,
            whole.passages,
            negatives=training.negatives_needed,
            plan=plan,
            execution=job.settings.execution,
            folder=job.workspace.models,
        )
        job.taught.mkdir(exist_ok=True)
        write_training_set(job.taught, replace(whole, mined=taught))
        pairs = sum(len(query.answers) + len(query.negatives) for query in taught)
        return TeacherScored(queries=len(taught), pairs=pairs, known=known)

    return job.once("taught", TeacherScored, ask)


@stage_task("learn")
def learn_reranker(job: TrainingJob, training: RerankerTraining, *, queries: int) -> RerankerLearnt:
    """Train the reranker, from its last checkpoint where there is one.

    Args:
        job: The training.
        training: How to learn.
        queries: That there are to learn from, those that no teacher was asked for included: passes are over them.

    Raises:
        InputError: There is too little to learn from, or the model to start from is not there.
    """
    return job.once("learnt", RerankerLearnt, lambda: _learn(job, training, queries=queries))


@stage_task("measure")
def measure_reranker(job: TrainingJob, training: RerankerTraining) -> RerankerMeasured:
    """Measure the present and the trained reranker on the held-out queries, and choose the trained one's weight.

    Both are measured at weights that are chosen in the same way; where the settings name one, at that.
    """
    return job.once("measured", RerankerMeasured, lambda: _measure(job, training))


def _learn(job: TrainingJob, training: RerankerTraining, *, queries: int) -> RerankerLearnt:
    training_set = read_training_set(job.folder if training.teacher is None else job.taught)
    execution = job.settings.execution
    device = resolve_device(execution.device)
    folder, _ = base_files(job, base_name(job, training.base))
    encoder = load_base(
        folder,
        max_length=training.max_tokens,
        device=device,
        seed=training.seed,
        prompt=job.settings.reranker.prompt,  # with which the trained model will be asked
    )
    learning = training.learning(queries, threads=execution.threads)
    validation, _ = validation_and_test(training_set.held_out, max_validation=training.validation_queries)

    def validate() -> float:
        scores = score_held_out(
            lambda asked, texts: np.asarray(
                encoder.predict(
                    list(zip(asked, texts, strict=True)),
                    batch_size=VALIDATION_BATCH,
                    show_progress_bar=False,
                    convert_to_numpy=True,
                ),
                dtype=np.float32,
            ),
            validation,
            training_set,
            depth=training.validation_depth,
        )
        return mean_ndcg(validation, training_set.passages, scores)

    job.checkpoints.mkdir(exist_ok=True)
    sampler = GroupSampler({"pairs": MinedSource.of(training_set)}, training.groups)
    left_out = sampler.left_out["pairs"]
    if left_out:
        get_run_logger().warning("%d queries are left out: too few passages are known not to answer them", left_out)
    with progress("training", learning.steps) as advance:
        learnt = train(
            encoder, sampler, learning, folder=job.checkpoints, report=lambda _progress: advance(1), validate=validate
        )
    write_table(job.losses, learnt.losses)
    network_of(encoder).load_state_dict(learnt.parameters)
    shutil.rmtree(job.trained, ignore_errors=True)
    encoder.save_pretrained(str(job.trained), create_model_card=False)
    losses = learnt.losses.column("loss").to_numpy()
    tenth = max(1, losses.size // 10)
    return RerankerLearnt(
        steps=learnt.steps,
        steps_planned=learning.steps,
        best_step=learnt.best_step,
        queries_left_out=left_out,
        pairs=learnt.pairs,
        tokens=learnt.tokens,
        seconds=round(learnt.seconds, 1),
        first_loss=float(losses[:tenth].mean()),
        last_loss=float(losses[-tenth:].mean()),
        device=device,
    )


def _measure(job: TrainingJob, training: RerankerTraining) -> RerankerMeasured:
    training_set = read_training_set(job.folder)
    settings, execution = job.settings.reranker, job.settings.execution
    learned = learned_order(job.settings, base=job.base)
    weighing = Weighing.of(job.settings, learned, weight=0.0)
    validation, unseen = validation_and_test(training_set.held_out, max_validation=training.validation_queries)
    queries = _drawn(unseen, training.test_queries, seed=training.seed)
    depth = min(training.test_depth, settings.depth, job.settings.retrieval.candidate_depth)
    present = None if settings.model == NO_RERANKER else plan_local(settings, execution, base=job.base)
    trained = plan_local(
        settings.model_copy(update={"model": str(job.trained), "revision": None, "sha256": None}),
        execution,
        base=job.base,
    )
    after_scores = _scores(trained, job, queries, training_set, depth=depth)
    choices = weights_to_try(settings.weight, training.weight)
    weight, after = _at_chosen_weights(queries, training_set, after_scores, choices, weighing=weighing)
    before = _stage(after, "fused", called=DECISIVE[0])  # without a reranker the fused order is what is published
    if present is not None:
        scores = _scores(present, job, queries, training_set, depth=depth)
        known = [None] if weighing.knows_reranker else []  # the learned order's own weights, which are published now
        plain = weights_to_try(settings.weight, training.weight, own=present.weight)
        _, before = _at_chosen_weights(queries, training_set, scores, [*known, *plain], weighing=weighing)
    generator = np.random.default_rng(training.seed)
    comparison = compare_evaluations(before, after, generator=generator)
    over_fused = compare_evaluations(
        _stage(after, "fused", called="reranked, before: fused"),
        _stage(after, "reranked", called="reranked, before: fused"),
        generator=generator,
    )
    write_table(job.comparison, pa.concat_tables([comparison, over_fused]))
    figures = [figure for figure in figures_of(comparison) if figure.stage != "fused"]
    figures.sort(key=lambda figure: (figure.stage, figure.measure) != DECISIVE)
    return RerankerMeasured(
        figures=figures + figures_of(over_fused),
        validation_reused=validation[0] in unseen,
        weight=weight,
        queries=len(queries),
        depth=depth,
    )


def weights_to_try(settings: float | None, asked: float | None, *, own: float | None = None) -> tuple[float, ...]:
    """The weights that a reranker may be measured at: the trained and the present one are equally free.

    A gain then is the model's, not that of a weight which the present one was not allowed.

    Args:
        settings: What the settings say; every reranker is used with it.
        asked: What the training was asked for.
        own: That of the present model, which it may have beside those of the trained one.

    >>> weights_to_try(0.5, 0.7, own=1.0), weights_to_try(None, 0.7, own=1.0), weights_to_try(None, 0.7)
    ((0.5,), (0.7, 1.0), (0.7,))
    """
    if settings is not None:
        return (settings,)
    return tuple(sorted({*(WEIGHTS if asked is None else (asked,)), *(() if own is None else (own,))}))


def score_held_out(
    score: Scoring, queries: Sequence[HeldOutQuery], training_set: TrainingSet, *, depth: int
) -> list[NDArray[np.float32]]:
    """The scores of each query's first candidates, float32 (n,), by what scores (queries, texts)."""
    sizes = [min(depth, len(query.candidates)) for query in queries]
    asked = [query.query for query, size in zip(queries, sizes, strict=True) for _ in range(size)]
    texts = [
        training_set.passages[candidate.place].model_text()
        for query, size in zip(queries, sizes, strict=True)
        for candidate in query.candidates[:size]
    ]
    return np.split(score(asked, texts), np.cumsum(sizes)[:-1])


def _at_chosen_weights(
    queries: Sequence[HeldOutQuery],
    training_set: TrainingSet,
    scores: Sequence[NDArray[np.float32]],
    choices: Sequence[float | None],
    *,
    weighing: Weighing,
) -> tuple[float, pa.Table]:
    """The best of the plain weights, and every query's measures at a choice made without it, schema EVALUATION."""
    values = by_weight(queries, training_set.passages, scores, weights=choices, weighing=weighing)
    means = {weight: float(per_query.mean()) for weight, per_query in values.items() if weight is not None}
    weights = fold_weights(values)
    evaluation = evaluate_reranker(queries, training_set.passages, scores, weights=weights, weighing=weighing)
    return max(sorted(means), key=lambda one: means[one]), evaluation


def _scores(
    plan: RerankerPlan, job: TrainingJob, queries: Sequence[HeldOutQuery], training_set: TrainingSet, *, depth: int
) -> list[NDArray[np.float32]]:
    execution = job.settings.execution
    reranker = Reranker(plan, batch_tokens=execution.batch_tokens, threads=execution.threads)

    def score(asked: Sequence[str], texts: Sequence[str]) -> NDArray[np.float32]:
        return reranker.score(asked, texts, about_tokens(texts))

    return score_held_out(score, queries, training_set, depth=depth)


def _drawn(queries: Sequence[HeldOutQuery], most: int, *, seed: int) -> list[HeldOutQuery]:
    places = np.sort(np.random.default_rng(seed).permutation(len(queries))[:most])
    return [queries[place] for place in places.tolist()]


def _stage(evaluation: pa.Table, stage: str, *, called: str) -> pa.Table:
    rows = [row | {"stage": called} for row in evaluation.to_pylist() if row["stage"] == stage]
    return pa.Table.from_pylist(rows, schema=evaluation.schema)
