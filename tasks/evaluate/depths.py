"""The curve of accuracy against reranking depth: what each further block of pairs to score is worth.

The pair scores of a release's own depth are there, so every smaller depth is their reranking once more, and no model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.release.evaluation import DEPTHS
from nightrank.storage.wide import codes_of, rows_at, sorted_rows
from nightrank.tasks.evaluate.measures import evaluate_runs, named_queries, rows_of_queries, run_of
from nightrank.tasks.rank.order import entries_of, rank_candidates

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nightrank.storage.records import Judgment
    from nightrank.tasks.rank.order import Weighing
    from nightrank.tasks.trec.runs import Entry


def curve_depths(wanted: Iterable[int], *, deepest: int) -> list[int]:
    """The depths of a curve, ascending: from none at all to all that was reranked.

    Args:
        wanted: Those between; what lies beyond the deepest cannot be told.
        deepest: At which the release reranks.

    >>> curve_depths((10, 20, 50, 100), deepest=30)
    [0, 10, 20, 30]
    """
    return sorted({0, deepest, *(depth for depth in wanted if depth <= deepest)})


def evaluate_depths(
    candidates: pa.Table,
    queries: pa.Table,
    judgments: Sequence[Judgment],
    *,
    depths: Sequence[int],
    weighing: Weighing,
    measures: Sequence[str],
    candidate_depth: int,
    ignore_identical_ids: bool,
) -> pa.Table:
    """Measure the final order as if only the first candidates of each query had been reranked.

    Args:
        candidates: Schema CANDIDATES, with the pair scores of the deepest.
        queries: Schema QUERIES.
        judgments: The qrels.
        depths: Candidates by fused rank that are reranked; with 0 the legs alone order.
        weighing: Of the final order, with what lists say in the mean over the log.
        measures: Names as ir_measures writes them.
        candidate_depth: Chunks that count as candidates.
        ignore_identical_ids: Leave out the document that has the query's own id.

    Returns:
        A table of schema DEPTHS; without judgments an empty one.
    """
    ids_by_key = named_queries(queries, {judgment.query_id for judgment in judgments})
    judged = rows_of_queries(candidates, ids_by_key)
    listed = sorted_rows(judged, [("query_key", "ascending"), ("fused_rank", "ascending")])
    runs: dict[str, list[Entry]] = {}
    for depth in depths:
        ranked = _reranked(listed, depth=min(depth, candidate_depth), weighing=weighing)
        within = ranked.filter(pc.field("fused_rank") <= candidate_depth)
        runs[str(depth)] = run_of(within, ids_by_key, ignore_identical_ids=ignore_identical_ids)
    measured = evaluate_runs(runs, judgments, measures)
    return measured.set_column(0, "depth", measured.column("stage").cast(pa.int32())).cast(DEPTHS)


def _reranked(listed: pa.Table, *, depth: int, weighing: Weighing) -> pa.Table:
    """What the legs list, by query key, in the order that reranking the first ``depth`` of each query gives."""
    groups = codes_of(listed.column("query_key"))
    entries = entries_of(listed, queries=groups)
    pair_scores = listed.column("pair_score").to_numpy()  # NaN where it is null
    pair_scores = np.where(entries.fused_ranks <= depth, pair_scores, np.float32(np.nan))
    scores = weighing.final_scores(entries, pair_scores)
    order, _ = rank_candidates(groups, scores, listed.column("chunk_number").to_numpy())
    return rows_at(listed, order)
