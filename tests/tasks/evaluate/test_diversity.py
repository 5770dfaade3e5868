"""What diverse results cost and gain, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.records import QUERIES, Judgment
from nightrank.storage.release.evaluation import COMPARISON
from nightrank.tasks.evaluate.diversity import compare_diversity
from nightrank.tasks.settings.ranking import ResultsSettings
from tests.tasks.rank.test_results import RANKED, candidates, pointing

if TYPE_CHECKING:
    from collections.abc import Sequence

JUDGMENTS = [Judgment("q1", "b", 1), Judgment("q2", "c", 1), Judgment("q3", "a", 1)]


def worth(settings: ResultsSettings, judgments: Sequence[Judgment] = JUDGMENTS) -> dict[str, tuple[int, float, float]]:
    queries = [
        {"query_key": "k1", "text": "one", "count": 1, "query_ids": ["q1", "q2"], "aliases": []},
        {"query_key": "k0", "text": "unjudged", "count": 1, "query_ids": ["q0"], "aliases": []},
    ]
    unjudged = [("k0", chunk_id, rank, fused) for _, chunk_id, rank, fused in RANKED]
    table = compare_diversity(
        candidates([*RANKED, *unjudged]),
        pa.Table.from_pylist(queries, schema=QUERIES),
        judgments,
        measures=["RR@10", "R@2"],
        candidate_depth=100,
        results=settings,
        ignore_identical_ids=False,
        vectors=pointing,
        generator=np.random.default_rng(0),
    )
    assert table.schema == COMPARISON
    assert set(table["stage"].to_pylist()) <= {"results"}
    return {row["measure"]: (row["queries"], row["before"], row["after"]) for row in table.to_pylist()}


def test_cost_and_gain_are_told_on_judged_queries() -> None:
    # a, b, c, d become a, c, d, b. Pairs of a, b: 0; a, c and a, d and b, c and b, d: 1; c, d: 2.
    found = worth(ResultsSettings(mmr_lambda=0.5))

    # b is second and becomes fourth (q1), c third and becomes second (q2), q3 is not answered
    assert found["RR@10"] == pytest.approx((3, (1 / 2 + 1 / 3) / 3, (1 / 4 + 1 / 2) / 3))
    assert found["R@2"] == pytest.approx((3, 1 / 3, 1 / 3))
    assert found["distance@10"] == (2, 1.0, 1.0)  # the same four, in another order


def test_what_is_left_out_makes_room_for_something_else() -> None:
    found = worth(ResultsSettings(near_duplicate=0.95, depth=2))  # a, b become a, c

    assert found["distance@10"] == (2, 0.0, 1.0)
    assert found["R@2"] == pytest.approx((3, 1 / 3, 1 / 3))


def test_results_that_are_not_diversified_have_no_such_comparison() -> None:
    assert worth(ResultsSettings()) == {}
    assert worth(ResultsSettings(mmr_lambda=0.5), []) == {}
