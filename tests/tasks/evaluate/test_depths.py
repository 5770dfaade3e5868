from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.legs import LEGS, LegName
from nightrank.storage.records import CANDIDATES, QUERIES, Judgment
from nightrank.storage.release.evaluation import DEPTHS
from nightrank.tasks.evaluate.depths import curve_depths, evaluate_depths
from nightrank.tasks.evaluate.measures import evaluate_stages
from nightrank.tasks.rank.order import Weighing, final_order
from nightrank.tasks.settings.ranking import ResultsSettings

QUERY_KEYS = ("k1", "k2")
CHUNKS = 8
WEIGHT = 0.75
EQUAL_PARTS: dict[LegName, float] = {"bm25": 0.5, "dense": 0.5}


def candidates(pair_scores: list[float]) -> pa.Table:
    """Two queries with the same eight candidates d0 to d7 in this fused order, as a night would settle them."""
    count = len(QUERY_KEYS) * CHUNKS
    places = np.tile(np.arange(CHUNKS, dtype=np.int32), len(QUERY_KEYS))
    names = pa.array([f"d{place}" for place in places])
    keys = pa.array(np.repeat(QUERY_KEYS, CHUNKS))
    fused = pa.table(
        {
            "query_number": pa.array(np.repeat(np.arange(len(QUERY_KEYS), dtype=np.int32), CHUNKS)),
            "chunk_number": places,
            **{f"{leg}_{kind}": pa.nulls(count) for leg in LEGS for kind in ("score", "rank")},
            "fused_score": (1.0 / (60.0 + places)).astype(np.float32),
            "fused_rank": places + 1,
        }
    )
    named = pa.table({"query_key": keys, "chunk_id": names, "chunk_hash": names, "document_id": names})
    scores = np.array(pair_scores * len(QUERY_KEYS), dtype=np.float32)
    return final_order(named, fused, scores, weighing=Weighing(EQUAL_PARTS, WEIGHT)).cast(CANDIDATES)


QUERIES_JUDGED = pa.Table.from_pylist(
    [{"query_key": key, "text": key, "count": 1, "query_ids": [f"q-{key}"]} for key in QUERY_KEYS], schema=QUERIES
)
JUDGMENTS = [Judgment("q-k1", "d5", 1), Judgment("q-k2", "d1", 1), Judgment("q-lost", "d1", 1)]
# The reranker thinks the more of a candidate the lower it stands.
RISING = [float(place) for place in range(CHUNKS)]


def curve(
    table: pa.Table, depths: list[int], *, weight: float = WEIGHT, candidate_depth: int = CHUNKS
) -> dict[tuple[int, str], float]:
    """RR@10 by depth and query."""
    found = evaluate_depths(
        table,
        QUERIES_JUDGED,
        JUDGMENTS,
        depths=depths,
        weighing=Weighing(EQUAL_PARTS, weight),
        measures=["RR@10"],
        candidate_depth=candidate_depth,
        ignore_identical_ids=False,
    )
    assert found.schema == DEPTHS
    return {(row["depth"], row["query_id"]): row["value"] for row in found.to_pylist()}


def test_a_depth_reranks_the_first_candidates_and_leaves_the_others_below_them_as_fused() -> None:
    found = curve(candidates(RISING), [0, 2, 6, 8], weight=1.0)
    # d5 is 6th fused, stays 6th below two, and is 1st of six; of eight d7 and d6 stand above it.
    assert [found[depth, "q-k1"] for depth in (0, 2, 6, 8)] == [1 / 6, 1 / 6, 1.0, 1 / 3]
    # d1 is 2nd fused, 1st of two, 5th of six, 7th of eight.
    assert [found[depth, "q-k2"] for depth in (0, 2, 6, 8)] == [1 / 2, 1.0, 1 / 5, 1 / 7]


def test_a_judged_query_that_the_release_lacks_counts_as_zero_at_every_depth() -> None:
    found = curve(candidates(RISING), [0, 2])
    assert (found[0, "q-lost"], found[2, "q-lost"]) == (0.0, 0.0)


def test_the_ends_of_the_curve_are_the_fused_and_the_reranked_stage() -> None:
    generator = np.random.default_rng(3)
    table = candidates(generator.normal(size=CHUNKS).tolist())
    stages = evaluate_stages(
        table,
        QUERIES_JUDGED,
        JUDGMENTS,
        measures=["RR@10"],
        legs=["bm25", "dense"],
        candidate_depth=CHUNKS,
        results=ResultsSettings(),
        ignore_identical_ids=False,
    ).to_pylist()
    found = curve(table, [0, CHUNKS])
    for stage, depth in (("fused", 0), ("reranked", CHUNKS)):
        expected = {row["query_id"]: row["value"] for row in stages if row["stage"] == stage}
        assert {query_id: value for (at, query_id), value in found.items() if at == depth} == expected


def test_what_a_night_of_that_depth_settles_is_what_the_curve_says_of_it() -> None:
    scores = np.random.default_rng(4).normal(size=CHUNKS).tolist()
    for depth in (1, 3, 5):
        shallow = candidates([score if place < depth else np.nan for place, score in enumerate(scores)])
        expected = curve(shallow, [CHUNKS])
        found = curve(candidates(scores), [depth])
        assert [*found.values()] == [*expected.values()]


def test_what_lies_below_the_candidates_does_not_count() -> None:
    assert curve(candidates(RISING), [0], candidate_depth=5)[0, "q-k1"] == 0.0


def test_without_judgments_the_curve_is_empty() -> None:
    found = evaluate_depths(
        candidates(RISING),
        QUERIES_JUDGED,
        [],
        depths=[0, 2],
        weighing=Weighing(EQUAL_PARTS, 1.0),
        measures=["RR@10"],
        candidate_depth=8,
        ignore_identical_ids=False,
    )
    assert (found.schema, found.num_rows) == (DEPTHS, 0)


@pytest.mark.parametrize(
    ("wanted", "deepest", "expected"),
    [
        ((10, 20, 50, 100), 100, [0, 10, 20, 50, 100]),
        ((100, 10), 15, [0, 10, 15]),
        ((), 7, [0, 7]),
        ((7, 7), 7, [0, 7]),
    ],
)
def test_a_curve_goes_from_none_to_all_that_is_reranked(
    wanted: tuple[int, ...], deepest: int, expected: list[int]
) -> None:
    assert curve_depths(wanted, deepest=deepest) == expected
