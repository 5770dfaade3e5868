from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.wide import coded, codes_of, first_of_each, rows_at, sorted_rows

MEBIBYTE = 1 << 20
MORE_THAN_OFFSETS_REACH = 2_100  # texts of a mebibyte: 2 GiB are 2,048

SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("bits", pa.binary()),
        pa.field("score", pa.float32()),
        pa.field("words", pa.list_(pa.string()), nullable=False),
    ],
    metadata={"by": "hand"},
)


def table_in_blocks(*sizes: int) -> pa.Table:
    """Rows in blocks of some sizes: the key of row n is n in words of varied length, every third has nulls."""
    rows = [
        {
            "key": "k" * (n % 5) + str(n),
            "bits": None if n % 3 == 0 else bytes([n]),
            "score": None if n % 3 == 0 else n / 2,
            "words": [str(n)] * (n % 2),
        }
        for n in range(sum(sizes))
    ]
    bounds = np.cumsum([0, *sizes]).tolist()
    blocks = [rows[start:end] for start, end in pairwise(bounds)]
    return pa.concat_tables([pa.Table.from_pylist(block, schema=SCHEMA) for block in blocks])


@given(st.lists(st.integers(0, 6), min_size=1, max_size=4), st.data())
def test_rows_are_those_at_their_places_however_the_table_lies(sizes: list[int], data: st.DataObject) -> None:
    table = table_in_blocks(*sizes)
    rows = table.to_pylist()
    places = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=12)) if rows else []
    found = rows_at(table, np.array(places, dtype=np.int64))
    assert found.to_pylist() == [rows[place] for place in places]
    assert found.schema.equals(SCHEMA, check_metadata=True)


def test_a_table_is_sorted_as_arrow_sorts() -> None:
    table = rows_at(table_in_blocks(4, 3), [6, 0, 3, 2, 1, 5, 4])
    order = [("score", "descending"), ("key", "ascending")]
    assert sorted_rows(table, order).equals(table.combine_chunks().sort_by(order))


def test_codes_count_distinct_values_across_blocks() -> None:
    column = pa.chunked_array([["b", "a"], [], ["b", "c"], ["a"]])
    assert codes_of(column).tolist() == [0, 1, 0, 2, 1]
    assert coded(column).dictionary.to_pylist() == ["b", "a", "c"]


def test_the_first_of_each_combination_stays() -> None:
    left, right = pa.chunked_array([["q", "q"], ["p", "q"]]), pa.array(["1", "2", "1", "1"])
    assert first_of_each(left, right).tolist() == [0, 1, 2]
    assert first_of_each(pa.chunked_array([], pa.string()), pa.array([], pa.string())).tolist() == []


@pytest.mark.slow  # seconds, and some 7 GB of memory
def test_texts_may_be_more_than_offsets_of_32_bits_reach() -> None:
    few = pa.table({"text": ["a" * MEBIBYTE, "b" * MEBIBYTE], "number": [1, 2]})
    places = np.arange(MORE_THAN_OFFSETS_REACH) % 2
    many = rows_at(few, places)
    assert many.column("text").nbytes > 1 << 31
    with pytest.raises(pa.ArrowInvalid):  # what it is for
        many.take(pa.array([0]))
    assert many.column("number").to_pylist() == (places + 1).tolist()
    assert codes_of(many.column("text")).tolist() == places.tolist()
    assert first_of_each(many.column("text")).tolist() == [0, 1]
    assert [row["text"][:2] for row in rows_at(many, [MORE_THAN_OFFSETS_REACH - 1, 0]).to_pylist()] == ["bb", "aa"]
    del few
    in_order = sorted_rows(many, [("number", "descending")])
    assert in_order.column("number").to_pylist() == sorted(many.column("number").to_pylist(), reverse=True)
    assert in_order.column("text")[0].as_py()[:2] == "bb"
