from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightrank.storage.errors import MachineError
from nightrank.storage.records import LEG
from nightrank.tasks.kernels.top_k import RunningTopK

if TYPE_CHECKING:
    from numpy.typing import NDArray


def by_loop(scores: NDArray[np.float32], depth: int) -> list[tuple[int, int, float, int]]:
    rows = []
    for query, row in enumerate(scores.tolist()):
        found = sorted((-score, chunk) for chunk, score in enumerate(row) if score > -np.inf)
        rows += [(query, chunk, -minus, rank) for rank, (minus, chunk) in enumerate(found[:depth], start=1)]
    return rows


def rows_of(best: RunningTopK) -> list[tuple[int, int, float, int]]:
    table = best.table()
    assert table.schema == LEG
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


@given(
    query_count=st.integers(1, 4),
    chunk_count=st.integers(1, 60),
    depth=st.integers(1, 9),
    levels=st.integers(1, 6),
    parts=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None)
def test_pairs_in_any_order_give_what_a_plain_sort_gives(
    query_count: int, chunk_count: int, depth: int, levels: int, parts: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    # Few distinct values: most scores are ties; some are negative, some are masked.
    scores = (generator.integers(0, levels, (query_count, chunk_count)) - levels // 2).astype(np.float32)
    scores[generator.random(scores.shape) < 0.1] = -np.inf
    floors = (generator.integers(0, levels, query_count) - levels // 2 - 0.5).astype(np.float32)
    best, above = RunningTopK(query_count, depth), RunningTopK(query_count, depth, floors=floors)
    for pairs in np.array_split(generator.permutation(scores.size), parts):
        queries, chunks = np.divmod(pairs, chunk_count)
        for part in (best, above):
            part.add(queries, chunks, scores[queries, chunks].astype(np.float64))
        if generator.random() < 0.3:
            best.table()  # looking in between changes nothing
    assert rows_of(best) == by_loop(scores, depth)
    assert rows_of(above) == by_loop(np.where(scores >= floors[:, None], scores, np.float32(-np.inf)), depth)


def test_the_order_is_decided_on_float32_scores() -> None:
    best = RunningTopK(1, 2)
    best.add(np.array([0, 0]), np.array([4, 2]), np.array([1.0 + 1e-12, 1.0]))
    assert best.table()["chunk_number"].to_pylist() == [2, 4]


def test_minus_zero_ties_with_zero() -> None:
    best = RunningTopK(1, 2)
    best.add(np.array([0, 0]), np.array([4, 2]), np.array([0.0, -0.0]))
    assert best.table()["chunk_number"].to_pylist() == [2, 4]


def test_a_score_that_is_not_a_number_is_an_error() -> None:
    best = RunningTopK(1, 2)
    with pytest.raises(MachineError, match="not a number"):
        best.add(np.array([0]), np.array([0]), np.array([np.nan]))


def test_a_query_without_results_has_no_rows_and_no_query_is_no_error() -> None:
    assert RunningTopK(3, 5).table().num_rows == 0
    empty = RunningTopK(0, 5)
    nothing = np.zeros(0, dtype=np.int32)
    empty.add(nothing, nothing, nothing.astype(np.float32))
    assert empty.table().num_rows == 0


def test_what_a_score_must_reach_is_the_last_of_a_full_list_or_the_floor() -> None:
    best = RunningTopK(3, 2, floors=np.array([-np.inf, 1.0, 1.0], dtype=np.float32))
    best.add(np.array([0, 1, 1, 2]), np.array([5, 5, 6, 5]), np.array([3.0, 3.0, 2.0, 3.0]))
    assert best.reached().tolist() == [-np.inf, 2.0, 1.0]
