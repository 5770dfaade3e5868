"""Which table of a database looks like documents: what `nightrank init` proposes as the query."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.errors import InputError
from nightrank.tasks.read.sources.kind import SERVERS, is_database_file
from nightrank.tasks.read.tables.columns import Columns, column_key
from nightrank.tasks.read.tables.names import DOCUMENTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nightrank.tasks.settings.inputs import DocumentsSettings

CALLED_SO = re.compile(r"corpus|collection|document|docs|article|product|page|passage|catalog|item|faq|post", re.I)
CURSORS = ("updatedat", "modifiedat", "changedat", "lastmodified", "updatedon", "modifiedon", "modified", "updated")
PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
DEFAULT_SCHEMAS = ("public", "main")
SHOWN = 10


class Proposed(NamedTuple):
    """A query that gives documents.

    Attributes:
        text: Of the query.
        may_be_cursor: The column that is called as a cursor is; None where there is none.
    """

    text: str
    may_be_cursor: str | None


def is_database(source: str, *, base: Path) -> bool:
    """Whether a source needs a query, by how it is called."""
    return source.startswith(SERVERS) or is_database_file(source, base=base)


def query_for(settings: DocumentsSettings, *, base: Path) -> Proposed | None:
    """The query that is likeliest to give documents; None where the source needs none.

    Args:
        settings: ``[documents]`` without a query.
        base: The folder that a relative source is relative to.

    Raises:
        InputError: The database cannot be read, or no table of it looks like documents.
    """
    if not is_database(settings.source, base=base):
        return None
    from nightrank.tasks.read.sources.open import open_database

    database, name = open_database(settings.model_copy(update={"query": "SELECT 1"}), base=base)
    with database:
        found = database.tables()
    columns = Columns(DOCUMENTS, {})
    tables = {table: [column for *_, column in rows] for table, rows in groupby(found, key=lambda row: row[:2])}
    fitting = [table for table, names in tables.items() if columns.understands(names)]
    if not fitting:
        listed = ", ".join(table for _, table in list(tables)[:SHOWN]) or "none"
        raise InputError(
            f"No table of {name} has an id, and a title or a text, by a usual name; tables: {listed}.",
            remedy="Write [documents].query yourself, with AS id, AS title and AS text.",
        )
    best = max(fitting, key=lambda table: _likelihood(table, tables[table], columns))
    schema, table = best
    where = _name(table) if schema in DEFAULT_SCHEMAS else f"{_name(schema)}.{_name(table)}"
    cursors = [column for known in CURSORS for column in tables[best] if column_key(column) == known]
    return Proposed(f"SELECT * FROM {where}", cursors[0] if cursors else None)  # noqa: S608  # the names are quoted


def _likelihood(table: tuple[str, str], names: Sequence[str], columns: Columns) -> tuple[bool, bool, int]:
    taken = columns.taken(names).columns
    return CALLED_SO.search(table[1]) is not None, "text" in taken, len(taken)


def _name(name: str) -> str:
    is_plain = PLAIN.fullmatch(name) is not None and CALLED_SO.search(name) is not None  # no word of SQL is called so
    return name if is_plain else '"' + name.replace('"', '""') + '"'
