"""Documents from JSONL, CSV, TSV and Parquet: BEIR's columns as they are, other ones by a guess, or as metadata."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Literal

from nightrank.storage.errors import InputError
from nightrank.storage.records import BadRow, Document
from nightrank.tasks.read.account import HTML_AS_TEXT, Kind, Skipped
from nightrank.tasks.read.declared import declared_language
from nightrank.tasks.read.markup.html import parse_html
from nightrank.tasks.read.tables.columns import NONE
from nightrank.tasks.read.tables.row import Row
from nightrank.tasks.read.tables.rows import FIRST_CHARACTERS, FIRST_ROWS, read_rows
from nightrank.tasks.read.tables.usage import Usage
from nightrank.tasks.read.text.blobs import BLOBS_LEFT_OUT, without_blobs
from nightrank.tasks.read.values import PADDED_IDS, clean_text, identifier, json_object, kind, number_as_text, shown
from nightrank.tasks.runtime.bounded import directly

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.read.input_file import InputFile
    from nightrank.tasks.read.tables.columns import Columns, Taken
    from nightrank.tasks.runtime.bounded import Call

TextFormat = Literal["plain", "html"]
NO_IDS = frozenset({r"\N", "NULL", "null", "NaN", "nan", "None", "<NA>", "NaT", "#N/A"})
NO_TEXTS = NO_IDS | {"NA", "N/A", "n/a", "(null)"}
"""What exports write where there is no value; as the whole of a title or a text it is none."""
LONGEST_NO_TEXT = 16
EMPTY_ROW = "title and text are both empty"
LEAST_BODY = 40
"""Characters on average from which a column of several words, in a table without a text, looks like one."""
MARKUP = re.compile(
    r"</(?:p|div|span|a|li|ul|ol|b|i|strong|em|td|tr|table|h[1-6])>|<br ?/?>|&(?:nbsp|amp|lt|quot|#\d+);"
)


@dataclass(frozen=True, slots=True)
class DocumentTable:
    """How tables of documents are read.

    Attributes:
        columns: What columns may be taken for.
        max_bytes: A larger row is a bad row.
        text_format: What the texts are.
        call: Calls the parser of texts that are HTML, which may be bounded; one that was ended makes a bad row.
    """

    columns: Columns
    max_bytes: int
    text_format: TextFormat = "plain"
    call: Call = directly


def read_table(file: InputFile, table: DocumentTable) -> Iterator[Document | BadRow]:
    """The documents of a table, one a row.

    An id, a title, a text, and metadata, an object or its JSON; of title and text one may be missing. Which columns
    they are is for ``table.columns`` to say; of several that may be the title or the text the first that is not empty
    counts. Every other column becomes a field of the metadata, and so do the language and one that a title was guessed
    from. Integers are ids by their digits. Control characters of titles and texts become spaces, and a title is one
    line.

    Args:
        file: It; its account is told what was taken for what, and which rows were skipped or mended.
        table: How it is read.

    Yields:
        Each document, or a ``BadRow`` with the reason in its place; nothing for a row that is skipped.

    Raises:
        InputError: The file cannot be read, no column is an id or neither a title nor a text, or a column that looks
            like the text is not known as one.
    """
    return documents_of(read_rows(file, table.columns, max_bytes=table.max_bytes), file, table)


def documents_of(rows: Iterator[Row | BadRow], file: InputFile, table: DocumentTable) -> Iterator[Document | BadRow]:
    """The documents that rows of a table describe, as ``read_table`` gives them.

    Args:
        rows: Wherever they come from.
        file: What stands for the table: its name, and its account.
        table: How it is read.
    """
    usage = Usage(file, rest=Kind.COLUMN_KEPT)
    for row in _with_a_text(rows, table.columns, name=file.name):
        if isinstance(row, BadRow):
            yield row
            continue
        try:
            yield document_from(row, table, name=file.name, usage=usage)
        except Skipped as skipped:
            file.tell(Kind.SKIPPED, skipped.reason, row=row.number)
        except ValueError as error:
            yield BadRow(file.name, row.number, str(error))
    usage.tell()


def document_from(row: Row, table: DocumentTable, *, name: str, usage: Usage) -> Document:
    """The document that a row's values describe.

    Args:
        row: It.
        table: How it is read.
        name: What the user calls the table.
        usage: Counts what was made of it.

    Raises:
        Skipped: Title and text are both empty.
        ValueError: The values describe no document; the message is the reason.
    """
    values = row.values
    taken = table.columns.taken(tuple(values))
    usage.add(taken, row=row.number)
    if row.left_out:
        _refuse_left_out(row, row.left_out, table.columns, usage)
    reading = _Reading(row, taken, usage)
    document_id = reading.document_id(table.columns)
    title, title_column = reading.text("title")
    text, text_column = reading.text("text")
    page_language = ""
    if table.text_format == "html" and text:
        page = table.call(parse_html, text)
        title, text, page_language = title or page.title, page.text, page.language
    elif ("<" in text or "&" in text) and MARKUP.search(text):
        usage.mended(HTML_AS_TEXT, row=row.number)
    declared = reading.language(otherwise=page_language)
    text, blobs = without_blobs(text)
    if blobs:
        usage.mended(BLOBS_LEFT_OUT, row=row.number)
    title = " ".join(title.split())
    if not title and not text.strip():
        raise Skipped(EMPTY_ROW)
    metadata = _metadata(values[taken.columns["metadata"][0]]) if "metadata" in taken.columns else {}
    for column in taken.rest:
        if column not in (text_column, title_column):  # which one of the rest is where the first was empty
            _keep(values[column], column, metadata)
    if title_column in taken.guessed:
        _keep(values[title_column], title_column, metadata)
    for column in taken.columns.get("language", ())[:1]:
        _keep(values[column], column, metadata)
    return Document(document_id, title, text, metadata, name, row.number, declared)


def _keep(value: JsonValue, column: str, metadata: dict[str, JsonValue]) -> None:
    if column in metadata:
        raise ValueError(f"{shown(column)} is both a column and a field of metadata")
    metadata[column] = value


class _Reading:
    """Takes the values of one row."""

    __slots__ = ("row", "taken", "usage")

    def __init__(self, row: Row, taken: Taken, usage: Usage) -> None:
        self.row, self.taken, self.usage = row, taken, usage

    def document_id(self, columns: Columns) -> str:
        """The id."""
        found = self.taken.columns.get("id")
        if found is None:
            names = next(role.names for role in columns.vocabulary.roles if role.name == "id")
            raise ValueError(f"no id: none of {', '.join(names)}, or another usual name")
        value = self.row.values[found[0]]
        document_id = identifier(value)
        if document_id in NO_IDS:
            raise ValueError("the id is empty")
        if isinstance(value, str) and value != document_id:
            self.usage.mended(PADDED_IDS, row=self.row.number)
        return document_id

    def text(self, role: str) -> tuple[str, str]:
        """The title or the text, and its column; of several the first that holds one."""
        columns = self.taken.columns.get(role)
        if columns is None:
            return "", ""
        text = self._plain(columns[0], role)
        if len(columns) == 1 or text.strip():
            return clean_text(text), columns[0]
        for column in columns[1:]:
            with suppress(ValueError):  # of a value that is no text, and would be a field
                if (text := self._plain(column, role)).strip():
                    self.usage.add_instead(role, column, row=self.row.number)
                    return clean_text(text), column
        return "", columns[0]

    def language(self, *, otherwise: str) -> str:
        """The name of the language that the document says it is in; empty where it says none that is known.

        Args:
            otherwise: What its text says, where no column does.
        """
        columns = self.taken.columns.get("language", ())[:1]
        for value in (*(self.row.values[column] for column in columns), otherwise):
            declared = declared_language(value)
            if declared.told:
                self.usage.mended(declared.told, row=self.row.number)
            if declared.language:
                return declared.language
        return ""

    def _plain(self, column: str, role: str) -> str:
        value = self.row.values[column]
        if isinstance(value, str):
            if len(value) <= LONGEST_NO_TEXT and value.strip() in NO_TEXTS:
                self.usage.mended(f"{role}s that are a word for no value, taken for none", row=self.row.number)
                return ""
            return value
        if value is None:
            return ""
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            self.usage.mended(f"{role}s that are lists, joined", row=self.row.number)
            return "\n".join(part for part in value if isinstance(part, str))
        number = number_as_text(value)
        if role == "title" and isinstance(number, str):
            return number
        raise ValueError(f"{column} is {kind(value)}, not a text")


def _refuse_left_out(row: Row, left_out: Mapping[str, str], columns: Columns, usage: Usage) -> None:
    """Fields of types that JSON lacks are left out, but for what a document needs."""
    taken = columns.taken((*row.values, *left_out)).columns
    needed = {column for role in ("id", "title", "text") for column in taken.get(role, ())[:1]}
    for column, reason in left_out.items():
        if column in needed:
            raise ValueError(f"field {shown(column)}: {reason}")
        usage.mended(f"the field {column}, left out: {reason}", row=row.number)


def _with_a_text(rows: Iterator[Row | BadRow], columns: Columns, *, name: str) -> Iterator[Row | BadRow]:
    """Rows of a table; refused where none of the first ones has a text, and a column looks like one.

    Raises:
        InputError: It does.
    """
    first: list[Row | BadRow] = []
    characters = 0
    for row in rows:
        first.append(row)
        if isinstance(row, Row):
            if columns.chosen.get("text") == NONE or "text" in _roles(row, columns):
                break
            characters += sum(len(value) for value in row.values.values() if isinstance(value, str))
        if len(first) == FIRST_ROWS or characters > FIRST_CHARACTERS:
            _refuse_unknown_body(first, columns, name=name)
            break
    else:
        _refuse_unknown_body(first, columns, name=name)
    yield from chain(first, rows)


def _roles(row: Row, columns: Columns) -> Mapping[str, Sequence[str]]:
    try:
        return columns.taken(tuple(row.values)).columns
    except ValueError:  # said of the row itself
        return {}


def _refuse_unknown_body(first: Sequence[Row | BadRow], columns: Columns, *, name: str) -> None:
    lengths: dict[str, list[int]] = {}
    for row in first:
        if isinstance(row, Row):
            roles = _roles(row, columns)
            if "text" in roles or "title" not in roles:
                return
            known = {column for found in roles.values() for column in found}
            for column, value in row.values.items():
                is_text = column not in known and isinstance(value, str) and len(value.split()) > 2
                lengths.setdefault(column, []).append(len(value) if is_text and isinstance(value, str) else 0)
    means = {column: sum(found) / len(found) for column, found in lengths.items()}
    longest = max(means, key=means.__getitem__, default="")
    if longest and means[longest] >= LEAST_BODY:
        raise InputError(
            f"{name} has titles and no column that is known as the text; {shown(longest)} holds "
            f"{means[longest]:.0f} characters on average.",
            remedy=f"Name it: [documents].columns = {{ text = {shown(longest)} }}, "
            'or { text = "none" } where titles are all there is.',
        )


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
