from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.filters.allowed import AllowedChunks
from nightrank.storage.records import LEG
from nightrank.tasks.filters.queries import QueryFilters

if TYPE_CHECKING:
    from numpy.typing import NDArray

EVEN, NONE = '{"even":true}', '{"even":"never"}'
ALLOWED = AllowedChunks.of({EVEN: np.arange(6) % 2 == 0, NONE: np.zeros(6, dtype=np.bool_)}, chunk_count=6)
FILTERS = QueryFilters([EVEN, None, NONE, None, EVEN], ALLOWED)
KEYS = pa.chunked_array([["q0", "q1", "q2", "q3", "q4"]])


def descending(numbers: NDArray[np.int64], allowed: NDArray[np.bool_] | None) -> pa.Table:
    """Of each query the two last chunks that may be; the score tells the query."""
    chunks = np.flatnonzero(np.ones(6, dtype=np.bool_) if allowed is None else allowed)[::-1][:2]
    rows = [
        {"query_number": place, "chunk_number": chunk, "score": float(number), "rank": rank}
        for place, number in enumerate(numbers.tolist())
        for rank, chunk in enumerate(chunks.tolist(), start=1)
    ]
    return pa.Table.from_pylist(rows, schema=LEG)


def test_a_leg_that_is_made_filter_by_filter_is_that_of_all_queries_in_their_order() -> None:
    leg = FILTERS.leg(descending)
    assert leg.schema == LEG
    assert [tuple(row.values()) for row in leg.to_pylist()] == [
        (0, 4, 0.0, 1),
        (0, 2, 0.0, 2),
        (1, 5, 1.0, 1),
        (1, 4, 1.0, 2),
        (3, 5, 3.0, 1),
        (3, 4, 3.0, 2),
        (4, 4, 4.0, 1),
        (4, 2, 4.0, 2),
    ]


def test_queries_without_filters_are_asked_about_once_and_together() -> None:
    plain = QueryFilters([None, None], AllowedChunks(0, {}))
    calls: list[list[int]] = []

    def make(numbers: NDArray[np.int64], allowed: NDArray[np.bool_] | None) -> pa.Table:
        assert allowed is None
        calls.append(numbers.tolist())
        return LEG.empty_table()

    assert plain.leg(make).num_rows == 0
    assert calls == [[0, 1]]


def test_candidates_that_a_filter_does_not_let_through_are_found() -> None:
    candidates = pa.table({"query_key": ["q4", "q1", "q0", "q0", "q2"], "chunk_number": [2, 5, 3, 0, 1]})
    assert FILTERS.outside(KEYS, candidates).tolist() == [2, 4]
    assert FILTERS.outside(KEYS, candidates.slice(0, 2)).tolist() == []


def test_queries_whose_filter_lets_nothing_through_are_known() -> None:
    assert FILTERS.letting_nothing_through(KEYS) == {"q2"}
    assert [None if mask is None else mask.sum() for mask in map(FILTERS.by_query, range(5))] == [3, None, 0, None, 3]
