"""Content gaps: what visitors asked that nothing answered well, by what a release knows of its own results.

Three signs tell of one, and none of them is proof: a query has no result; its best result scores among the lowest
tenth of all queries' best ones; people do not click where they do elsewhere. Scores of one kind alone are compared: of
the reranker, which compare between queries, else of the dual encoder.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.release.evaluation import GAPS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

NO_RESULTS = "no results"
NO_CLICKS = "no clicks"
LOW_SCORE = "low score"
REASONS = (NO_RESULTS, NO_CLICKS, LOW_SCORE)

SIGNALS = ("pair_score", "dense_score")
LOW_SHARE = 0.1
FEWEST_SCORED = 20  # queries, for a lowest tenth to say something
CHANCE = 0.05


def find_gaps(candidates: pa.Table, queries: pa.Table, watched: pa.Table, *, depth: int) -> pa.Table:
    """The queries that nothing answers well.

    Args:
        candidates: Of schema CANDIDATES the columns ``query_key``, ``rank`` and ``SIGNALS``.
        queries: Schema QUERIES, those most in demand first.
        watched: Schema WATCHED.
        depth: Results a query.

    Returns:
        Schema GAPS, in the order of the queries.
    """
    best = _best_results(candidates, depth)
    keys = queries.column("query_key").to_pylist()
    seen = {row["query_key"]: row for row in watched.to_pylist()}
    signals, scores = _scores(best, keys)
    is_low = lowest(signals, scores)
    clicks_expected = _click_share(watched)
    rows = []
    for number, query in enumerate(queries.select(["text", "filter", "count"]).to_pylist()):
        found, visits = best.get(keys[number]), seen.get(keys[number])
        searches, clicks = (None, None) if visits is None else (visits["searches"], visits["clicks"])
        is_passed_over = clicks == 0 and is_surprising(searches or 0, clicks_expected)
        told = zip(REASONS, (found is None, is_passed_over, bool(is_low[number])), strict=True)
        if reasons := [reason for reason, is_so in told if is_so]:
            signal = int(signals[number])
            rows.append(
                {
                    **query,
                    "reasons": reasons,
                    "results": 0 if found is None else found["results"],
                    "signal": None if signal < 0 else SIGNALS[signal],
                    "score": None if signal < 0 else float(scores[number]),
                    "searches": searches,
                    "clicks": clicks,
                }
            )
    return pa.Table.from_pylist(rows, schema=GAPS)


def lowest(signals: NDArray[np.int64], scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which queries' best results score within the lowest tenth of their kind, bool (n,).

    Ties with the last of them are in it, unless all scores are the same; of fewer than 20 queries of a kind none is.

    Args:
        signals: int (n,), the kind of each score; -1: there is none.
        scores: float (n,).

    >>> scores = np.r_[-9.0, -8.0, -8.0, np.arange(17.0)]
    >>> np.flatnonzero(lowest(np.zeros(20, dtype=np.int64), scores)).tolist()
    [0, 1, 2]
    """
    is_low = np.zeros(scores.size, dtype=np.bool_)
    for signal in np.unique(signals[signals >= 0]):
        of_kind = np.flatnonzero(signals == signal)
        values = scores[of_kind]
        if of_kind.size >= FEWEST_SCORED and values.min() < values.max():
            bound = np.sort(values)[math.ceil(LOW_SHARE * of_kind.size) - 1]
            is_low[of_kind] = values <= bound
    return is_low


def is_surprising(searches: int, share: float) -> bool:
    """Whether no click after so many searches is no matter of chance (below 5 %), where a share of all is clicked.

    >>> is_surprising(5, 0.5), is_surprising(4, 0.5), is_surprising(1000, 0.0), is_surprising(1, 1.0)
    (True, False, False, True)
    """
    return (1.0 - share) ** searches < CHANCE


def _click_share(watched: pa.Table) -> float:
    """Clicks a search, over all queries; 1 at most."""
    searches = pc.sum(watched.column("searches")).as_py() or 0
    return min(1.0, (pc.sum(watched.column("clicks")).as_py() or 0) / searches) if searches else 0.0


def _best_results(candidates: pa.Table, depth: int) -> Mapping[str, Mapping[str, float | int | None]]:
    """The results of each query that has any, and the best score of each kind among them."""
    results = candidates.filter(pc.field("rank") <= depth)
    grouped = results.group_by("query_key").aggregate([("rank", "count"), *((signal, "max") for signal in SIGNALS)])
    return {
        row["query_key"]: {"results": row["rank_count"], **{signal: row[f"{signal}_max"] for signal in SIGNALS}}
        for row in grouped.to_pylist()
    }


def _scores(
    best: Mapping[str, Mapping[str, float | int | None]], keys: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The kind of each query's score, -1 without one, and the score."""
    signals, scores = np.full(len(keys), -1, dtype=np.int64), np.zeros(len(keys))
    for number, key in enumerate(keys):
        for signal, name in enumerate(SIGNALS):
            score = best.get(key, {}).get(name)
            if score is not None:
                signals[number], scores[number] = signal, score
                break
    return signals, scores
