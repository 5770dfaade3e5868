"""What diverse results cost, and what they gain: results as published against the first entries of the final order.

The cost is in the measures of the evaluation; the gain is the intra-list distance: how different the first ten results
of a query are from each other (C.-N. Ziegler et al., "Improving recommendation lists through topic diversification",
WWW 2005, as a mean distance).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.release.evaluation import COMPARISON, EVALUATION
from nightrank.storage.wide import sorted_rows
from nightrank.tasks.evaluate.measures import evaluate_runs, named_queries, rows_of_queries, run_of
from nightrank.tasks.evaluate.significance import compare_evaluations
from nightrank.tasks.rank.diversity import intra_list_distance
from nightrank.tasks.rank.results import cut_results

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nightrank.storage.records import Judgment
    from nightrank.tasks.rank.diversity import VectorSource
    from nightrank.tasks.settings.ranking import ResultsSettings

DISTANCE_DEPTH = 10
DISTANCE = f"distance@{DISTANCE_DEPTH}"
STAGE = "results"


def compare_diversity(
    candidates: pa.Table,
    queries: pa.Table,
    judgments: Sequence[Judgment],
    *,
    measures: Sequence[str],
    candidate_depth: int,
    results: ResultsSettings,
    ignore_identical_ids: bool,
    vectors: VectorSource,
    generator: np.random.Generator,
) -> pa.Table:
    """Diverse results against those that the final order gives, on judged queries.

    Args:
        candidates: Schema CANDIDATES.
        queries: Schema QUERIES.
        judgments: The qrels.
        measures: Names as ir_measures writes them.
        candidate_depth: Documents (or chunks, where these count) that are candidates.
        results: How they are diversified.
        ignore_identical_ids: Leave out the document that has the query's own id where measures are taken.
        vectors: Of texts.
        generator: What decides the resamples.

    Returns:
        A table of schema COMPARISON: each measure, then the intra-list distance (``distance@10``: mean cosine distance
        of the pairs among the first ten results, 0 to 2; of queries that have results). Empty where results are not
        diversified, or nobody judged.
    """
    ids_by_key = named_queries(queries, {judgment.query_id for judgment in judgments})
    ranked = sorted_rows(rows_of_queries(candidates, ids_by_key), [("query_key", "ascending"), ("rank", "ascending")])
    if not results.diversifies or not ranked.num_rows:
        return COMPARISON.empty_table()
    plain, diverse = (
        _measured(
            cut_results(ranked, candidate_depth=candidate_depth, settings=settings, vectors=vectors),
            ids_by_key,
            judgments,
            measures=measures,
            ignore_identical_ids=ignore_identical_ids,
            vectors=vectors,
        )
        for settings in (results.undiversified(), results)
    )
    return compare_evaluations(plain, diverse, generator=generator)


def _measured(
    results: pa.Table,
    ids_by_key: Mapping[str, Sequence[str]],
    judgments: Sequence[Judgment],
    *,
    measures: Sequence[str],
    ignore_identical_ids: bool,
    vectors: VectorSource,
) -> pa.Table:
    """Schema EVALUATION, of results by query key, best first."""
    run = run_of(results, ids_by_key, ignore_identical_ids=ignore_identical_ids)
    distances = [
        {"stage": STAGE, "query_id": query_id, "measure": DISTANCE, "value": distance}
        for key, distance in _distances(results, vectors).items()
        for query_id in ids_by_key[key]
    ]
    measured = evaluate_runs({STAGE: run}, judgments, measures)
    return pa.concat_tables([measured, pa.Table.from_pylist(distances, schema=EVALUATION)])


def _distances(results: pa.Table, vectors: VectorSource) -> dict[str, float]:
    """The intra-list distance of each query's results, by query key."""
    keys, starts = np.unique(results.column("query_key").to_numpy(zero_copy_only=False), return_index=True)
    ends = np.append(starts[1:], results.num_rows)
    hashes = results.column("chunk_hash").combine_chunks()
    of_texts = vectors(hashes)  # results are few: their vectors fit where candidates' might not
    return {
        key: intra_list_distance(of_texts[start:end], depth=DISTANCE_DEPTH)
        for key, start, end in zip(keys.tolist(), starts.tolist(), ends.tolist(), strict=True)
    }
