"""The stage that measures: what every rung of the ladder is worth and costs, and what changed since the last release.

Everything here is about the judged queries. Where nobody judged, the files are there and empty, and nothing is timed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import ValidationError

from storage.evaluations import COMPARISON
from storage.keys import sha256_of_file
from storage.tables import read_rows, read_table, write_table
from tasks.depths import curve_depths, evaluate_depths
from tasks.diagnosis import diagnose
from tasks.judged import judged_queries
from tasks.measures import evaluate_stages, means
from tasks.reading import judgments_of
from tasks.settings import Settings
from tasks.significance import compare_evaluations
from tasks.static_embedding import StaticEmbedder
from tasks.static_leg import retrieve_static, static_leg_of_release
from tasks.timings import write_timings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from storage.chunk_table import ChunkTable
    from storage.records import Judgment
    from storage.releases import ChunkTableVersion, Manifest
    from tasks.night import Night
    from tasks.on_demand import EmbedderOnDemand, RerankerOnDemand


@task(name="measure", cache_policy=NO_CACHE)
def measure_stages(
    night: Night,
    embedder: EmbedderOnDemand,
    reranker: RerankerOnDemand | None,
    version: ChunkTableVersion,
    *,
    previous: Manifest | None,
) -> dict[str, dict[str, float]]:
    """Measure every stage on the judged queries, follow each relevant document, and time the rungs of the ladder.

    Args:
        night: The run.
        embedder: Loaded only where something must be timed anew.
        reranker: Loaded only then; None where the fused order is kept.
        version: Where texts and vectors are.
        previous: The release that is live, to be compared with.

    Returns:
        Means by stage and measure; empty where there are no judgments.
    """
    judgments = judgments_of(night)
    queries = judged_queries(read_table(night.queries), judgments)
    candidates = read_rows(night.candidates, "query_key", queries.column("query_key"))
    table = night.open_chunks(version)
    static_embedder = StaticEmbedder.of(embedder.plan.files.folder) if queries.num_rows else None
    static = retrieve_static(night, table, queries, static_embedder)

    evaluation = _measured(candidates, queries, judgments, static, made_with=night.settings, night=night)
    write_table(night.evaluation, evaluation)
    write_table(night.depths, _depth_curve(night, candidates, queries, judgments, reranker))
    write_table(night.diagnosis, _diagnosis(night, candidates, queries, judgments))
    write_table(night.comparison, _comparison(night, previous, table, judgments, evaluation))
    if queries.num_rows and night.settings.evaluation.timed_queries:
        write_timings(night, embedder, reranker, table, static=static_embedder, queries=queries)
    return means(evaluation)


def _measured(
    candidates: pa.Table,
    queries: pa.Table,
    judgments: Sequence[Judgment],
    static: pa.Table | None,
    *,
    made_with: Settings,
    night: Night,
) -> pa.Table:
    """The stages of a release made with some settings, measured as tonight's settings ask, schema EVALUATION."""
    return evaluate_stages(
        candidates,
        queries,
        judgments,
        static=static,
        measures=night.settings.evaluation.measures,
        candidate_depth=made_with.retrieval.candidate_depth,
        results=made_with.results,
        ignore_identical_ids=night.settings.judgments.ignore_identical_ids,
    )


def _depth_curve(
    night: Night,
    candidates: pa.Table,
    queries: pa.Table,
    judgments: Sequence[Judgment],
    reranker: RerankerOnDemand | None,
) -> pa.Table:
    """Schema DEPTHS; without a reranker empty."""
    settings = night.settings
    candidate_depth = settings.retrieval.candidate_depth
    deepest = min(settings.reranker.depth, candidate_depth)
    return evaluate_depths(
        candidates,
        queries,
        judgments,
        depths=[] if reranker is None else curve_depths(settings.evaluation.depths, deepest=deepest),
        weight=0.0 if reranker is None else reranker.plan.weight,
        measures=settings.evaluation.measures,
        candidate_depth=candidate_depth,
        ignore_identical_ids=settings.judgments.ignore_identical_ids,
    )


def _diagnosis(night: Night, candidates: pa.Table, queries: pa.Table, judgments: Sequence[Judgment]) -> pa.Table:
    """Schema DIAGNOSIS."""
    return diagnose(
        candidates,
        queries,
        judgments,
        documents=read_table(night.document_digests, columns=["document_id"]).column(0).combine_chunks(),
        candidate_depth=night.settings.retrieval.candidate_depth,
        results=night.settings.results,
        ignore_identical_ids=night.settings.judgments.ignore_identical_ids,
    )


def _comparison(
    night: Night,
    previous: Manifest | None,
    table: ChunkTable,
    judgments: Sequence[Judgment],
    evaluation: pa.Table,
) -> pa.Table:
    """The release that is live, its candidates measured with today's judgments, against this one: schema COMPARISON."""
    before = None if previous is None or not judgments else _measured_again(night, previous, table, judgments)
    if before is None:
        return COMPARISON.empty_table()
    return compare_evaluations(before, evaluation, generator=np.random.default_rng(night.seed))


def _measured_again(
    night: Night, previous: Manifest, table: ChunkTable, judgments: Sequence[Judgment]
) -> pa.Table | None:
    """An earlier release by today's judgments, schema EVALUATION; None where it can no longer be read."""
    folder = night.workspace.release(previous.release_id)
    if not _holds(folder, previous, ("queries.parquet", "candidates.parquet", "bm25.duckdb")):
        return None
    try:
        made_with = Settings.model_validate(previous.settings)
    except ValidationError:  # another version's
        return None
    queries = judged_queries(read_table(folder / "queries.parquet"), judgments)
    candidates = read_rows(folder / "candidates.parquet", "query_key", queries.column("query_key"))
    static = None
    if _holds(folder, previous, ("static.parquet",)):
        depth = made_with.retrieval.candidate_depth
        static = static_leg_of_release(folder, queries, table, load=lambda: None, depth=depth)
    return _measured(candidates, queries, judgments, static, made_with=made_with, night=night)


def _holds(folder: Path, manifest: Manifest, names: Sequence[str]) -> bool:
    """Whether files of a release are there, and as its manifest names them."""
    return all(
        (folder / name).is_file() and sha256_of_file(folder / name) == manifest.files.get(name) for name in names
    )
