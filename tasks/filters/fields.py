"""Fields of the documents' metadata as filters see them: typed over the whole collection, each distinct value once.

A value is what stands under the field's name; of a list each entry is a value, and ``author.name`` is found inside an
object, or inside each object of a list. Null, an empty text and an empty list are no value.
"""

from __future__ import annotations

import json
import math
import re
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from nightrank.tasks.read.values import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from nightrank.storage.filters.language import Range
    from nightrank.storage.records import JsonValue

Plain: TypeAlias = "str | int | float | bool"

DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ].*)?", re.DOTALL)
NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,300})(?:\.\d{1,300})?(?:[eE][+-]?\d{1,3})?")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# What values are, in words.
NUMBERS, DATES, TEXTS, TRUTHS, OBJECTS = "numbers", "dates", "texts", "truth values", "objects"
FIELDS_NAMED = 12


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """The distinct values of a field in one reading, in order, and where they stand.

    Attributes:
        ordered: (n_values,), comparable with each other.
        places: int32 (n,), the value of each entry.
    """

    ordered: Sequence[Plain]
    places: NDArray[np.int32]

    @classmethod
    def of(cls, values: Sequence[Plain], numbers: NDArray[np.int32]) -> Values:
        """Values (m,) that may come more than once; entries int32 (n,) say which."""
        ordered = sorted(set(values))
        place_of = {value: place for place, value in enumerate(ordered)}
        places = np.array([place_of[value] for value in values], dtype=np.int32)
        return cls(ordered, places[numbers])

    def any_of(self, wanted: Iterable[Plain]) -> NDArray[np.bool_]:
        """Which entries have one of some values: bool (n,)."""
        matches = np.zeros(len(self.ordered), dtype=np.bool_)
        for value in wanted:
            place = bisect_left(self.ordered, value)
            if place < len(self.ordered) and self.ordered[place] == value:
                matches[place] = True
        return matches[self.places]

    def within(self, bounds: Range) -> NDArray[np.bool_]:
        """Which entries lie within bounds: bool (n,)."""
        first, end = 0, len(self.ordered)
        if bounds.gt is not None:
            first = max(first, bisect_right(self.ordered, bounds.gt))
        if bounds.gte is not None:
            first = max(first, bisect_left(self.ordered, bounds.gte))
        if bounds.lt is not None:
            end = min(end, bisect_left(self.ordered, bounds.lt))
        if bounds.lte is not None:
            end = min(end, bisect_right(self.ordered, bounds.lte))
        found: NDArray[np.bool_] = (self.places >= first) & (self.places < end)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field that some document has.

    Attributes:
        name: As filters write it.
        rows: int32 (n,), the row of metadata that each entry stands in; a row may have several.
        readings: The entries by how they may be compared: as numbers, dates (microseconds since 1970, UTC), texts or
            truth values. Texts that are all dates, or all numbers, are read as these too; values of several types, and
            objects, in no way.
        types: What the values are, in words.
    """

    name: str
    rows: NDArray[np.int32]
    readings: Mapping[str, Values]
    types: str


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """The fields that some filters name, over rows of metadata.

    Attributes:
        by_name: Those that a row has.
        known: The names of all fields at the top level, in order.
        row_count: Rows that were read.
        row_of: int32 (n,), the row of each entry that was read: of a document or of a chunk.
    """

    by_name: Mapping[str, Field]
    known: Sequence[str]
    row_count: int
    row_of: NDArray[np.int32]

    @classmethod
    def read(cls, metadata: Iterable[pa.Array], names: Collection[str]) -> Fields:
        """Read some fields.

        Args:
            metadata: string (n,), JSON objects, block by block; equal neighbours are read once.
            names: Of the fields.
        """
        columns = {name: _Column() for name in names}
        known: dict[str, None] = {}
        row_of: list[NDArray[np.int32]] = [np.zeros(0, dtype=np.int32)]
        rows = 0
        for block in metadata:
            encoded = block.dictionary_encode()
            row_of.append(rows + encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32))
            for text in encoded.dictionary.to_pylist():
                fields = json.loads(text)
                known |= dict.fromkeys(fields)
                for name, column in columns.items():
                    column.add(rows, values_at(fields, name))
                rows += 1
        found = {name: column.typed(name) for name, column in columns.items() if column.rows}
        return cls(found, sorted(known), rows, np.concatenate(row_of))

    def named(self, name: str) -> Field:
        """A field.

        Raises:
            ValueError: No document has a value there.
        """
        if name in self.by_name:
            return self.by_name[name]
        listed = ", ".join(shown(other) for other in self.known[:FIELDS_NAMED])
        more = ", ..." if len(self.known) > FIELDS_NAMED else ""
        raise ValueError(f"no document has the field {shown(name)}; there are {listed or 'none'}{more}")


def values_at(fields: JsonValue, name: str) -> Iterator[JsonValue]:
    """The values of a field in one document's metadata; an object stands for itself.

    >>> list(values_at({"a": [1, None, ""], "b": [{"c": "x"}, {"c": ["y"]}], "b.d": 2}, "b.c"))
    ['x', 'y']
    """
    if isinstance(fields, list):
        for part in fields:
            yield from values_at(part, name)
    elif isinstance(fields, dict):
        if name in fields:
            yield from _flat(fields[name])
        for dot in (place for place, character in enumerate(name) if character == "."):
            yield from values_at(fields.get(name[:dot]), name[dot + 1 :])


def moment(text: str) -> int | None:
    """Microseconds from 1970 to a date or a time as ISO 8601 writes it; None for any other text.

    A date is its first moment; without an offset both are in UTC.

    >>> moment("1970-01-02"), moment("1970-01-01T01:00:00+01:00"), moment("2 January 1970")
    (86400000000, 0, None)
    """
    if not DATE.fullmatch(text):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return ((at if at.tzinfo is not None else at.replace(tzinfo=UTC)) - EPOCH) // MICROSECOND


@dataclass(slots=True)
class _Column:
    """The values of one field while metadata is read: each distinct one once, by type and value."""

    numbers: dict[tuple[str, Plain], int] = field(default_factory=dict)
    rows: array[int] = field(default_factory=lambda: array("i"))
    entries: array[int] = field(default_factory=lambda: array("i"))

    def add(self, row: int, values: Iterable[JsonValue]) -> None:
        for value in values:
            plain = value if isinstance(value, str | int | float) else ""
            self.rows.append(row)
            self.entries.append(self.numbers.setdefault((type_of(value), plain), len(self.numbers)))

    def typed(self, name: str) -> Field:
        types = list(dict.fromkeys(kind for kind, _ in self.numbers))
        values = [value for _, value in self.numbers]
        numbers = np.array(self.entries, dtype=np.int32)
        readings: dict[str, Values] = {}
        if len(types) == 1 and types[0] != OBJECTS:
            readings[types[0]] = Values.of(values, numbers)
            if types == [TEXTS]:
                for kind, read in ((DATES, moment), (NUMBERS, _number)):
                    if (others := _read_all(values, read)) is not None:
                        readings[kind] = Values.of(others, numbers)
        return Field(name, np.array(self.rows, dtype=np.int32), readings, " and ".join(types))


def _read_all(values: Sequence[Plain], read: Callable[[str], int | float | None]) -> list[Plain] | None:
    """Texts read as something else; None where one cannot be."""
    found: list[Plain] = []
    for value in values:
        other = read(str(value))
        if other is None:
            return None
        found.append(other)
    return found


def _number(text: str) -> int | float | None:
    if not NUMBER.fullmatch(text):
        return None
    value: int | float = json.loads(text)
    return value if math.isfinite(value) else None


def _flat(value: JsonValue) -> Iterator[JsonValue]:
    if isinstance(value, list):
        for part in value:
            yield from _flat(part)
    elif value is not None and value not in ("", {}):
        yield value


def type_of(value: JsonValue) -> str:
    """What a value is, in words.

    >>> [type_of(value) for value in (1.5, True, "x", {})]
    ['numbers', 'truth values', 'texts', 'objects']
    """
    if isinstance(value, bool):
        return TRUTHS
    if isinstance(value, str):
        return TEXTS
    return NUMBERS if isinstance(value, int | float) else OBJECTS
