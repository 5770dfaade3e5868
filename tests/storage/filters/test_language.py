from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.filters.language import (
    And,
    AnyOf,
    Exists,
    Filter,
    Not,
    Or,
    Range,
    canonical,
    leaves,
    parse_filter,
    values_of,
)
from tests.support.filters import filters

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from nightrank.storage.records import JsonValue

TYPE, WEIGHT = AnyOf("type", ("docs",)), Range("weight", lt=2000)


@pytest.mark.parametrize("empty", [None, "", "  ", "null", "{}", "[]", {}, []])
def test_an_empty_filter_is_none(empty: JsonValue) -> None:
    assert parse_filter(empty) is None


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ({"type": "docs"}, TYPE),
        ({"type": {"eq": "docs"}}, TYPE),
        ({"type": {"$in": ["docs", "docs"]}}, TYPE),
        ({"type": ["b", "a"]}, AnyOf("type", ("a", "b"))),
        ({"type": "docs", "weight": {"lt": 2000}}, And((TYPE, WEIGHT))),
        ({"weight": {"$lt": 2000.0}, "type": ["docs"]}, And((TYPE, WEIGHT))),
        ({"$and": [{"weight": {"lt": 2000}}, {"and": [{"type": "docs"}, {"type": "docs"}]}]}, And((TYPE, WEIGHT))),
        ({"or": [{"weight": {"lt": 2000}}, {"type": "docs"}]}, Or((TYPE, WEIGHT))),
        ({"weight": {"gt": 1, "lte": 9}}, Range("weight", gt=1, lte=9)),
        ({"weight": {"exists": True}}, Exists("weight")),
        ({"weight": {"exists": False}}, Not(Exists("weight"))),
        ({"not": {"weight": {"exists": False}}}, Exists("weight")),
        ({"weight": {"not": {"lt": 2000}}}, Not(WEIGHT)),
        ({"not": {"type": "docs", "weight": {"lt": 2000}}}, Not(And((TYPE, WEIGHT)))),
        ({"weight": {"gte": 1, "in": [7, 8]}}, And((AnyOf("weight", (7, 8)), Range("weight", gte=1)))),
        ('{"type": "docs"}', TYPE),
    ],
)
def test_filters_are_written_as_people_write_them(written: JsonValue, found: Filter) -> None:
    assert parse_filter(written) == found


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("year = 1999", "no JSON"),
        ('{"weight": 1, "weight": 2}', "an object names 'weight' twice"),
        ('{"not": {"weight": {"lt": 9, "lt": 5}}}', "an object names 'lt' twice"),
        (["x"], "a JSON object"),
        (0, "a JSON object"),
        ("[1]", "a JSON object"),
        ({"type": None}, '"type" is compared with null, which is no value; ask {"exists": false}'),
        ({"type": ""}, "an empty text"),
        ({"type": []}, "is empty, and nothing could match"),
        ({"type": {}}, 'condition on "type" is empty'),
        ({"type": {"like": "x"}}, 'unknown operator "like"; there are eq, in, lt, lte, gt, gte, exists, not'),
        ({"type": {"in": "x"}}, '"in" takes a list'),
        ({"type": {"in": [["x"]]}}, "compared with a list"),
        ({"type": {"exists": 1}}, '"exists" takes true or false'),
        ({"weight": {"lt": True}}, '"lt" takes a number or a date'),
        ({"weight": {"lt": [1]}}, '"lt" takes a number or a date'),
        ({"weight": {"lt": 1, "$lt": 2}}, "names an operator twice"),
        ({"weight": float("inf")}, "no number"),
        ({"and": []}, '"and" takes a list of filters'),
        ({"or": {"type": "docs"}}, '"or" takes a list of filters'),
        ({"or": [{}]}, "would let everything through"),
        ({"not": []}, "a JSON object"),
        ({"type": "x" * 20_001}, "more than 20,000 characters"),
        ('{"type": "\\ud83d"}', "half of a surrogate pair"),
        ('{"weight": {"lt": NaN}}', "no number"),
        ('{"weight": 1e999}', "no number"),
    ],
)
def test_what_is_no_filter_is_refused_with_its_reason(written: JsonValue, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_filter(written)


@pytest.mark.parametrize("nest", [lambda inner: {"not": inner}, lambda inner: {"and": [inner, {"a": 1}]}])
def test_a_filter_that_is_nested_without_end_is_refused(nest: Callable[[JsonValue], JsonValue]) -> None:
    written: JsonValue = {"type": "docs"}
    for _ in range(5_000):
        written = nest(written)
    with pytest.raises(ValueError, match="nested deeper than 16 levels"):
        parse_filter(written)
    deep: JsonValue = "x"
    for _ in range(20):
        deep = {"not": deep}
    with pytest.raises(ValueError, match="nested deeper than 16 levels"):
        parse_filter({"type": deep})


@given(filters())
def test_the_canonical_text_reads_back_as_the_same_filter(written: dict[str, JsonValue]) -> None:
    found = parse_filter(written)
    assert found is not None
    text = canonical(found)
    again = parse_filter(text)
    assert again is not None
    assert canonical(again) == text
    assert again == found


@given(filters(), st.randoms(use_true_random=False))
def test_the_order_in_which_a_filter_is_written_does_not_matter(written: dict[str, JsonValue], random: Random) -> None:
    def shuffled(value: JsonValue) -> JsonValue:
        if isinstance(value, dict):
            items = [(key, shuffled(inner)) for key, inner in value.items()]
            random.shuffle(items)
            return {(f"${key}" if key in {"lt", "in", "not", "or"} else key): inner for key, inner in items}
        if isinstance(value, list):
            return random.sample([shuffled(inner) for inner in value], len(value))
        return value

    one, other = parse_filter(written), parse_filter(json.dumps(shuffled(written)))
    assert one is not None
    assert other is not None
    assert canonical(one) == canonical(other)


def test_values_of_different_types_are_different_values() -> None:
    texts = {canonical(found) for value in (1, True, "1") if (found := parse_filter({"a": value})) is not None}
    assert texts == {'{"a":1}', '{"a":true}', '{"a":"1"}'}
    assert parse_filter({"a": 2**53 + 1}) != parse_filter({"a": 2**53})


def test_every_comparison_is_told_with_what_it_compares_with() -> None:
    found = parse_filter({"or": [{"a": ["x", 1]}, {"not": {"b": {"lt": 3, "gte": 1}}}], "c": {"exists": True}})
    assert found is not None
    assert [(leaf.field, values_of(leaf)) for leaf in leaves(found)] == [
        ("c", ()),
        ("a", (1, "x")),
        ("b", (3, 1)),
    ]
