"""Filters for tests: what they mean, said again as plainly as Python can, and strategies that draw them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from storage.records import JsonValue

COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
}

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


def matches(metadata: Mapping[str, JsonValue], wanted: Mapping[str, Any]) -> bool:
    """Whether a document's metadata satisfies a filter, as written."""
    return all(_holds(metadata, name, operand) for name, operand in wanted.items())


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


def _holds(metadata: Mapping[str, JsonValue], name: str, operand: Any) -> bool:
    if name == "and":
        return all(matches(metadata, part) for part in operand)
    if name == "or":
        return any(matches(metadata, part) for part in operand)
    if name == "not":
        return not matches(metadata, operand)
    values = [_comparable(value) for value in _values(metadata, name)]
    if not isinstance(operand, dict):
        wanted = [_comparable(value) for value in (operand if isinstance(operand, list) else [operand])]
        return any(value == one for value in values for one in wanted)
    bounds = {operator: _comparable(operand[operator]) for operator in COMPARE if operator in operand}
    within = any(all(COMPARE[operator](value, bound) for operator, bound in bounds.items()) for value in values)
    others = {
        "eq": lambda wanted: _holds(metadata, name, [wanted]),
        "in": lambda wanted: _holds(metadata, name, wanted),
        "exists": lambda wanted: bool(values) == wanted,
        "not": lambda wanted: not _holds(metadata, name, wanted),
    }
    return (within or not bounds) and all(others[key](operand[key]) for key in operand if key not in COMPARE)


def _values(value: JsonValue, name: str) -> list[JsonValue]:
    for step in name.split("."):
        value = [part.get(step) for part in _flat(value) if isinstance(part, dict)]
    return [part for part in _flat(value) if part not in (None, "")]


def _flat(value: JsonValue) -> list[JsonValue]:
    return [inner for part in value for inner in _flat(part)] if isinstance(value, list) else [value]


def _comparable(value: Any) -> Any:
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
