"""Metadata filters said again as plainly as Python can, value by value: what the real ones are checked against."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nightrank.storage.records import JsonValue

COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
}


def matches(metadata: Mapping[str, JsonValue], wanted: Mapping[str, Any]) -> bool:
    """Whether a document's metadata satisfies a filter, as written."""
    return all(_holds(metadata, name, operand) for name, operand in wanted.items())


def _holds(metadata: Mapping[str, JsonValue], name: str, operand: Any) -> bool:  # noqa: ANN401 (as written)
    if name == "and":
        return all(matches(metadata, part) for part in operand)
    if name == "or":
        return any(matches(metadata, part) for part in operand)
    if name == "not":
        return not matches(metadata, operand)
    values = [_comparable(value) for value in _values(dict(metadata), name)]
    if not isinstance(operand, dict):
        wanted = [_comparable(value) for value in (operand if isinstance(operand, list) else [operand])]
        return any(value == one for value in values for one in wanted)
    bounds = {operator: _comparable(operand[operator]) for operator in COMPARE if operator in operand}
    within = any(all(COMPARE[operator](value, bound) for operator, bound in bounds.items()) for value in values)
    return (within or not bounds) and all(
        _other(metadata, name, operator, wanted) for operator, wanted in operand.items() if operator not in COMPARE
    )


def _other(metadata: Mapping[str, JsonValue], name: str, operator: str, wanted: Any) -> bool:  # noqa: ANN401 (as written)
    if operator == "exists":
        return bool(_values(dict(metadata), name)) is wanted
    if operator == "not":
        return not _holds(metadata, name, wanted)
    return _holds(metadata, name, wanted if operator == "in" else [wanted])


def _values(value: JsonValue, name: str) -> list[JsonValue]:
    for step in name.split("."):
        value = [part.get(step) for part in _flat(value) if isinstance(part, dict)]
    return [part for part in _flat(value) if part not in (None, "")]


def _flat(value: JsonValue) -> list[JsonValue]:
    return [inner for part in value for inner in _flat(part)] if isinstance(value, list) else [value]


def _comparable(value: Any) -> Any:  # noqa: ANN401 (as written)
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
