"""The steps of an offline evaluation that look at what is stored: a release, and run files of other systems."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nightrank.storage.errors import InputError
from nightrank.storage.release.evaluation import DEPTHS
from nightrank.tasks.embed.encoder import plan_embedder
from nightrank.tasks.evaluate.depths import curve_depths, evaluate_depths
from nightrank.tasks.evaluate.diagnosis import diagnose, worst_queries
from nightrank.tasks.evaluate.diversity import compare_diversity
from nightrank.tasks.evaluate.ladder import ladder, read_timings
from nightrank.tasks.evaluate.measures import STAGES, evaluate_runs, means, stage_runs, without_ties
from nightrank.tasks.evaluate.single_stages import best_stage, compare_single_stages
from nightrank.tasks.evaluate.token_leg import static_leg
from nightrank.tasks.evaluate.token_vectors import StaticEmbedder
from nightrank.tasks.experiment.experiment import Experiment
from nightrank.tasks.rank.diversity import stored_vectors
from nightrank.tasks.rank.order import Weighing
from nightrank.tasks.rank.order_file import order_of_release
from nightrank.tasks.read.account import Account
from nightrank.tasks.release import StoredRelease
from nightrank.tasks.rerank.hosted.spending import SpendingBySection
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.trec.qrels import read_judgments
from nightrank.tasks.trec.runs import read_run, write_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    import pyarrow as pa

    from nightrank.storage.records import Judgment
    from nightrank.storage.workspace.base import Workspace
    from nightrank.tasks.evaluate.ladder import LadderStage
    from nightrank.tasks.evaluate.single_stages import BestStage
    from nightrank.tasks.settings.whole import Settings
    from nightrank.tasks.trec.runs import Entry


WORST_QUERIES = 10


@dataclass(frozen=True, slots=True)
class EvaluationContext:
    """What everything in one evaluation is measured by, so that figures can be compared.

    Attributes:
        workspace: Where releases are.
        settings: As they are now.
        base: The folder that paths in the settings are relative to.
        qrels: The file of the judgments.
        qrels_name: What the user calls it.
        measures: Names as ir_measures writes them.
        now: When the evaluation began.
        seed: Of everything random in it.
        spending: What it spent so far on hosted rerankers.
    """

    workspace: Workspace
    settings: Settings
    base: Path
    qrels: Path
    qrels_name: str
    measures: tuple[str, ...]
    now: datetime
    seed: int
    spending: SpendingBySection = field(default_factory=SpendingBySection)

    def judgments(self) -> list[Judgment]:
        """The judgments, read anew: steps hand on files, not what is in them.

        Raises:
            InputError: The file is not there, or a row of it is wrong.
        """
        return read_judgments(self.qrels, name=self.qrels_name, account=Account())

    def experiment(self, release_id: str | None) -> AbstractContextManager[Experiment]:
        """Variants of the settings over a release, or the current one, measured by this evaluation context."""
        return Experiment.open(
            self.workspace,
            self.settings,
            self.judgments(),
            base=self.base,
            now=self.now,
            release_id=release_id,
            measures=self.measures,
            seed=self.seed,
            spending=self.spending,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """What lies behind the measures of a release.

    Attributes:
        ladder: What each stage is worth, and costs.
        depths: Schema DEPTHS.
        diagnosis: Schema DIAGNOSIS.
        diversity: What diverse results cost and gain, schema COMPARISON; empty where they are not diversified.
        best_stage: A single stage that is better than the published order beyond chance; None where none is.
        worst: The texts of the queries that it serves worst, by query id, the worst first.
    """

    ladder: Sequence[LadderStage]
    depths: pa.Table
    diagnosis: pa.Table
    diversity: pa.Table
    best_stage: BestStage | None
    worst: Mapping[str, str]


@stage_task("measure release")
def measure_release(
    release_id: str | None, context: EvaluationContext, *, write_to: str | None = None
) -> tuple[pa.Table, dict[str, Path]]:
    """Measure every stage of a stored release.

    Args:
        release_id: Of the release; None for the current one.
        context: What it is measured by.
        write_to: A folder for a TREC run file of each stage.

    Returns:
        A table of schema EVALUATION, and the files that were written, by stage.

    Raises:
        InputError: There is no such release, or a measure cannot be computed.
    """
    judgments = context.judgments()
    with context.workspace.reading():
        runs = _runs_of(StoredRelease.open(context.workspace, release_id), context, judgments)
    files: dict[str, Path] = {}
    if write_to is not None:
        folder = Path(write_to)
        _make_folder(folder)
        for stage, entries in runs.items():
            files[stage] = folder / f"{stage}.run"
            write_run(files[stage], entries, tag=f"nightrank-{stage}")
    return evaluate_runs(runs, judgments, context.measures), files


@stage_task("explain release")
def explain_release(release_id: str | None, context: EvaluationContext, evaluation: pa.Table) -> Explained:
    """The ladder, the curve of reranking depths, and what became of each relevant document.

    Args:
        release_id: Of the release; None for the current one.
        context: What it is measured by.
        evaluation: Schema EVALUATION, of its stages.
    """
    with context.workspace.reading():
        return _explained(StoredRelease.open(context.workspace, release_id), context, evaluation)


@stage_task("measure run files")
def measure_run_files(files: Mapping[str, Path], context: EvaluationContext) -> pa.Table:
    """Measure TREC run files.

    Args:
        files: By the names that they go by.
        context: What they are measured by.

    Returns:
        A table of schema EVALUATION, with the names as stages.

    Raises:
        InputError: A file cannot be read, or answers no judged query.
    """
    judgments = context.judgments()
    query_ids = {judgment.query_id for judgment in judgments}
    runs = {name: list(without_ties(_read(path, query_ids))) for name, path in files.items()}
    return evaluate_runs(runs, judgments, context.measures)


def run_names(paths: Sequence[Path]) -> dict[str, Path]:
    """Run files by name: a file's own name without its ending, with it where that is the name of a stage.

    Raises:
        InputError: Two go by one name.
    """
    files: dict[str, Path] = {}
    for path in paths:
        stem = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
        name = path.name if stem in STAGES else stem
        if name in files or name in STAGES:
            message = f"The run file {path} has the same name {name} as another run file."
            raise InputError(message, remedy="Give each run file a name of its own.")
        files[name] = path
    return files


def _runs_of(
    release: StoredRelease, context: EvaluationContext, judgments: Sequence[Judgment]
) -> dict[str, list[Entry]]:
    queries = release.judged_queries(judgments)
    return stage_runs(
        release.candidates(queries),
        queries,
        {judgment.query_id for judgment in judgments},
        static=_static_leg(release, queries, context),
        legs=release.settings.retrieval.legs,
        candidate_depth=release.settings.retrieval.candidate_depth,
        results=release.settings.results,
        vectors=stored_vectors(release.chunk_table()),
        ignore_identical_ids=context.settings.judgments.ignore_identical_ids,
    )


def _explained(release: StoredRelease, context: EvaluationContext, evaluation: pa.Table) -> Explained:
    made_with, inputs = release.settings, release.manifest.inputs
    judgments = context.judgments()
    queries = release.judged_queries(judgments)
    candidates = release.candidates(queries)
    ignore_identical_ids = context.settings.judgments.ignore_identical_ids
    candidate_depth = made_with.retrieval.candidate_depth
    depths = DEPTHS.empty_table()
    if inputs.reranker_fingerprint != "none":
        deepest = min(made_with.reranker.depth, candidate_depth)
        weight = inputs.reranker_weight if made_with.reranker.weight is None else made_with.reranker.weight
        learned = order_of_release(release.manifest)
        depths = evaluate_depths(
            candidates,
            queries,
            judgments,
            depths=curve_depths(context.settings.evaluation.depths, deepest=deepest),
            weighing=Weighing.of(made_with, learned, weight=weight, log=release.log_means(made_with)),
            measures=context.measures,
            candidate_depth=candidate_depth,
            ignore_identical_ids=ignore_identical_ids,
        )
    diagnosis = diagnose(
        candidates,
        queries,
        judgments,
        documents=release.document_ids(),
        candidate_depth=candidate_depth,
        results=made_with.results,
        vectors=stored_vectors(release.chunk_table()),
        ignore_identical_ids=ignore_identical_ids,
    )
    diversity = compare_diversity(
        candidates,
        queries,
        judgments,
        measures=context.measures,
        candidate_depth=candidate_depth,
        results=made_with.results,
        ignore_identical_ids=ignore_identical_ids,
        vectors=stored_vectors(release.chunk_table()),
        generator=np.random.default_rng(context.seed),
    )
    alone = compare_single_stages(
        candidates,
        queries,
        judgments,
        measure=context.settings.gates.measure,
        candidate_depth=candidate_depth,
        results=made_with.results,
        ignore_identical_ids=ignore_identical_ids,
        generator=np.random.default_rng(context.seed),
    )
    texts = {query_id: query["text"] for query in queries.to_pylist() for query_id in query["query_ids"]}
    worst = worst_queries(diagnosis, evaluation, measure=context.measures[0], count=WORST_QUERIES)
    return Explained(
        ladder(means(evaluation), read_timings(release.files.timings)),
        depths,
        diagnosis,
        diversity,
        best_stage(alone),
        {query_id: texts.get(query_id, "") for query_id in worst},
    )


def _static_leg(release: StoredRelease, queries: pa.Table, context: EvaluationContext) -> pa.Table | None:
    """Schema RANKED; None where the release's own embedder is not to be had, or has no token vectors."""
    try:
        plan = plan_embedder(context.settings.embedder, context.settings.execution, base=context.base)
    except InputError:  # a release can be measured without its models
        return None
    is_the_releases = plan.fingerprint == release.manifest.inputs.embedder
    embedder = StaticEmbedder.of(plan.files.folder) if is_the_releases else None
    return None if embedder is None else static_leg(release, queries, embedder)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"The folder {path} cannot be made: {error.strerror}."
        raise InputError(message, remedy="Name another folder for the run files.") from error


def _read(path: Path, query_ids: set[str]) -> list[Entry]:
    read = read_run(path, name=str(path), account=Account())
    entries = [entry for entry in read if entry.query_id in query_ids]
    if not entries:
        message = f"No query of the run file {path} is judged."
        raise InputError(message, remedy="Give the run and the qrels the same query ids.")
    return entries
