"""Rows as Elasticsearch exports them: hits whose fields lie in `_source`, and pairs of lines for its bulk interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.records import BadRow
from nightrank.tasks.read.account import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.read.input_file import InputFile
    from nightrank.tasks.read.tables.row import Row

ACTIONS = ("index", "create", "update")


def unwrapped(rows: Iterator[Row | BadRow], file: InputFile) -> Iterator[Row | BadRow]:
    """Rows whose fields lie at the top; the id of a hit is that of a document, and of a log's event nobody's.

    Args:
        rows: As they are read.
        file: Where they come from; its account is told.
    """
    action: dict[str, JsonValue] | None = None
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        if len(row.values) == 1 and (found := _action(row)) is not None:
            action = found
            continue
        source = row.values.get("_source")
        if isinstance(source, dict):
            hit, what = dict(row.values), "the fields of _source, as Elasticsearch exports them"
        elif action is not None:
            hit, source, what = action, dict(row.values), "lines of Elasticsearch's bulk interface"
        else:
            yield row
            continue
        action = None
        file.tell(Kind.FORM, what, row=row.number)
        ids = {"_id": hit["_id"]} if "_id" in hit and file.part == "documents" else {}
        yield row._replace(values={**ids, **source})


def _action(row: Row) -> dict[str, JsonValue] | None:
    name, value = next(iter(row.values.items()))
    if name in ACTIONS and isinstance(value, dict) and {"_id", "_index"} & value.keys():
        return value
    return None
