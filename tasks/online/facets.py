"""The fields of a collection by which people may want to narrow a search: those with few different values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.first_stage import Stage

FieldValue: TypeAlias = "str | int | float | bool"

MOST_FIELDS = 6
MOST_VALUES = 40
MOST_READ = 24  # fields that are looked at
MOST_CHARACTERS = 60  # of a value


class Facet(NamedTuple):
    """A field with few values.

    Attributes:
        field: Its name, at the top of metadata.
        values: As filters compare them, the most frequent first.
    """

    field: str
    values: tuple[FieldValue, ...]


def facets_of(stage: Stage, allowed: NDArray[np.bool_] | None = None) -> Sequence[Facet]:
    """The fields of a collection with two values or more, and not many; at most ``MOST_FIELDS``.

    Args:
        stage: The collection.
        allowed: bool (n_chunks,), the chunks whose values may be told; None: all.
    """
    known = stage.fields(()).known[:MOST_READ]
    fields = stage.fields(known)
    is_told = np.zeros(fields.row_count, dtype=np.bool_)
    is_told[fields.row_of if allowed is None else fields.row_of[allowed]] = True
    found: list[Facet] = []
    for name in known:
        field = fields.by_name.get(name)
        kind = None if field is None else next(iter(field.readings), None)
        if field is None or kind is None or "." in name:
            continue
        values = field.readings[kind]
        if 2 <= len(values.ordered) <= MOST_VALUES and all(len(str(of)) <= MOST_CHARACTERS for of in values.ordered):
            counts = np.bincount(values.places[is_told[field.rows]], minlength=len(values.ordered))
            order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
            if order.size >= 2:
                found.append(Facet(name, tuple(values.ordered[place] for place in order.tolist())))
    return found[:MOST_FIELDS]
