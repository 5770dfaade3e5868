from __future__ import annotations

import pyarrow as pa
import pytest

from nightrank.storage.records import QUERIES
from nightrank.tasks.gates.query_names import query_names

TABLE = pa.table(
    [
        ["k1", "k2", "k3"],
        ["how", "[b]why\u202e", "who"],
        [3, 2, 1],
        [["q1", "q9"], [], []],
        [[], [], []],
        [None] * 3,
        ["log"] * 3,
    ],
    schema=QUERIES,
)


def test_a_query_goes_by_its_first_id_or_else_by_its_words_in_the_order_asked_for() -> None:
    assert query_names(TABLE, ["k3", "k1"]) == ['"who"', '"q1"']
    assert query_names(TABLE, []) == []


@pytest.mark.parametrize("code", ["\x1b", "\u202e", "\n", "\x00", "\u2028", "\x9b"])
def test_nothing_that_steers_a_terminal_is_in_a_name(code: str) -> None:
    table = pa.table([["k1"], [f"a{code}b"], [1], [[]], [[]], [None], ["log"]], schema=QUERIES)
    assert query_names(table, ["k1"]) == ['"a\N{REPLACEMENT CHARACTER}b"']
