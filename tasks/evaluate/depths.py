"""The curve of accuracy against reranking depth: what each further block of pairs to score is worth.

The pair scores of a release's own depth are there, so every smaller depth is their reranking once more, and no model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.release.evaluation import DEPTHS
from nightrank.tasks.evaluate.measures import evaluate_runs, named_queries, rows_of_queries, run_of
from nightrank.tasks.rank.order import first_stage_scores, legs_of, rank_candidates, weighted_scores

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nightrank.storage.legs import LegName
    from nightrank.storage.records import Judgment
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
    weight: float,
    leg_weights: Mapping[LegName, float],
    measures: Sequence[str],
    candidate_depth: int,
    ignore_identical_ids: bool,
) -> pa.Table:
    """Measure the weighted ranking as if only the first candidates of each query had been reranked.

    Args:
        candidates: Schema CANDIDATES, with the pair scores of the deepest.
        queries: Schema QUERIES.
        judgments: The qrels.
        depths: Candidates by fused rank that are reranked; 0 keeps the fused order.
        weight: Of the reranker.
        leg_weights: Of the legs that are on; they sum to 1.
        measures: Names as ir_measures writes them.
        candidate_depth: Chunks that count as candidates.
        ignore_identical_ids: Leave out the document that has the query's own id.

    Returns:
        A table of schema DEPTHS; without judgments an empty one.
    """
    ids_by_key = named_queries(queries, {judgment.query_id for judgment in judgments})
    judged = rows_of_queries(candidates, ids_by_key)
    within = judged.filter(pc.field("fused_rank") <= candidate_depth).sort_by("query_key")
    runs: dict[str, list[Entry]] = {}
    for depth in depths:
        ranked = _reranked(within, depth=depth, weight=weight, leg_weights=leg_weights)
        runs[str(depth)] = run_of(ranked, ids_by_key, ignore_identical_ids=ignore_identical_ids)
    measured = evaluate_runs(runs, judgments, measures)
    return measured.set_column(0, "depth", measured.column("stage").cast(pa.int32())).cast(DEPTHS)


def _reranked(candidates: pa.Table, *, depth: int, weight: float, leg_weights: Mapping[LegName, float]) -> pa.Table:
    """The candidates, by query key, in the order that reranking the first ``depth`` of each query gives."""
    groups = candidates.column("query_key").combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    fused_ranks, chunk_numbers = (candidates.column(name).to_numpy() for name in ("fused_rank", "chunk_number"))
    pair_scores = candidates.column("pair_score").to_numpy()  # NaN where it is null
    pair_scores = np.where(fused_ranks <= depth, pair_scores, np.float32(np.nan))
    first_stage = first_stage_scores(
        groups,
        candidates.column("fused_score").to_numpy(),
        legs=legs_of(candidates, leg_weights=leg_weights),
        asked=~np.isnan(pair_scores),
    )
    scores = weighted_scores(groups, first_stage, fused_ranks, pair_scores, weight=weight)
    order, _ = rank_candidates(groups, scores, chunk_numbers)
    return candidates.take(pa.array(order))
