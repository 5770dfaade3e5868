"""The stage that measures: what every stage of the ladder is worth and costs, and what changed since the last release.

Everything here is about the judged queries. Where nobody judged, the files are there and empty, and nothing is timed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from nightrank.storage.errors import MachineError
from nightrank.storage.files.atomic import write_text
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.records import kind_of
from nightrank.storage.release.evaluation import COMPARISON, DEPTHS, EVALUATION
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.whole import whole_file
from nightrank.tasks.evaluate.depths import curve_depths, evaluate_depths
from nightrank.tasks.evaluate.diagnosis import diagnose
from nightrank.tasks.evaluate.diversity import compare_diversity
from nightrank.tasks.evaluate.measures import evaluate_stages, means
from nightrank.tasks.evaluate.significance import compare_evaluations
from nightrank.tasks.evaluate.single_stages import compare_single_stages
from nightrank.tasks.online.timing import Timed, timings_of
from nightrank.tasks.rank.diversity import stored_vectors
from nightrank.tasks.rank.order import Weighing
from nightrank.tasks.read.account import Account
from nightrank.tasks.release import judged_queries
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.settings.whole import Settings
from nightrank.tasks.trec.qrels import judgments_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nightrank.storage.judged import JudgedBy
    from nightrank.storage.records import Judgment
    from nightrank.storage.release.files import Comparison, DocumentDigests
    from nightrank.storage.release.manifest import Manifest
    from nightrank.tasks.embed.lazy import LazyEmbedder
    from nightrank.tasks.night import Night
    from nightrank.tasks.rank.diversity import VectorSource
    from nightrank.tasks.rank.learned import LearnedOrder
    from nightrank.tasks.rerank.lazy import LazyReranker
    from nightrank.tasks.sparse.lazy import LazySparse
    from nightrank.tasks.stages.built import Built


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured; empty where there are no judgments.

    Attributes:
        means: By stage and measure.
        single_stages: Each single stage against the final order.
        judged_by: What the judgments rest on; None where there are none.
    """

    means: Mapping[str, Mapping[str, float]]
    single_stages: Comparison
    judged_by: JudgedBy | None


@stage_task("measure")
def measure_stages(
    night: Night,
    built: Built,
    embedder: LazyEmbedder,
    sparse: LazySparse | None,
    reranker: LazyReranker | None,
    *,
    learned: LearnedOrder | None,
) -> Measured:
    """Measure every stage on the judged queries, follow each relevant document, and time the stages of the ladder.

    Args:
        night: The run.
        built: The new release.
        embedder: Loaded only where something must be timed anew.
        sparse: Planned; None where there is no sparse leg of our own.
        reranker: Loaded only where something must be timed anew; None where the fused order is kept.
        learned: The learned order; None where plain weights order.
    """
    settings, index, seed = night.settings, built.index, built.inputs.seed
    table = night.open_chunks(index.vectors.table)
    judgments = judgments_of(settings.judgments, base=night.base, account=Account())
    queries = judged_queries(built.asked.queries.read(), judgments)
    candidates = built.candidates.read_rows("query_key", queries.column("query_key"))
    tonight = _Rankings(settings, queries, candidates, stored_vectors(table))

    evaluation = _measured(tonight, judgments, night)
    night.files.evaluation.write(evaluation)
    weight = 0.0 if reranker is None else reranker.plan.weight
    weighing = Weighing.of(settings, learned, weight=weight, log=built.reranked.log)
    night.files.depths.write(_depth_curve(tonight, judgments, None if reranker is None else weighing))
    night.files.diagnosis.write(_diagnosis(tonight, judgments, built.inputs.digests))
    if settings.results.diversifies:
        night.files.diversity.write(_diversity(tonight, judgments, seed=seed))
    single_stages = night.files.single_stages.write(_single_stages(tonight, judgments, seed=seed))
    before = _measured_again(night.current, judgments, night)
    night.files.measured_again.write(before)
    night.files.comparison.write(_comparison(before, evaluation, seed=seed))
    if queries.num_rows and settings.evaluation.timed_queries:
        plan = None if sparse is None else sparse.plan
        timings = timings_of(
            settings,
            night.workspace,
            Timed(embedder, plan, reranker, table, index.statistics, texts=index.vectors.texts),
            queries=queries.column("text"),
            release_id=night.release_id,
            weighing=weighing,
            seed=night.seed,
        )
        write_text(night.files.timings.path, timings.model_dump_json(indent=2) + "\n")
    return Measured(means(evaluation), single_stages, kind_of(judgments))


class _Rankings(NamedTuple):
    """What is measured of a release."""

    settings: Settings  # that it was made with
    queries: pa.Table  # the judged ones, schema QUERIES
    candidates: pa.Table  # theirs, schema CANDIDATES
    vectors: VectorSource


def _measured(rankings: _Rankings, judgments: Sequence[Judgment], night: Night) -> pa.Table:
    """The stages of a release, measured as tonight's settings ask, schema EVALUATION."""
    return evaluate_stages(
        rankings.candidates,
        rankings.queries,
        judgments,
        measures=night.settings.evaluation.measures,
        legs=rankings.settings.retrieval.legs,
        candidate_depth=rankings.settings.retrieval.candidate_depth,
        results=rankings.settings.results,
        ignore_identical_ids=night.settings.judgments.ignore_identical_ids,
        vectors=rankings.vectors,
    )


def _depth_curve(tonight: _Rankings, judgments: Sequence[Judgment], weighing: Weighing | None) -> pa.Table:
    """Schema DEPTHS; without a reranker empty."""
    if weighing is None:
        return DEPTHS.empty_table()
    settings = tonight.settings
    candidate_depth = settings.retrieval.candidate_depth
    deepest = min(settings.reranker.depth, candidate_depth)
    return evaluate_depths(
        tonight.candidates,
        tonight.queries,
        judgments,
        depths=curve_depths(settings.evaluation.depths, deepest=deepest),
        weighing=weighing,
        measures=settings.evaluation.measures,
        candidate_depth=candidate_depth,
        ignore_identical_ids=settings.judgments.ignore_identical_ids,
    )


def _diagnosis(tonight: _Rankings, judgments: Sequence[Judgment], digests: DocumentDigests) -> pa.Table:
    """Schema DIAGNOSIS."""
    judged = pa.array(sorted({judgment.document_id for judgment in judgments}), pa.string())
    return diagnose(
        tonight.candidates,
        tonight.queries,
        judgments,
        documents=digests.read_rows("document_id", judged).column("document_id"),
        candidate_depth=tonight.settings.retrieval.candidate_depth,
        results=tonight.settings.results,
        ignore_identical_ids=tonight.settings.judgments.ignore_identical_ids,
        vectors=tonight.vectors,
    )


def _diversity(tonight: _Rankings, judgments: Sequence[Judgment], *, seed: int) -> pa.Table:
    """Schema COMPARISON."""
    settings = tonight.settings
    return compare_diversity(
        tonight.candidates,
        tonight.queries,
        judgments,
        measures=settings.evaluation.measures,
        candidate_depth=settings.retrieval.candidate_depth,
        results=settings.results,
        ignore_identical_ids=settings.judgments.ignore_identical_ids,
        vectors=tonight.vectors,
        generator=np.random.default_rng(seed),
    )


def _single_stages(tonight: _Rankings, judgments: Sequence[Judgment], *, seed: int) -> pa.Table:
    """Schema COMPARISON."""
    settings = tonight.settings
    return compare_single_stages(
        tonight.candidates,
        tonight.queries,
        judgments,
        measure=settings.gates.measure,
        candidate_depth=settings.retrieval.candidate_depth,
        results=settings.results,
        ignore_identical_ids=settings.judgments.ignore_identical_ids,
        generator=np.random.default_rng(seed),
    )


def _measured_again(previous: Manifest | None, judgments: Sequence[Judgment], night: Night) -> pa.Table:
    """The release that is live, by today's judgments: schema EVALUATION; empty where there is none, or none whole."""
    before = None if previous is None or not judgments else _stored(previous, judgments, night)
    return EVALUATION.empty_table() if before is None else _measured(before, judgments, night)


def _comparison(before: pa.Table, evaluation: pa.Table, *, seed: int) -> pa.Table:
    """Schema COMPARISON."""
    if before.num_rows == 0:
        return COMPARISON.empty_table()
    return compare_evaluations(before, evaluation, generator=np.random.default_rng(seed))


def _stored(manifest: Manifest, judgments: Sequence[Judgment], night: Night) -> _Rankings | None:
    """What can be measured of an earlier release without a model; None where it cannot be read as it was written."""
    files = ReleaseFiles.of(night.workspace, manifest.release_id)
    if any(whole_file(file, manifest) is None for file in (files.queries, files.candidates)):
        return None
    try:
        made_with = Settings.model_validate(manifest.settings)
        name, release_id = manifest.chunk_table.name, manifest.release_id
        table = ChunkTable.of_release(night.workspace.lance, name=name, release_id=release_id)
    except (ValidationError, MachineError):  # another version's settings; texts that are gone
        return None
    queries = judged_queries(files.queries.read(), judgments)
    candidates = files.candidates.read_rows("query_key", queries.column("query_key"))
    return _Rankings(made_with, queries, candidates, stored_vectors(table))
