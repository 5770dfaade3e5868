"""Pairs to learn from: a query, and a document that answers it.

They come from a file of pairs, from judged queries, from clicks in the query log, or, where there are none of
these, from the documents themselves, whose titles stand in for queries.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from storage.errors import InputError
from storage.keys import normalise_query
from storage.records import BadRow
from tasks.judgments import read_judgments
from tasks.query_log import ID_COLUMNS, MAX_ROW_BYTES, TEXT_COLUMNS
from tasks.source_rows import read_rows
from tasks.training_pairs import Passage, given_pairs
from tasks.values import clean_text, identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from storage.records import JsonValue

PAIRS = pa.schema(
    [
        pa.field("query", pa.string(), nullable=False),  # normalised
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("grade", pa.int32(), nullable=False),
        pa.field("title", pa.string()),
        pa.field("text", pa.string()),  # null: the release's chunks of the document are the passages
    ]
)


class Pair(NamedTuple):
    """A query and a document that answers it.

    Attributes:
        query: Normalised.
        document_id: As in the collection.
        grade: Above 0.
        passage: What answers it, where that is said; None: the document, chunk by chunk.
    """

    query: str
    document_id: str
    grade: int
    passage: Passage | None = None


def pairs_of_file(path: Path) -> list[Pair]:
    """The pairs of a file; two documents that say the same stay two.

    Raises:
        InputError: The file cannot be read, a row is not as it should be, or there is none.
    """
    pairs = (Pair(query, passage.document_id, 1, passage) for query, passage in given_pairs(path))
    return list(dict.fromkeys(pairs))


def pairs_of_judgments(path: Path, *, name: str, queries: Mapping[str, str]) -> list[Pair]:
    """The pairs that judgments call relevant.

    Args:
        path: The file of judgments.
        name: What the user calls it.
        queries: Texts of queries by id; judgments of others are left out.

    Raises:
        InputError: The file cannot be read, or none of its queries has a text.
    """
    judgments = read_judgments(path, name=name)
    pairs = [
        Pair(normalise_query(queries[judgment.query_id]), judgment.document_id, judgment.grade)
        for judgment in judgments
        if judgment.grade > 0 and judgment.query_id in queries
    ]
    if not pairs:
        message = f"None of the {len(judgments)} judgments of {name} is a relevant document of a query with a text."
        raise InputError(message, remedy="Name the file of the judged queries with --queries.")
    return pairs


def query_texts(path: Path, *, name: str) -> dict[str, str]:
    """The texts of queries by their id; rows that cannot be used are passed over.

    Raises:
        InputError: The file as a whole cannot be read.
    """
    texts: dict[str, str] = {}
    for values, text in _logged(path, name=name):
        query_id = next((values[column] for column in ID_COLUMNS if values.get(column) not in (None, "")), None)
        if query_id is not None:
            texts[str(query_id)] = text
    return texts


def pairs_of_clicks(path: Path, *, name: str) -> list[Pair]:
    """The pairs that a log's column ``clicked`` names: a document id or a list of them, in CSV as JSON.

    A pair that was clicked often is one pair.

    Raises:
        InputError: The file as a whole cannot be read.
    """
    found: dict[Pair, None] = {}
    for values, text in _logged(path, name=name):
        for document_id in _clicked(values.get("clicked")):
            found[Pair(normalise_query(text), document_id, 1)] = None
    return list(found)


def pairs_of_documents(passages: Iterable[Passage]) -> list[Pair]:
    """Titles, with the headings that passages carry along, as queries of the passages below them, title left out."""
    return [
        Pair(query, passage.document_id, 1, Passage(passage.document_id, "", passage.text))
        for passage in passages
        if passage.text.strip() and (query := normalise_query(passage.title))
    ]


def table_of(pairs: Iterable[Pair]) -> pa.Table:
    """Pairs as a table of schema PAIRS."""
    rows = [
        {
            "query": pair.query,
            "document_id": pair.document_id,
            "grade": pair.grade,
            "title": None if pair.passage is None else pair.passage.title,
            "text": None if pair.passage is None else pair.passage.text,
        }
        for pair in pairs
    ]
    return pa.Table.from_pylist(rows, schema=PAIRS)


def pairs_of_table(table: pa.Table) -> list[Pair]:
    """The other way round."""
    return [
        Pair(
            row["query"],
            row["document_id"],
            row["grade"],
            None if row["text"] is None else Passage(row["document_id"], row["title"], row["text"]),
        )
        for row in table.to_pylist()
    ]


def by_query(pairs: Iterable[Pair]) -> dict[str, list[Pair]]:
    """The pairs of each query, in the order met."""
    grouped: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        grouped[pair.query].append(pair)
    return dict(grouped)


def _logged(path: Path, *, name: str) -> Iterator[tuple[Mapping[str, JsonValue], str]]:
    """The usable rows of a query log, each with its text."""
    for row in read_rows(path, name=name, max_bytes=MAX_ROW_BYTES):
        if isinstance(row, BadRow):
            continue
        text = next((row.values[column] for column in TEXT_COLUMNS if column in row.values), None)
        if isinstance(text, str) and normalise_query(text):
            yield row.values, clean_text(text)


def _clicked(value: JsonValue) -> list[str]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(ValueError):  # an id may begin with a bracket
            value = json.loads(value)
    ids: list[str] = []
    for item in value if isinstance(value, list) else [value]:
        try:
            ids.append(identifier(item))
        except ValueError:
            continue
    return ids
