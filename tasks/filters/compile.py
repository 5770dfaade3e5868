"""Filters applied: held against the types of a collection's fields, and made into one set of chunks each.

No SQL is made of a filter: what it compares with is looked up among the field's distinct values.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nightrank.storage.filters.allowed import AllowedChunks
from nightrank.storage.filters.language import And, AnyOf, Exists, Not, Or, Range, leaves, parse_filter
from nightrank.tasks.filters.fields import DATES, OBJECTS, TEXTS, Fields, moment, type_of
from nightrank.tasks.read.values import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.storage.filters.language import Filter, Value
    from nightrank.tasks.filters.fields import Field


def filter_of(condition: str) -> Filter:
    """The filter of a canonical text."""
    found = parse_filter(condition)
    if found is None:
        raise ValueError("an empty filter has no canonical text")
    return found


def fields_named(conditions: Iterable[str]) -> set[str]:
    """The names of all fields that some filters, as canonical texts, compare."""
    return {leaf.field for condition in conditions for leaf in leaves(filter_of(condition))}


def refused(conditions: Collection[str], metadata: Iterable[pa.Array]) -> dict[str, str]:
    """Which filters cannot be applied to a collection, and why.

    Args:
        conditions: Canonical texts.
        metadata: string (n,), the documents' metadata, block by block.

    Returns:
        Reasons by canonical text: a field that no document has, values of several types, or of another type than what
        they are compared with.
    """
    fields = Fields.read(metadata, fields_named(conditions))
    reasons: dict[str, str] = {}
    for condition in conditions:
        try:
            allowed_rows(filter_of(condition), fields)
        except ValueError as error:
            reasons[condition] = str(error)
    return reasons


def compiled(conditions: Collection[str], store: Bm25Store) -> AllowedChunks:
    """The chunks that each filter lets through; of filters that cannot be applied there is no set.

    Args:
        conditions: Canonical texts, distinct.
        store: The chunks, with their documents' metadata.
    """
    metadata = (batch.column(0) for batch in store.chunk_reader(["metadata"])) if conditions else ()
    fields = Fields.read(metadata, fields_named(conditions))
    masks: dict[str, NDArray[np.bool_]] = {}
    for condition in conditions:
        with suppress(ValueError):
            masks[condition] = allowed_rows(filter_of(condition), fields)[fields.row_of]
    return AllowedChunks.of(masks, chunk_count=store.chunk_count)


def allowed_rows(found: Filter, fields: Fields) -> NDArray[np.bool_]:
    """Which rows of metadata a filter lets through: bool (row_count,).

    Raises:
        ValueError: It cannot be applied; the message is the reason.
    """
    allowed = np.zeros(fields.row_count, dtype=np.bool_)
    match found:
        case And(parts) | Or(parts):
            rows = np.stack([allowed_rows(part, fields) for part in parts])
            (np.all if isinstance(found, And) else np.any)(rows, axis=0, out=allowed)
        case Not(part):
            np.logical_not(allowed_rows(part, fields), out=allowed)
        case AnyOf(name, values):
            field = fields.named(name)
            for kind, wanted in _by_kind(field, values).items():
                allowed[field.rows[field.readings[kind].any_of(wanted)]] = True
        case Range(name):
            field = fields.named(name)
            allowed[field.rows[_within(field, found)]] = True
        case Exists(name):
            allowed[fields.named(name).rows] = True
    return allowed


def _by_kind(field: Field, values: Iterable[Value]) -> Mapping[str, list[Value]]:
    """What a field is compared with, by the reading that compares it."""
    found: dict[str, list[Value]] = {}
    for value in values:
        kind, comparable = _comparable(field, value)
        found.setdefault(kind, []).append(comparable)
    return found


def _within(field: Field, bounds: Range) -> NDArray[np.bool_]:
    read: dict[str, tuple[str, Value]] = {name: _comparable(field, bound) for name, bound in bounds.bounds.items()}
    kinds = {kind for kind, _ in read.values()}
    if TEXTS in kinds:
        raise ValueError(f"the field {shown(field.name)} holds texts; lt, lte, gt and gte ask for numbers or dates")
    [kind] = kinds
    among = {name: bound for name, (_, bound) in read.items()}
    return field.readings[kind].within(replace(bounds, **among))  # type: ignore[arg-type]  # bounds by their names


def _comparable(field: Field, value: Value) -> tuple[str, Value]:
    """The reading of a field that a value can be compared with, and the value as it has it."""
    if not field.readings:
        what = "name a field in them" if field.types == OBJECTS else "its values are of several types"
        raise ValueError(f"the field {shown(field.name)} holds {field.types}; {what}")
    kind = type_of(value)
    holds = DATES if DATES in field.readings else field.types
    if kind == TEXTS and holds == DATES:
        if (at := moment(str(value))) is None:
            raise ValueError(f"the field {shown(field.name)} holds dates, and is compared with what is no date")
        return DATES, at
    if kind not in field.readings:
        raise ValueError(f"the field {shown(field.name)} holds {holds}, and is compared with {kind}")
    return kind, value
