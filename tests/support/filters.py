"""Metadata and filters on it, drawn by Hypothesis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from benchmarks.parts.plain_filters import COMPARE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nightrank.storage.records import JsonValue

# Fields that a generated collection may have, and values of their types.
KINDS = st.sampled_from(["guide", "reference", "blog", "2", ""])
LETTERS = st.one_of(st.integers(-3, 9), st.sampled_from([2.5, 4.0, 2**53, 2**53 + 1]))
DATES = st.sampled_from(["2024-06-01", "2024-06-02", "2024-06-02T00:00:00Z", "2024-06-02T12:30:00+02:00", "2024-07-01"])
TRUTHS = st.booleans()
VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "kind": KINDS,
    "letters": LETTERS,
    "date": DATES,
    "live": TRUTHS,
    "author.name": st.sampled_from(["Ada", "Grace", "Ada "]),
}


def metadata() -> st.SearchStrategy[dict[str, JsonValue]]:
    """Metadata with any of the fields, single or in lists, null and empty ones among them."""

    def one_or_more(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.one_of(values, values, st.none(), st.lists(st.one_of(values, st.none()), max_size=3))

    plain = {name: one_or_more(values) for name, values in VALUES.items() if "." not in name}
    authors = st.fixed_dictionaries({}, optional={"name": one_or_more(VALUES["author.name"])})
    return st.fixed_dictionaries({}, optional={**plain, "author": st.one_of(authors, st.lists(authors, max_size=2))})


def filters() -> st.SearchStrategy[dict[str, Any]]:
    """Filters on these fields, of their types, with every operator."""

    def of_field(name: str) -> st.SearchStrategy[dict[str, Any]]:
        values = VALUES[name].filter(lambda value: value != "")
        conditions = [
            values,
            st.lists(values, min_size=1, max_size=3),
            st.builds(lambda value: {"eq": value}, values),
            st.builds(lambda several: {"in": several}, st.lists(values, min_size=1, max_size=3)),
            st.builds(lambda there: {"exists": there}, st.booleans()),
        ]
        if name in {"letters", "date"}:
            bounds = st.fixed_dictionaries({}, optional=dict.fromkeys(COMPARE, values)).filter(bool)
            conditions += [bounds, bounds, st.builds(lambda inner: {"not": inner}, bounds)]
        return st.builds(lambda condition: {name: condition}, st.one_of(conditions))

    single = st.one_of([of_field(name) for name in VALUES])
    both = st.builds(lambda one, other: {**one, **other}, single, single)

    def combined(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        several = st.lists(inner, min_size=1, max_size=3)
        return st.one_of(
            st.builds(lambda parts: {"and": parts}, several),
            st.builds(lambda parts: {"or": parts}, several),
            st.builds(lambda part: {"not": part}, inner),
            st.builds(lambda part, other: {"not": part, **other}, inner, single),
        )

    return st.recursive(st.one_of(single, both), combined, max_leaves=5)
