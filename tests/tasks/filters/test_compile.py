from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.parts.plain_filters import matches
from nightrank.storage.filters.language import canonical, parse_filter
from nightrank.tasks.filters.compile import allowed_rows, fields_named, refused
from nightrank.tasks.filters.fields import Fields
from tests.support.filters import filters, metadata

if TYPE_CHECKING:
    from nightrank.storage.records import JsonValue

# Each field has values, whatever else is drawn, so that every filter can be applied.
KNOWN: dict[str, Any] = {
    "kind": "guide",
    "letters": 1,
    "date": "2024-06-01",
    "live": True,
    "author": {"name": "Ada"},
}


def condition(written: JsonValue) -> str:
    found = parse_filter(written)
    assert found is not None
    return canonical(found)


def columns(rows: list[dict[str, Any]], *, at_a_time: int = 3) -> list[pa.Array]:
    texts = pa.array([json.dumps(row) for row in rows], pa.string())
    return [texts.slice(start, at_a_time) for start in range(0, len(rows), at_a_time)]


def let_through(rows: list[dict[str, Any]], written: JsonValue) -> list[int]:
    """The places of the rows that a filter lets through."""
    found = parse_filter(written)
    assert found is not None
    fields = Fields.read(columns(rows), fields_named([canonical(found)]))
    return np.flatnonzero(allowed_rows(found, fields)[fields.row_of]).tolist()


@given(st.lists(metadata(), max_size=12), filters())
def test_a_filter_lets_through_what_satisfies_it_and_nothing_else(
    drawn: list[dict[str, Any]], written: dict[str, Any]
) -> None:
    rows = [KNOWN, *drawn, *drawn[:2]]
    assert let_through(rows, written) == [place for place, row in enumerate(rows) if matches(row, written)]


@pytest.mark.parametrize(
    ("written", "places"),
    [
        ({"weight": 2}, [0, 2]),
        ({"weight": [1, 2]}, [0, 1, 2]),
        ({"weight": {"lt": 2}}, [1, 2]),
        ({"weight": {"gt": 1, "lt": 2}}, []),  # no single value is between: row 2 has 1 and 2
        ({"weight": {"exists": False}}, [3, 4]),
        ({"not": {"weight": 2}}, [1, 3, 4]),
        ({"author.name": "Ada"}, [0, 4]),
        ({"day": {"gte": "2024-06-02"}}, [1]),
        ({"day": {"lt": "2024-06-02T00:00:00+02:00"}}, [0]),
        ({"day": "2024-06-02T00:00:00Z"}, [1]),
        ({"draft": True}, [3]),
        ({"price": {"gte": 10}}, [0]),
        ({"price": "9.50"}, [1]),
    ],
)
def test_filters_mean_what_they_say(written: dict[str, Any], places: list[int]) -> None:
    rows: list[dict[str, Any]] = [
        {"weight": 2, "author": {"name": "Ada"}, "day": "2024-06-01", "price": "10"},
        {"weight": 1.0, "author": {"name": "ada"}, "day": "2024-06-02", "price": "9.50"},
        {"weight": [1, 2, None], "draft": False},
        {"weight": None, "draft": True},
        {"weight": "", "author": [{"name": "Grace"}, {"name": ["Ada"]}]},
    ]
    assert let_through(rows, written) == places


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ({"wieght": 1}, "no document has the field 'wieght'; there are 'author', 'day', 'draft', 'mixed', 'nothing'"),
        ({"nothing": {"exists": True}}, "no document has the field 'nothing'"),
        ({"weight": "2"}, "'weight' holds numbers, and is compared with texts"),
        ({"weight": {"lt": "2024-01-01"}}, "'weight' holds numbers, and is compared with texts"),
        ({"weight": True}, "'weight' holds numbers, and is compared with truth values"),
        ({"title": 1}, "'title' holds texts, and is compared with numbers"),
        ({"title": {"gt": "a"}}, "'title' holds texts; lt, lte, gt and gte ask for numbers or dates"),
        ({"draft": 1}, "'draft' holds truth values, and is compared with numbers"),
        ({"day": {"lt": "yesterday"}}, "'day' holds dates, and is compared with what is no date"),
        ({"day": {"lt": 20240601}}, "'day' holds dates, and is compared with numbers"),
        ({"mixed": 1}, "'mixed' holds numbers and texts; its values are of several types"),
        ({"author": "Ada"}, "'author' holds objects; name a field in them"),
        ({"or": [{"weight": 1}, {"not": {"mixed": 1}}]}, "'mixed' holds numbers and texts"),
    ],
)
def test_a_filter_that_does_not_fit_the_documents_is_refused_with_its_reason(written: JsonValue, reason: str) -> None:
    rows: list[dict[str, Any]] = [
        {"weight": 2, "title": "b", "draft": False, "day": "2024-06-01", "mixed": 1, "author": {"name": "Ada"}},
        {"weight": 3.5, "title": "2", "mixed": "one", "nothing": [None, ""]},
    ]
    good = condition({"weight": 2, "mixed": {"exists": True}})
    reasons = refused([condition(written), good], columns(rows))
    assert list(reasons) == [condition(written)]
    assert reason in reasons[condition(written)]
