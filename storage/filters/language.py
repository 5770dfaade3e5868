"""The language of metadata filters: JSON objects as people write them, and the one form that keys are made of.

    {"type": "docs", "weight": {"lt": 2000}}                       both
    {"author": ["Ada", "Grace"], "not": {"tags": "draft"}}         any of, and not
    {"or": [{"date": {"gte": "2024-06-01"}}, {"date": {"exists": false}}]}

A name before the colon is a field of the documents' metadata; ``and``, ``or`` and ``not`` combine. Operators may be
written with a dollar sign, as MongoDB has them. Here nothing is known of any document: whether a field exists and what
its values are is asked where a filter is applied, in ``tasks.filters.compile``.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from nightrank.storage.files.text import NamedTwice, read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nightrank.storage.records import JsonValue

Value: TypeAlias = str | int | float | bool
Bound: TypeAlias = str | int | float

BOUNDS = ("lt", "lte", "gt", "gte")
COMBINING = ("and", "or", "not")
OPERATORS = ("eq", "in", *BOUNDS, "exists", "not")
MAX_LEVELS = 16
MAX_CHARACTERS = 20_000  # of the canonical form
SURROGATE = re.compile(r"[\ud800-\udfff]")
EXACT_UP_TO = 2.0**53  # below, a whole float and its integer are written alike


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A value of the field is one of these, which are distinct and in order."""

    field: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """One value of the field lies within all of these bounds, at least one of which is given."""

    field: str
    lt: Bound | None = None
    lte: Bound | None = None
    gt: Bound | None = None
    gte: Bound | None = None

    @property
    def bounds(self) -> dict[str, Bound]:
        """The bounds that are given, by operator."""
        found = {name: getattr(self, name) for name in BOUNDS}
        return {name: bound for name, bound in found.items() if bound is not None}


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has a value that is not null and not empty."""

    field: str


@dataclass(frozen=True, slots=True)
class And:
    """All of these hold; distinct, at least two, in the order of their canonical forms."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of these holds; distinct, at least two, in the order of their canonical forms."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """This does not hold; true of a document without the field."""

    part: Filter


Filter: TypeAlias = AnyOf | Range | Exists | And | Or | Not


def parse_filter(value: JsonValue) -> Filter | None:
    """A filter as it was written.

    Args:
        value: A JSON object, or a text that holds one.

    Returns:
        What it says, whatever order and spelling it was written in; None for an empty one: ``{}``, null, ``""``.

    Raises:
        ValueError: It is no filter, or an object of a text names a key twice; the message is the reason.

    >>> one, other = {"weight": {"$lt": 20.0}, "type": "docs"}, '{"type": ["docs"], "weight": {"lt": 20}}'
    >>> parse_filter(one) == parse_filter(other)
    True
    """
    if isinstance(value, str):
        value = _from_text(value) if value.strip() else None
    if not value and not isinstance(value, bool | int | float):
        return None
    found = _object(value, MAX_LEVELS)
    text = canonical(found)
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"the filter has more than {MAX_CHARACTERS:,} characters")
    if SURROGATE.search(text):
        raise ValueError("the filter holds half of a surrogate pair, which is no character")
    return found


def canonical(found: Filter) -> str:
    """The one text of all filters that say the same the same way; ``parse_filter`` reads it.

    >>> found = parse_filter({"or": [{"b": 1.0}, {"a": {"in": ["y", "x", "x"]}}]})
    >>> found is not None and canonical(found)
    '{"or":[{"a":["x","y"]},{"b":1}]}'
    """
    return json.dumps(_as_json(found), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def leaves(found: Filter) -> Iterator[AnyOf | Range | Exists]:
    """Every comparison in a filter, from left to right."""
    match found:
        case And(parts) | Or(parts):
            for part in parts:
                yield from leaves(part)
        case Not(part):
            yield from leaves(part)
        case _:
            yield found


def values_of(leaf: AnyOf | Range | Exists) -> tuple[Value, ...]:
    """What a comparison compares with."""
    match leaf:
        case AnyOf(_, values):
            return values
        case Range():
            return tuple(leaf.bounds.values())
        case Exists():
            return ()


def _from_text(text: str) -> JsonValue:
    try:
        return read_json(text)
    except NamedTwice as error:
        raise ValueError(f"the filter is ambiguous: {error}") from None
    except (ValueError, RecursionError):
        raise ValueError("the filter is no JSON") from None


def _object(value: JsonValue, levels: int) -> Filter:
    """What an object says: all that it names holds."""
    if not isinstance(value, dict):
        raise ValueError('a filter is a JSON object, such as {"type": "docs"}')
    if levels == 0:
        raise ValueError(f"the filter is nested deeper than {MAX_LEVELS} levels")
    if not value:
        raise ValueError("a part of the filter is empty, and would let everything through")
    parts: list[Filter] = []
    for name, wanted in value.items():
        operator = _plain(name)
        if operator not in COMBINING:
            parts.append(_of_field(name, wanted, levels - 1))
        elif operator == "not":
            parts.append(_negated(_object(wanted, levels - 1)))
        else:
            if not isinstance(wanted, list) or not wanted:
                raise ValueError(f'"{operator}" takes a list of filters')
            among = [_object(part, levels - 1) for part in wanted]
            parts.append(_all(among) if operator == "and" else _any(among))
    return _all(parts)


def _of_field(field: str, wanted: JsonValue, levels: int) -> Filter:
    if not isinstance(wanted, dict):
        return AnyOf(field, _values(field, wanted if isinstance(wanted, list) else [wanted]))
    if levels == 0:
        raise ValueError(f"the filter is nested deeper than {MAX_LEVELS} levels")
    if not wanted:
        raise ValueError(f'the condition on "{field}" is empty')
    operators = {_plain(name): operand for name, operand in wanted.items()}
    if len(operators) < len(wanted):
        raise ValueError(f'the condition on "{field}" names an operator twice')
    bounds = {name: _bound(field, name, operators.pop(name)) for name in BOUNDS if name in operators}
    parts: list[Filter] = [Range(field, **bounds)] if bounds else []
    for name, operand in operators.items():
        parts.append(_operator(field, name, operand, levels))
    return _all(parts)


def _operator(field: str, name: str, operand: JsonValue, levels: int) -> Filter:
    match name:
        case "eq":
            return AnyOf(field, _values(field, [operand]))
        case "in":
            if not isinstance(operand, list):
                raise ValueError(f'"in" takes a list, in the condition on "{field}"')
            return AnyOf(field, _values(field, operand))
        case "exists":
            if not isinstance(operand, bool):
                raise ValueError(f'"exists" takes true or false, in the condition on "{field}"')
            return Exists(field) if operand else Not(Exists(field))
        case "not":
            return _negated(_of_field(field, operand, levels - 1))
    known = ", ".join(OPERATORS)
    raise ValueError(f'the condition on "{field}" has the unknown operator "{name}"; there are {known}')


def _values(field: str, values: list[JsonValue]) -> tuple[Value, ...]:
    if not values:
        raise ValueError(f'the list of values for "{field}" is empty, and nothing could match')
    found = {_key(value): value for value in (_value(field, value) for value in values)}
    return tuple(found[key] for key in sorted(found))


def _value(field: str, value: JsonValue) -> Value:
    if value is None or value == "":
        what = "null" if value is None else "an empty text"
        raise ValueError(f'"{field}" is compared with {what}, which is no value; ask {{"exists": false}}')
    if isinstance(value, list | dict):
        what = "a list" if isinstance(value, list) else "an object"
        raise ValueError(f'"{field}" is compared with {what}, which is no single value')
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f'"{field}" is compared with {value}, which is no number')
        return int(value) if value.is_integer() and abs(value) <= EXACT_UP_TO else value
    return value


def _bound(field: str, name: str, operand: JsonValue) -> Bound:
    if isinstance(operand, bool) or not isinstance(operand, str | int | float):
        raise ValueError(f'"{name}" takes a number or a date, in the condition on "{field}"')
    return _value(field, operand)


def _key(value: Value) -> tuple[str, str]:
    """An order in which 1, true and "1" are three values."""
    return type(value).__name__, json.dumps(value)


def _all(parts: list[Filter]) -> Filter:
    found = _distinct([inner for part in parts for inner in (part.parts if isinstance(part, And) else (part,))])
    return found[0] if len(found) == 1 else And(found)


def _any(parts: list[Filter]) -> Filter:
    found = _distinct([inner for part in parts for inner in (part.parts if isinstance(part, Or) else (part,))])
    return found[0] if len(found) == 1 else Or(found)


def _negated(part: Filter) -> Filter:
    return part.part if isinstance(part, Not) else Not(part)


def _distinct(parts: list[Filter]) -> tuple[Filter, ...]:
    found = {canonical(part): part for part in parts}
    return tuple(found[text] for text in sorted(found))


def _plain(name: str) -> str:
    """An operator without its dollar sign; any other name as it is."""
    bare = name.removeprefix("$")
    return bare if bare in COMBINING or bare in OPERATORS else name


def _as_json(found: Filter) -> Mapping[str, object]:
    match found:
        case AnyOf(field, values):
            return {field: values[0] if len(values) == 1 else list(values)}
        case Range(field):
            return {field: found.bounds}
        case Exists(field):
            return {field: {"exists": True}}
        case And(parts):
            return {"and": [_as_json(part) for part in parts]}
        case Or(parts):
            return {"or": [_as_json(part) for part in parts]}
        case Not(part):
            return {"not": _as_json(part)}
