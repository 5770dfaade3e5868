"""A reranker's own stages of its training: a teacher is asked, it learns, it is measured against the present one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from storage.errors import InputError
from storage.tables import write_table
from tasks.embedder_stages import Measured
from tasks.models import resolve_device
from tasks.pretrained_reranker import network_of
from tasks.progress import progress
from tasks.reranker import NO_RERANKER, Reranker, about_tokens, plan_local
from tasks.reranker_base import base_files, base_name, load_base
from tasks.reranker_teacher import ask_teacher
from tasks.reranker_training import train
from tasks.reranker_validation import by_weight, evaluate_reranker, fold_weights, mean_ndcg
from tasks.significance import compare_evaluations
from tasks.training_card import figures_of
from tasks.training_groups import GroupSampler, MinedSource
from tasks.training_set import read_training_set, write_training_set

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from tasks.reranker import RerankerPlan
    from tasks.reranker_options import RerankerTraining
    from tasks.training_run import TrainingRun
    from tasks.training_set import HeldOutQuery, TrainingSet

    Scoring = Callable[[Sequence[str], Sequence[str]], NDArray[np.float32]]

DECISIVE = ("reranked", "nDCG@10")


class TeacherAsked(BaseModel):
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


@task(name="ask teacher", cache_policy=NO_CACHE)
def teach(run: TrainingRun, training: RerankerTraining) -> TeacherAsked:
    """Put a teacher's scores in place of the first stage's opinions.

    Raises:
        InputError: There is no such reranker.
    """

    def ask() -> TeacherAsked:
        assert training.teacher is not None
        whole = read_training_set(run.folder)
        drawn = np.random.default_rng(training.seed).permutation(len(whole.mined))
        drawn = np.sort(drawn[: training.planned(len(whole.mined)) * training.queries])
        settings = run.settings.reranker.model_copy(
            update={"model": training.teacher, "revision": None, "sha256": None, "max_tokens": None}
        )
        if training.teacher == NO_RERANKER:
            raise InputError("There is no teacher 'none'.", remedy="Name a reranker, or leave --teacher out.")
        plan = plan_local(settings, run.settings.execution, base=run.base)
        queries = [whole.mined[place] for place in drawn.tolist()]
        taught, known = ask_teacher(
            queries,
            whole.passages,
            negatives=training.negatives_needed,
            plan=plan,
            execution=run.settings.execution,
            folder=run.workspace.models,
        )
        run.taught.mkdir(exist_ok=True)
        write_training_set(run.taught, replace(whole, mined=taught))
        pairs = sum(len(query.answers) + len(query.negatives) for query in taught)
        return TeacherAsked(queries=len(taught), pairs=pairs, known=known)

    return run.once("taught", TeacherAsked, ask)


@task(name="learn", cache_policy=NO_CACHE)
def learn_reranker(run: TrainingRun, training: RerankerTraining) -> RerankerLearnt:
    """Train the reranker, from its last checkpoint where there is one.

    Raises:
        InputError: There is too little to learn from, or the model to start from is not there.
    """
    return run.once("learnt", RerankerLearnt, lambda: _learn(run, training))


@task(name="measure", cache_policy=NO_CACHE)
def measure_reranker(run: TrainingRun, training: RerankerTraining) -> RerankerMeasured:
    """Measure the present and the trained reranker on the held-out queries, and choose the trained one's weight."""
    return run.once("measured", RerankerMeasured, lambda: _measure(run, training))


def _learn(run: TrainingRun, training: RerankerTraining) -> RerankerLearnt:
    training_set = read_training_set(run.folder if training.teacher is None else run.taught)
    execution = run.settings.execution
    device = resolve_device(execution.device)
    folder, _ = base_files(run, base_name(run, training.base))
    encoder = load_base(folder, max_length=training.max_tokens, device=device, seed=training.seed)
    learning = training.learning(len(training_set.mined), threads=execution.threads)
    watched = _drawn(training_set.held_out, training.watched_queries, seed=training.seed)

    def watch() -> float:
        scores = score_held_out(
            lambda queries, texts: np.asarray(
                encoder.predict(
                    list(zip(queries, texts, strict=True)),
                    batch_size=learning.micro_batch,
                    show_progress_bar=False,
                    convert_to_numpy=True,
                ),
                dtype=np.float32,
            ),
            watched,
            training_set,
            depth=training.watched_depth,
        )
        return mean_ndcg(watched, training_set.passages, scores)

    run.checkpoints.mkdir(exist_ok=True)
    sampler = GroupSampler({"pairs": MinedSource.of(training_set)}, training.groups)
    with progress("training", learning.steps) as advance:
        learnt = train(
            encoder, sampler, learning, folder=run.checkpoints, report=lambda _progress: advance(1), watch=watch
        )
    write_table(run.losses, learnt.losses)
    network_of(encoder).load_state_dict(learnt.parameters)
    shutil.rmtree(run.trained, ignore_errors=True)
    encoder.save_pretrained(str(run.trained), create_model_card=False)
    losses = learnt.losses.column("loss").to_numpy()
    tenth = max(1, losses.size // 10)
    return RerankerLearnt(
        steps=learnt.steps,
        steps_planned=learning.steps,
        best_step=learnt.best_step,
        pairs=learnt.pairs,
        tokens=learnt.tokens,
        seconds=round(learnt.seconds, 1),
        first_loss=float(losses[:tenth].mean()),
        last_loss=float(losses[-tenth:].mean()),
        device=device,
    )


def _measure(run: TrainingRun, training: RerankerTraining) -> RerankerMeasured:
    training_set = read_training_set(run.folder)
    settings, execution = run.settings.reranker, run.settings.execution
    dense_weight = run.settings.retrieval.dense_weight
    queries = _drawn(training_set.held_out, training.measured_queries, seed=training.seed)
    depth = min(training.measured_depth, settings.depth, run.settings.retrieval.candidate_depth)
    present = None if settings.model == NO_RERANKER else plan_local(settings, execution, base=run.base)
    trained = plan_local(
        settings.model_copy(update={"model": str(run.trained), "revision": None, "sha256": None}),
        execution,
        base=run.base,
    )
    after_scores = _scores(trained, run, queries, training_set, depth=depth)
    values = by_weight(queries, training_set.passages, after_scores, dense_weight=dense_weight)
    weights = fold_weights(values) if training.weight is None else np.full(len(queries), training.weight)
    means = {weight: float(per_query.mean()) for weight, per_query in values.items()}
    weight = max(sorted(means), key=lambda one: means[one]) if training.weight is None else training.weight
    after = evaluate_reranker(queries, training_set.passages, after_scores, weights=weights, dense_weight=dense_weight)
    before = _stage(after, "fused", called=DECISIVE[0])  # without a reranker the fused order is what is published
    if present is not None:
        scores = _scores(present, run, queries, training_set, depth=depth)
        own = np.full(len(queries), present.weight)
        before = evaluate_reranker(queries, training_set.passages, scores, weights=own, dense_weight=dense_weight)
    generator = np.random.default_rng(training.seed)
    comparison = compare_evaluations(before, after, generator=generator)
    over_fused = compare_evaluations(
        _stage(after, "fused", called="reranked, before: fused"),
        _stage(after, "reranked", called="reranked, before: fused"),
        generator=generator,
    )
    write_table(run.comparison, pa.concat_tables([comparison, over_fused]))
    figures = [figure for figure in figures_of(comparison) if figure.stage != "fused"]
    figures.sort(key=lambda figure: (figure.stage, figure.measure) != DECISIVE)
    return RerankerMeasured(figures=figures + figures_of(over_fused), weight=weight, queries=len(queries), depth=depth)


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


def _scores(
    plan: RerankerPlan, run: TrainingRun, queries: Sequence[HeldOutQuery], training_set: TrainingSet, *, depth: int
) -> list[NDArray[np.float32]]:
    execution = run.settings.execution
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
