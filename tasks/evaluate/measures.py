"""What each stage is worth on judged queries, by ir_measures, which follows trec_eval.

A judged query that a stage did not answer scores 0; it is never dropped. A document stands where its best
chunk stands. The ideal ranking comes from the judgments alone.
"""

from __future__ import annotations

from subprocess import CalledProcessError
from typing import TYPE_CHECKING

import ir_measures
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.errors import InputError
from nightrank.storage.legs import LEGS
from nightrank.storage.records import ranks_within
from nightrank.storage.release.evaluation import EVALUATION
from nightrank.storage.wide import codes_of, rows_at, sorted_rows
from nightrank.tasks.rank.order import best_of_each
from nightrank.tasks.rank.results import cut_results
from nightrank.tasks.trec.runs import Entry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from nightrank.storage.legs import LegName
    from nightrank.storage.records import Judgment
    from nightrank.tasks.rank.diversity import VectorSource
    from nightrank.tasks.settings.ranking import ResultsSettings

STAGES = ("static", *LEGS, "fused", "reranker", "reranked", "results")

# A stage's ranking where it is no part of the candidates: documents may come again, their best rank counts.
RANKED = pa.schema(
    [
        pa.field("query_key", pa.string(), nullable=False),
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),  # from 1
    ]
)


def evaluate_run(
    run: Iterable[Entry], judgments: Sequence[Judgment], measures: Sequence[str]
) -> list[tuple[str, str, float]]:
    """Measure one run.

    Args:
        run: Scored documents, each once a query; ties are broken as trec_eval does, on float32 scores by document
            id descending.
        judgments: The qrels; every query in them counts.
        measures: Names as ir_measures writes them: ``nDCG@10``, ``RR@10``, ``R@100``.

    Returns:
        (query id, measure, value) for every judged query and measure, by query id, measures as they were given.

    Raises:
        InputError: ir_measures knows no such measure.
    """
    return _measured(without_ties(list(run)), judgments, measures)


def _measured(
    run: Iterable[Entry], judgments: Sequence[Judgment], measures: Sequence[str]
) -> list[tuple[str, str, float]]:
    """As ``evaluate_run``, of a run without ties."""
    parsed = {name: parse_measure(name) for name in measures}
    qrels = [ir_measures.Qrel(judgment.query_id, judgment.document_id, judgment.grade) for judgment in judgments]
    scored = [ir_measures.ScoredDoc(*entry) for entry in run]
    try:
        found = list(ir_measures.iter_calc(list(set(parsed.values())), qrels, scored))
    except (ValueError, AssertionError, OSError, CalledProcessError) as error:
        message = f"ir_measures cannot compute {', '.join(measures)} here: {' '.join(str(error).split())}"
        raise InputError(message, remedy="Leave it out, or install what that measure needs.") from error
    values = {(metric.query_id, metric.measure): float(metric.value) for metric in found}
    query_ids = sorted({judgment.query_id for judgment in judgments})
    # Some measures give nothing where nothing was found: that is 0, too.
    return [(query_id, name, values.get((query_id, parsed[name]), 0.0)) for query_id in query_ids for name in parsed]


def without_ties(run: Sequence[Entry]) -> Iterator[Entry]:
    """The same rankings with falling whole scores: not every measure of ir_measures breaks ties as trec_eval does."""
    scores = np.array([entry.score for entry in run], dtype=np.float32).tolist()
    order = sorted(range(len(run)), key=lambda row: (scores[row], run[row].doc_id), reverse=True)
    places: dict[str, int] = {}
    for row in order:
        query_id, document_id, _ = run[row]
        places[query_id] = places.get(query_id, 0) + 1
        yield Entry(query_id, document_id, -float(places[query_id]))


def parse_measure(name: str) -> ir_measures.Measure:
    """A measure by its name.

    Raises:
        InputError: ir_measures knows none of that name, or it cannot be asked for so.
    """
    remedy = "Write it as ir_measures does: nDCG@10, RR@10, R@100, AP, P@5."
    try:
        measure = ir_measures.parse_measure(name)
    except (NameError, ValueError, SyntaxError) as error:
        raise InputError(f"{name!r} is not a measure that ir_measures knows.", remedy=remedy) from error
    try:
        measure.validate_params()  # type: ignore[no-untyped-call]  # ir_measures has no types
    except AssertionError as error:
        raise InputError(f"The measure {name!r} lacks a parameter, or has one that is wrong.", remedy=remedy) from error
    if measure.params.get("cutoff", 1) < 1:  # trec_eval would end the process
        raise InputError(f"The measure {name!r} counts no document.", remedy="Count from 1: nDCG@10.")
    return measure


def evaluate_stages(
    candidates: pa.Table,
    queries: pa.Table,
    judgments: Sequence[Judgment],
    *,
    measures: Sequence[str],
    legs: Sequence[LegName],
    candidate_depth: int,
    results: ResultsSettings,
    ignore_identical_ids: bool,
    vectors: VectorSource | None = None,
) -> pa.Table:
    """Measure every stage that a refresh has.

    Args:
        candidates: Schema CANDIDATES.
        queries: Schema QUERIES.
        judgments: The qrels.
        measures: Names as ir_measures writes them.
        legs: Those that are on.
        candidate_depth: Documents (or chunks, where these count) that are candidates.
        results: What counts as results.
        ignore_identical_ids: Leave out the document that has the query's own id.
        vectors: Of texts; needed where results are diversified.

    Returns:
        A table of schema EVALUATION; without judgments an empty one.
    """
    runs = stage_runs(
        candidates,
        queries,
        {judgment.query_id for judgment in judgments},
        legs=legs,
        candidate_depth=candidate_depth,
        results=results,
        ignore_identical_ids=ignore_identical_ids,
        vectors=vectors,
    )
    return evaluate_runs(runs, judgments, measures)


def stage_runs(
    candidates: pa.Table,
    queries: pa.Table,
    query_ids: Collection[str],
    *,
    static: pa.Table | None = None,
    legs: Sequence[LegName],
    candidate_depth: int,
    results: ResultsSettings,
    ignore_identical_ids: bool,
    vectors: VectorSource | None = None,
) -> dict[str, list[Entry]]:
    """What is measured of each stage, as a run that any tool of TREC's measures alike.

    Args:
        candidates: Schema CANDIDATES.
        queries: Schema QUERIES.
        query_ids: The queries that are wanted.
        static: The static leg, schema RANKED; None where there is none.
        legs: Those that are on.
        candidate_depth: Documents (or chunks, where these count) that are candidates.
        results: What counts as results.
        ignore_identical_ids: Leave out the document that has the query's own id.
        vectors: Of texts; needed where results are diversified.

    Returns:
        By stage, in the order of STAGES: each document once a query, where its best chunk stands, with falling whole
        scores. A stage that did not run is not there.
    """
    ids_by_key = named_queries(queries, query_ids)
    candidates = rows_of_queries(candidates, ids_by_key)
    runs: dict[str, list[Entry]] = {}
    for stage in (stage for stage in STAGES if stage not in LEGS or stage in legs):
        if stage != "static":
            ranked = _ranked(candidates, stage, candidate_depth=candidate_depth, results=results, vectors=vectors)
        elif static is not None:
            ranked = sorted_rows(
                rows_of_queries(static, ids_by_key), [("query_key", "ascending"), ("rank", "ascending")]
            )
        else:
            continue
        if stage == "reranker" and ranked.num_rows == 0:
            continue  # there was no reranker
        runs[stage] = run_of(ranked, ids_by_key, ignore_identical_ids=ignore_identical_ids)
    return runs


def evaluate_runs(
    runs: Mapping[str, Sequence[Entry]], judgments: Sequence[Judgment], measures: Sequence[str]
) -> pa.Table:
    """Measure the runs of stages.

    Args:
        runs: As ``stage_runs`` gives them.
        judgments: The qrels.
        measures: Names as ir_measures writes them.

    Returns:
        A table of schema EVALUATION; without judgments an empty one.

    Raises:
        InputError: ir_measures knows no such measure.
    """
    rows: list[tuple[str, str, str, float]] = []
    for stage, run in runs.items() if judgments else ():
        rows += [(stage, *measured) for measured in _measured(run, judgments, measures)]
    return pa.Table.from_pydict(
        dict(zip(EVALUATION.names, zip(*rows, strict=True) if rows else [()] * len(EVALUATION), strict=True)),
        schema=EVALUATION,
    )


def named_queries(queries: pa.Table, query_ids: Collection[str]) -> dict[str, list[str]]:
    """The wanted ids behind each query that has one, by query key.

    Args:
        queries: Schema QUERIES.
        query_ids: Those that are wanted.
    """
    columns = (queries.column("query_key").to_pylist(), queries.column("query_ids").to_pylist())
    found = {key: [query_id for query_id in ids if query_id in query_ids] for key, ids in zip(*columns, strict=True)}
    return {key: ids for key, ids in found.items() if ids}


def rows_of_queries(table: pa.Table, keys: Iterable[str]) -> pa.Table:
    """The rows of some queries.

    Args:
        table: With ``query_key``.
        keys: Of the queries.
    """
    return table.filter(pc.is_in(table.column("query_key"), value_set=pa.array(list(keys), pa.string())))


def run_of(ranked: pa.Table, ids_by_key: Mapping[str, Sequence[str]], *, ignore_identical_ids: bool) -> list[Entry]:
    """The entries of a ranking: each document once a query, scored by falling ranks, so that the order is ours alone.

    Args:
        ranked: ``query_key`` and ``document_id``, by query, best first.
        ids_by_key: The ids of the queries behind each key.
        ignore_identical_ids: Leave out the document that has the query's own id.
    """
    named = ["query_key", "document_id"]
    keys, documents = (ranked.column(name) for name in named)
    groups, units = codes_of(keys), codes_of(documents)
    kept = best_of_each(groups, units, depth=max(1, len(keys)))
    columns = (column.to_pylist() for column in rows_at(pa.table([keys, documents], names=named), kept).columns)
    scores = (-ranks_within(groups[kept]).astype(np.float64)).tolist()
    return [
        Entry(query_id, document_id, score)
        for key, document_id, score in zip(*columns, scores, strict=True)
        for query_id in ids_by_key[key]
        if not (ignore_identical_ids and document_id == query_id)
    ]


def means(evaluation: pa.Table) -> dict[str, dict[str, float]]:
    """The mean of each measure by stage, over all judged queries: the stages of a release first, then others."""
    grouped = evaluation.group_by(["stage", "measure"], use_threads=False).aggregate([("value", "mean")]).to_pylist()
    found: dict[str, dict[str, float]] = {}
    for row in grouped:
        found.setdefault(row["stage"], {})[row["measure"]] = row["value_mean"]
    order = [stage for stage in STAGES if stage in found]
    return {stage: found[stage] for stage in [*order, *(stage for stage in found if stage not in STAGES)]}


def _ranked(
    candidates: pa.Table, stage: str, *, candidate_depth: int, results: ResultsSettings, vectors: VectorSource | None
) -> pa.Table:
    """(query_key, document_id) of a stage's entries, best first within a query; none where a stage did not run."""
    if stage in LEGS:
        order, entries = f"{stage}_rank", candidates.filter(pc.is_valid(pc.field(f"{stage}_rank")))
    else:
        entries = candidates.filter(pc.field("fused_rank") <= candidate_depth)
        order = "fused_rank" if stage == "fused" else "rank"
    if stage == "reranker":
        entries = entries.filter(pc.is_valid(pc.field("pair_score")))
        keys = [("query_key", "ascending"), ("pair_score", "descending"), ("chunk_number", "ascending")]
    else:
        keys = [("query_key", "ascending"), (order, "ascending")]
    ranked = sorted_rows(entries, keys)
    if stage == "results":
        ranked = cut_results(ranked, candidate_depth=candidate_depth, settings=results, vectors=vectors)
    return ranked.select(["query_key", "document_id"])
