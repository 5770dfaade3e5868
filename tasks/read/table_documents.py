"""Documents from JSONL, CSV, TSV and Parquet: BEIR's columns as they are, every other column as metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.records import BadRow, Document
from nightrank.tasks.read.account import Kind, Skipped
from nightrank.tasks.read.table_rows import read_rows
from nightrank.tasks.read.values import clean_text, identifier, json_object, kind, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.read.account import Account

ID_COLUMNS = ("_id", "document_id", "id")
TEXT_COLUMNS = ("title", "text")
EMPTY_ROW = "title and text are both empty"


def read_table(path: Path, *, name: str, max_bytes: int, account: Account) -> Iterator[Document | BadRow]:
    """The documents of a table, one a row.

    Columns: ``_id`` (or ``document_id``, or ``id``; the first of them that a row has), ``title``, ``text`` and
    ``metadata``, an object or its JSON; of title and text one may be missing. Every other column becomes a field of
    the metadata. Ids are kept as written, integers as their digits. Control characters of titles and texts become
    spaces, and a title is one line.

    Args:
        path: The file; its suffix says the format.
        name: What the user calls it.
        max_bytes: A larger row is a bad row.
        account: Told what was taken for what, and which rows were skipped.

    Yields:
        Each document, or a ``BadRow`` with the reason in its place; nothing for a row that is skipped.

    Raises:
        InputError: The file cannot be read, or its first row has no id column or neither title nor text.
    """
    is_first = True
    for row in read_rows(path, name=name, max_bytes=max_bytes, account=account, part="documents"):
        if isinstance(row, BadRow):
            yield row
            continue
        if is_first:
            require_columns(row.values, name=name)
            is_first = False
        try:
            yield document_from(row.values, name=name, row=row.number)
        except Skipped as skipped:
            account.add("documents", Kind.SKIPPED, skipped.reason, where=f"{name}, row {row.number}")
        except ValueError as error:
            yield BadRow(name, row.number, str(error))


def document_from(values: Mapping[str, JsonValue], *, name: str, row: int) -> Document:
    """The document that a row's values describe.

    Raises:
        ValueError: They describe none; the message is the reason.
        Skipped: Title and text are both empty.
    """
    id_column = next((column for column in ID_COLUMNS if column in values), None)
    if id_column is None:
        raise ValueError(f"no id: none of {', '.join(ID_COLUMNS)}")
    document_id = identifier(values[id_column])
    title = " ".join(_text(values, "title").split())
    text = _text(values, "text")
    if not title and not text.strip():
        raise Skipped(EMPTY_ROW)
    metadata = _metadata(values.get("metadata"))
    for column, value in values.items():
        if column in (id_column, *TEXT_COLUMNS, "metadata"):
            continue
        if column in metadata:
            raise ValueError(f"{shown(column)} is both a column and a field of metadata")
        metadata[column] = value
    return Document(document_id, title, text, metadata, name, row)


def require_columns(columns: Iterable[str], *, name: str) -> None:
    """Check the names of a table's columns.

    Raises:
        InputError: No id column, or neither title nor text.
    """
    found = list(columns)
    for wanted, what in ((ID_COLUMNS, "id"), (TEXT_COLUMNS, "title or text")):
        if not set(wanted) & set(found):
            raise InputError(
                f"{name} has no {what} column: expected {' or '.join(wanted)}, found {shown(', '.join(found))}.",
                remedy="Rename the column, or name the right file as [documents].source.",
            )


def _text(values: Mapping[str, JsonValue], column: str) -> str:
    value = values.get(column)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{column} is {kind(value)}, not a text")
    return clean_text(value)


def _metadata(value: JsonValue) -> dict[str, JsonValue]:
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        try:
            return json_object(value)
        except ValueError as error:
            raise ValueError(f"metadata is no object: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"metadata is {kind(value)}, not an object")
    return dict(value)
