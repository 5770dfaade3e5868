"""Where relevant documents go: which stage lost each of them, and which queries suffer most.

Ranks count documents, a document standing where its best chunk stands, as in the measures.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.legs import LEGS
from nightrank.storage.records import ranks_within
from nightrank.storage.release.evaluation import DIAGNOSIS
from nightrank.storage.wide import coded, sorted_rows
from nightrank.tasks.rank.order import best_of_each
from nightrank.tasks.rank.results import cut_results

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.storage.records import Judgment
    from nightrank.tasks.rank.diversity import VectorSource
    from nightrank.tasks.settings.ranking import ResultsSettings

OUTCOMES = (
    "found",  # published
    "not in the collection",
    "no query",  # the release does not answer it
    "lost in every leg",
    "lost in fusion",  # a leg found it, and no chunk of it became a candidate
    "lost in reranking",  # the fused order would have published it
    "lost in diversity",  # the final order would have published it, were results not diversified
    "lost in the cut",  # a candidate that neither order puts high enough
)


def diagnose(
    candidates: pa.Table,
    queries: pa.Table,
    judgments: Sequence[Judgment],
    *,
    documents: pa.Array | pa.ChunkedArray,
    candidate_depth: int,
    results: ResultsSettings,
    ignore_identical_ids: bool,
    vectors: VectorSource | None = None,
) -> pa.Table:
    """What became of every relevant document (grade 1 or more) of every judged query.

    Args:
        candidates: Schema CANDIDATES.
        queries: Schema QUERIES.
        judgments: The qrels.
        documents: string, the ids of the collection, those of judged documents at least.
        candidate_depth: Documents (or chunks, where these count) that are candidates.
        results: What counts as results.
        ignore_identical_ids: Leave out the document that has the query's own id: it is neither wanted nor counted.
        vectors: Of texts; needed where results are diversified.

    Returns:
        A table of schema DIAGNOSIS, by query id, then grade descending, then document id. The fused rank counts on
        below the candidates, so that it tells how far a document lost in fusion is from being one.
    """
    wanted = _relevant(judgments, queries, ignore_identical_ids=ignore_identical_ids)
    keys = pc.drop_null(wanted.column("query_key")).unique()
    candidates = candidates.filter(pc.is_in(candidates.column("query_key"), value_set=keys))
    within = pc.field("fused_rank") <= candidate_depth
    fused = _by_rank(candidates, "fused_rank")
    reranked = _by_rank(candidates.filter(within), "rank")
    plain = results.undiversified()
    cut = partial(cut_results, candidate_depth=candidate_depth)
    orders = {
        **{
            f"{leg}_rank": _by_rank(candidates.filter(pc.is_valid(pc.field(f"{leg}_rank"))), f"{leg}_rank")
            for leg in LEGS
        },
        "fused_rank": fused,
        "reranked_rank": reranked,
        "result_rank": cut(reranked, settings=results, vectors=vectors),
    }
    ranks = {name: _ranks(wanted, ranked, ignore_identical_ids=ignore_identical_ids) for name, ranked in orders.items()}
    would_be = {
        name: _ranks(wanted, cut(orders[name], settings=plain, vectors=None), ignore_identical_ids=ignore_identical_ids)
        for name in ("fused_rank", "reranked_rank")
    }
    # The first that holds decides.
    lost = {
        "not in the collection": ~_is_in(wanted.column("document_id"), documents),
        "no query": wanted.column("query_key").is_null().to_numpy(),
        "lost in every leg": ranks["fused_rank"] == 0,
        "lost in fusion": ranks["reranked_rank"] == 0,
        "found": ranks["result_rank"] > 0,
        "lost in diversity": would_be["reranked_rank"] > 0,
        "lost in reranking": would_be["fused_rank"] > 0,
    }
    outcomes = np.select(list(lost.values()), list(lost), default="lost in the cut")
    columns = {name: pa.array(values, pa.int32(), mask=values == 0) for name, values in ranks.items()}
    for name in ("query_id", "document_id", "grade"):
        columns[name] = wanted.column(name)
    columns["outcome"] = pa.array(outcomes.tolist(), pa.string())
    return pa.table([columns[name] for name in DIAGNOSIS.names], schema=DIAGNOSIS)


def totals(diagnosis: pa.Table) -> dict[str, int]:
    """How many relevant documents had each outcome, in the order of OUTCOMES.

    Args:
        diagnosis: Schema DIAGNOSIS.
    """
    counted = {row["values"]: row["counts"] for row in diagnosis.column("outcome").value_counts().to_pylist()}
    return {outcome: counted.get(outcome, 0) for outcome in OUTCOMES}


def worst_queries(diagnosis: pa.Table, evaluation: pa.Table, *, measure: str, count: int) -> list[str]:
    """The ids of the queries whose results are worth least, lowest first.

    Queries of equal worth come by how many relevant documents they lost, most first, then by id. Queries that lost
    none are left out.

    Args:
        diagnosis: Schema DIAGNOSIS.
        evaluation: Schema EVALUATION, of the same release.
        measure: What counts, of the stage ``results``.
        count: How many, at most.
    """
    lost = diagnosis.filter(pc.field("outcome") != "found").group_by("query_id").aggregate([([], "count_all")])
    worth = evaluation.filter((pc.field("stage") == "results") & (pc.field("measure") == measure))
    ordered = worth.join(lost, "query_id", join_type="inner").sort_by(
        [("value", "ascending"), ("count_all", "descending"), ("query_id", "ascending")]
    )
    worst: list[str] = ordered.column("query_id").slice(0, count).to_pylist()
    return worst


def _relevant(judgments: Sequence[Judgment], queries: pa.Table, *, ignore_identical_ids: bool) -> pa.Table:
    """The wanted documents, in the order of the result, with their query's key; null where the release lacks it."""
    ids = queries.column("query_ids").combine_chunks()
    keys = queries.column("query_key").combine_chunks().take(pc.list_parent_indices(ids))
    key_of = dict(zip(pc.list_flatten(ids).to_pylist(), keys.to_pylist(), strict=True))
    rows = sorted(
        (judgment.query_id, -judgment.grade, judgment.document_id)
        for judgment in judgments
        if judgment.grade >= 1 and not (ignore_identical_ids and judgment.query_id == judgment.document_id)
    )
    columns: dict[str, pa.Array] = {
        "query_id": pa.array([row[0] for row in rows], pa.string()),
        "document_id": pa.array([row[2] for row in rows], pa.string()),
        "grade": pa.array([-row[1] for row in rows], pa.int32()),
        "query_key": pa.array([key_of.get(row[0]) for row in rows], pa.string()),
    }
    return pa.table(columns)


def _by_rank(candidates: pa.Table, rank: str) -> pa.Table:
    return sorted_rows(candidates, [("query_key", "ascending"), (rank, "ascending")])


def _ranks(wanted: pa.Table, ranked: pa.Table, *, ignore_identical_ids: bool) -> NDArray[np.int64]:
    """The rank of each wanted document, int64 (n,), from 1; 0 where it is not there.

    Args:
        wanted: ``query_key``, ``document_id`` and ``query_id`` (n,).
        ranked: Rows of CANDIDATES, by query, best first.
        ignore_identical_ids: Count on as if the document that has the query's own id were not there.
    """
    keys, documents = coded(ranked.column("query_key")), coded(ranked.column("document_id"))
    queries, units = (codes.indices.to_numpy(zero_copy_only=False) for codes in (keys, documents))
    best = best_of_each(queries, units, depth=max(1, ranked.num_rows))
    queries, units, places = queries[best], units[best], ranks_within(queries[best])
    pairs = _pairs(queries, units)
    order = np.argsort(pairs)

    def rank_of(ids: pa.ChunkedArray) -> NDArray[np.int64]:
        sought = _pairs(_codes(wanted.column("query_key"), keys.dictionary), _codes(ids, documents.dictionary))
        at = np.searchsorted(pairs, sought, sorter=order)
        at = order.take(np.minimum(at, pairs.size - 1))
        return np.where(pairs[at] == sought, places[at], 0).astype(np.int64)

    if pairs.size == 0:
        return np.zeros(wanted.num_rows, dtype=np.int64)
    found = rank_of(wanted.column("document_id"))
    if ignore_identical_ids:
        own = rank_of(wanted.column("query_id"))
        found -= (own > 0) & (own < found)
    return found


def _pairs(queries: NDArray[np.integer], units: NDArray[np.integer]) -> NDArray[np.int64]:
    """One number for each query and document; -1 where one of them has no number."""
    pairs = (queries.astype(np.int64) << 32) | units.astype(np.int64)
    return np.where((queries < 0) | (units < 0), np.int64(-1), pairs)


def _codes(values: pa.ChunkedArray, dictionary: pa.Array) -> NDArray[np.int64]:
    """The place of each value in a dictionary; -1 where it is not there."""
    places = pc.index_in(values, value_set=dictionary)
    found: NDArray[np.int64] = pc.fill_null(places, -1).to_numpy().astype(np.int64)
    return found


def _is_in(values: pa.ChunkedArray, known: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    if isinstance(known, pa.ChunkedArray):
        known = known.combine_chunks()
    found: NDArray[np.bool_] = pc.is_in(values, value_set=known).to_numpy()
    return found
