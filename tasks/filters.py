"""Filters applied: held against the types of a collection's fields, and made into one set of chunks each.

No SQL is made of a filter: what it compares with is looked up among the field's distinct values.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from storage.allowed_chunks import AllowedChunks
from storage.filters import And, AnyOf, Exists, Not, Or, Range, leaves, parse_filter
from tasks.filter_fields import OBJECT, Fields, moment
from tasks.values import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from storage.bm25_store import Bm25Store
    from storage.filters import Filter, Value
    from tasks.filter_fields import Field


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
    kinds, read = set(), {}
    for name, bound in bounds.bounds.items():
        kind, comparable = _comparable(field, bound)
        if kind == "texts":
            raise ValueError(
                f"the field {shown(field.name)} holds texts; lt, lte, gt and gte are for numbers and dates"
            )
        kinds.add(kind)
        read[name] = comparable
    [kind] = kinds
    return field.readings[kind].within(replace(bounds, **read))  # type: ignore[arg-type]  # bounds by their names


def _comparable(field: Field, value: Value) -> tuple[str, Value]:
    """The reading of a field that a value can be compared with, and the value as it has it."""
    if not field.readings:
        what = (
            f"{field.types}; name a field in them" if field.types == "objects" else f"{field.types}, of several types"
        )
        raise ValueError(f"the field {shown(field.name)} holds {what}")
    if isinstance(value, bool):
        kind = "truth values"
    elif isinstance(value, str):
        if "dates" in field.readings and (at := moment(value)) is not None:
            return "dates", at
        kind = "texts"
    else:
        kind = "numbers"
    if kind not in field.readings or (kind == "texts" and "dates" in field.readings):
        holds = "dates" if "dates" in field.readings else field.types
        of = {"texts": "a text", "numbers": "a number", "truth values": "true or false"}[kind]
        what = "what is no date" if holds == "dates" and kind == "texts" else of
        raise ValueError(f"the field {shown(field.name)} holds {holds}, and is compared with {what}")
    return kind, value
