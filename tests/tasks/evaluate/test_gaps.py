from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.records import QUERIES, WATCHED
from nightrank.storage.release.evaluation import GAPS
from nightrank.tasks.evaluate.gaps import find_gaps, lowest

CANDIDATES = pa.schema(
    [("query_key", pa.string()), ("rank", pa.int32()), ("pair_score", pa.float32()), ("dense_score", pa.float32())]
)


def gaps(
    best: dict[str, list[tuple[float | None, float | None]]],
    *,
    watched: dict[str, tuple[int, int]] | None = None,
    depth: int = 10,
) -> dict[str, list[str]]:
    """The reasons by query, from the (pair score, dense score) of each one's candidates, best first."""
    candidates = [(key, rank, *scores) for key, found in best.items() for rank, scores in enumerate(found, start=1)]
    queries: list[tuple[object, ...]] = [(key, f"text of {key}", 3, [], [], None, "log") for key in best]
    seen = [(key, *counts) for key, counts in (watched or {}).items()]
    table = find_gaps(
        *(
            pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)
            for rows, schema in ((candidates, CANDIDATES), (queries, QUERIES), (seen, WATCHED))
        ),
        depth=depth,
    )
    assert table.schema == GAPS
    return {row["text"].removeprefix("text of "): row["reasons"] for row in table.to_pylist()}


def scored(*scores: float) -> dict[str, list[tuple[float | None, float | None]]]:
    return {f"q{number}": [(score, None)] for number, score in enumerate(scores)}


def test_a_query_without_results_is_one_and_they_come_in_the_order_of_demand() -> None:
    assert gaps({"a": [], "b": [(1.0, None)], "c": []}) == {"a": ["no results"], "c": ["no results"]}


def test_the_lowest_tenth_of_best_results_is_low() -> None:
    assert gaps(scored(*range(18), -5.0, -7.0)) == {"q18": ["low score"], "q19": ["low score"]}
    assert gaps(scored(*range(19))) == {}  # too few for a tenth to say something
    assert gaps(scored(*[1.0] * 30)) == {}  # all alike


def test_it_is_the_best_of_the_results_that_counts_and_not_what_lies_behind_them() -> None:
    best = scored(*range(19)) | {"late": [(-9.0, None), (-8.0, None), (50.0, None)]}
    assert gaps(best, depth=2) == {"q0": ["low score"], "late": ["low score"]}
    assert gaps(best, depth=3) == {"q0": ["low score"], "q1": ["low score"]}


def test_scores_of_one_kind_alone_are_compared() -> None:
    dense: dict[str, list[tuple[float | None, float | None]]] = {f"d{n}": [(None, n / 100)] for n in range(20)}
    assert gaps(scored(*range(5, 25)) | dense) == {q: ["low score"] for q in ("q0", "q1", "d0", "d1")}
    assert gaps(dense | {"bm25 alone": [(None, None)]}) == {"d0": ["low score"], "d1": ["low score"]}


def test_without_clicks_where_others_have_them_is_one_once_chance_is_ruled_out() -> None:
    best = scored(1.0, 2.0, 3.0, 4.0)
    assert gaps(best, watched={"q0": (10, 10), "q1": (5, 0), "q2": (4, 0), "q3": (1, 0)}) == {"q1": ["no clicks"]}
    assert gaps(best, watched={"q0": (1000, 0), "q1": (5, 0)}) == {}  # nobody clicks at all
    assert gaps({"a": []}, watched={"a": (90, 0), "b": (10, 10)}) == {"a": ["no results", "no clicks"]}


@pytest.mark.parametrize("scores", [[], [math.inf], [0.0] * 40])
def test_nothing_is_lowest_where_nothing_can_be_told(scores: list[float]) -> None:
    assert not lowest(np.zeros(len(scores), dtype=np.int64), np.array(scores)).any()
    assert not lowest(np.full(len(scores), -1), np.array(scores)).any()
