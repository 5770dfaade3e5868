"""What each stage is worth on judged queries, by ir_measures, which follows trec_eval.

A judged query that a stage did not answer scores 0; it is never dropped. A document stands where its best
chunk stands. The ideal ranking comes from the judgments alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import ir_measures
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import InputError
from storage.evaluations import EVALUATION
from tasks.results import cut_results

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from storage.records import Judgment
    from tasks.diversity import VectorSource
    from tasks.settings import ResultsSettings

MEASURES = ("nDCG@10", "RR@10", "R@100", "Judged@10")
STAGES = ("bm25", "dense", "fused", "reranker", "reranked", "results")


class Entry(NamedTuple):
    """An entry of a run: what TREC calls a scored document."""

    query_id: str
    doc_id: str
    score: float


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
    parsed = {name: parse_measure(name) for name in measures}
    qrels = [ir_measures.Qrel(judgment.query_id, judgment.document_id, judgment.grade) for judgment in judgments]
    scored = [ir_measures.ScoredDoc(*entry) for entry in _without_ties(run)]
    values = {
        (metric.query_id, metric.measure): float(metric.value)
        for metric in ir_measures.iter_calc(list(set(parsed.values())), qrels, scored)
    }
    query_ids = sorted({judgment.query_id for judgment in judgments})
    return [(query_id, name, values[query_id, parsed[name]]) for query_id in query_ids for name in parsed]


def _without_ties(run: Iterable[Entry]) -> Iterator[Entry]:
    """The same rankings with falling whole scores: not every measure of ir_measures breaks ties as trec_eval does."""
    ordered = sorted(run, key=lambda entry: (np.float32(entry.score), entry.doc_id), reverse=True)
    places: dict[str, int] = {}
    for entry in ordered:
        places[entry.query_id] = places.get(entry.query_id, 0) + 1
        yield Entry(entry.query_id, entry.doc_id, -float(places[entry.query_id]))


def parse_measure(name: str) -> ir_measures.Measure:
    """A measure by its name.

    Raises:
        InputError: ir_measures knows none of that name.
    """
    try:
        return ir_measures.parse_measure(name)
    except (NameError, ValueError, SyntaxError) as error:
        message = f"{name!r} is no measure that ir_measures knows."
        raise InputError(message, remedy="Write it as ir_measures does: nDCG@10, RR@10, R@100, AP, P@5.") from error


def evaluate_stages(
    candidates: pa.Table,
    queries: pa.Table,
    judgments: Sequence[Judgment],
    *,
    measures: Sequence[str] = MEASURES,
    candidate_depth: int,
    results: ResultsSettings,
    ignore_identical_ids: bool,
    vectors: VectorSource | None = None,
) -> pa.Table:
    """Measure every stage of a release.

    Args:
        candidates: Schema CANDIDATES.
        queries: Schema QUERIES.
        judgments: The qrels.
        measures: Names as ir_measures writes them.
        candidate_depth: Chunks that count as candidates.
        results: What counts as results.
        ignore_identical_ids: Leave out the document that has the query's own id.
        vectors: Of texts; needed where results are diversified.

    Returns:
        A table of schema EVALUATION; without judgments an empty one.
    """
    judged = {judgment.query_id for judgment in judgments}
    ids_by_key = {
        key: [query_id for query_id in ids if query_id in judged]
        for key, ids in zip(
            queries.column("query_key").to_pylist(), queries.column("query_ids").to_pylist(), strict=True
        )
    }
    wanted = pa.array([key for key, ids in ids_by_key.items() if ids], pa.string())
    candidates = candidates.filter(pc.is_in(candidates.column("query_key"), value_set=wanted))
    rows: list[tuple[str, str, str, float]] = []
    for stage in STAGES:
        if not judgments:
            break
        ranked = _ranked(candidates, stage, candidate_depth=candidate_depth, results=results, vectors=vectors)
        if stage == "reranker" and ranked.num_rows == 0:
            continue  # there was no reranker
        run = _as_run(ranked, ids_by_key, ignore_identical_ids=ignore_identical_ids)
        rows += [(stage, *measured) for measured in evaluate_run(run, judgments, measures)]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(EVALUATION)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, EVALUATION, strict=True)], schema=EVALUATION
    )


def means(evaluation: pa.Table) -> dict[str, dict[str, float]]:
    """The mean of each measure by stage, over all judged queries."""
    grouped = evaluation.group_by(["stage", "measure"]).aggregate([("value", "mean")]).to_pylist()
    found = {(row["stage"], row["measure"]): row["value_mean"] for row in grouped}
    names = list(dict.fromkeys(evaluation.column("measure").to_pylist()))
    return {
        stage: {name: found[stage, name] for name in names}
        for stage in STAGES
        if any((stage, name) in found for name in names)
    }


def _ranked(
    candidates: pa.Table, stage: str, *, candidate_depth: int, results: ResultsSettings, vectors: VectorSource | None
) -> pa.Table:
    """(query_key, document_id) of a stage's entries, best first within a query; none where a stage did not run."""
    if stage in {"bm25", "dense"}:
        order, entries = f"{stage}_rank", candidates.filter(pc.is_valid(pc.field(f"{stage}_rank")))
    else:
        entries = candidates.filter(pc.field("fused_rank") <= candidate_depth)
        order = "fused_rank" if stage == "fused" else "rank"
    if stage == "reranker":
        entries = entries.filter(pc.is_valid(pc.field("pair_score")))
        keys = [("query_key", "ascending"), ("pair_score", "descending"), ("chunk_number", "ascending")]
    else:
        keys = [("query_key", "ascending"), (order, "ascending")]
    ranked = entries.sort_by(keys)
    if stage == "results":
        ranked = cut_results(ranked, candidate_depth=candidate_depth, settings=results, vectors=vectors)
    return ranked.select(["query_key", "document_id"])


def _as_run(
    ranked: pa.Table, ids_by_key: Mapping[str, Sequence[str]], *, ignore_identical_ids: bool
) -> Iterator[Entry]:
    """The entries of a run: each document once a query, scored by falling ranks, so that the order is ours alone."""
    seen: set[str] = set()
    current, place = "", 0
    for key, document_id in zip(*(column.to_pylist() for column in ranked.columns), strict=True):
        if key != current:
            current, place, seen = key, 0, set()
        if document_id in seen:
            continue
        seen.add(document_id)
        place += 1
        for query_id in ids_by_key[key]:
            if not (ignore_identical_ids and document_id == query_id):
                yield Entry(query_id, document_id, -float(place))
