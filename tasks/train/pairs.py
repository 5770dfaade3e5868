"""Pairs to learn from: a query, and a document that answers it.

They come from a file of pairs, from judged queries, from clicks in the query log, or, where there are none of
these, from the documents themselves, whose titles stand in for queries.

A query with a filter gives no pair: what answers it is the best of a part of the collection, and its negatives would
be mined from all of it, among them what answers the same text better.
"""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from nightrank.storage.errors import InputError
from nightrank.storage.keys import normalise_query
from nightrank.storage.rates import BurstCounter
from nightrank.storage.records import BadRow
from nightrank.tasks.personal_data import kept
from nightrank.tasks.query_log.file.find import read_log
from nightrank.tasks.query_log.file.rows import read_query_log
from nightrank.tasks.query_log.near_form import near_form
from nightrank.tasks.query_log.screen import count_rate, screen_of
from nightrank.tasks.read.account import Account
from nightrank.tasks.read.values import identifier
from nightrank.tasks.train.sources import Passage, given_pairs
from nightrank.tasks.trec.qrels import read_judgments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from nightrank.storage.records import JsonValue, LoggedQuery
    from nightrank.tasks.personal_data import PersonalData
    from nightrank.tasks.query_log.file.rows import LogFile
    from nightrank.tasks.query_log.screen import Screen
    from nightrank.tasks.settings.inputs import QueriesSettings

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


class PairsFound(NamedTuple):
    """The pairs of a log or of judgments.

    Attributes:
        pairs: Distinct ones, in the order met.
        filtered: Others, which are left out because their queries have a filter.
    """

    pairs: list[Pair]
    filtered: int


class NamedQuery(NamedTuple):
    """What a table of queries says of an id.

    Attributes:
        text: Normalised.
        has_filter: Whether it is asked of a part of the collection.
    """

    text: str
    has_filter: bool


def pairs_of_file(path: Path) -> list[Pair]:
    """The pairs of a file; two documents that say the same stay two.

    Raises:
        InputError: The file cannot be read, a row is not as it should be, or there is none.
    """
    pairs = (Pair(query, passage.document_id, 1, passage) for query, passage in given_pairs(path))
    return list(dict.fromkeys(pairs))


def pairs_of_judgments(path: Path, *, name: str, queries: Mapping[str, NamedQuery]) -> PairsFound:
    """The pairs that judgments call relevant.

    Args:
        path: The file of judgments.
        name: What the user calls it.
        queries: By id; judgments of others are left out.

    Raises:
        InputError: The file cannot be read, or none of its queries has a text, and no filter.
    """
    judgments = read_judgments(path, name=name, account=Account())
    relevant = [judgment for judgment in judgments if judgment.grade > 0 and judgment.query_id in queries]
    pairs = [
        Pair(queries[judgment.query_id].text, judgment.document_id, judgment.grade)
        for judgment in relevant
        if not queries[judgment.query_id].has_filter
    ]
    if not pairs:
        message = f"None of the {len(judgments)} judgments of {name} is a relevant document of a query with a text"
        message += f"; {len(relevant)} are of queries with a filter, which are not learnt from." if relevant else "."
        raise InputError(message, remedy="Name the file of the judged queries with --queries.")
    return PairsFound(pairs, len(relevant) - len(pairs))


def queries_by_id(log: LogFile, *, personal_data: PersonalData = "keep") -> dict[str, NamedQuery]:
    """The queries of a table by their id; rows that cannot be used are passed over.

    Args:
        log: A table of queries, such as the log.
        personal_data: What becomes of queries with such, as in ``[queries]``.

    Raises:
        InputError: The file as a whole cannot be read.
    """
    queries: dict[str, NamedQuery] = {}
    salt = secrets.token_bytes(16)  # who asked is no matter
    for row in read_query_log(log, salt=salt):
        if isinstance(row, BadRow) or row.query_id is None:
            continue
        if shown := kept(normalise_query(row.text), personal_data):
            queries[row.query_id] = NamedQuery(shown, row.condition is not None)
    return queries


def pairs_of_clicks(settings: QueriesSettings, *, base: Path, salt: bytes) -> PairsFound:
    """The pairs that the log's column ``clicked`` names: a document id or a list of them, in CSV as JSON.

    A pair that was clicked often is one pair, and with another filter another one. The rules of ``[queries]`` hold as
    for the queries of a release: rows of robots and of the drop list give no pair, personal data is dropped or masked,
    and a query that fewer than ``min_users`` people sent gives none.

    Args:
        settings: ``[queries]``.
        base: The folder that paths in it are relative to.
        salt: Of the hashes that stand for users while the log is read.

    Raises:
        InputError: The log or the drop list as a whole cannot be read, or ``min_users`` needs to know users and the
            log names none.
    """
    found: dict[tuple[Pair, str | None], str] = {}
    users: dict[tuple[str, str | None], set[int]] = defaultdict(set)
    for row, text in _rows_of_people(settings, base=base, salt=salt):
        form = near_form(text) if settings.merge == "near" else text
        sent = form, row.condition
        if settings.min_users > 1 and row.user is not None and len(users[sent]) < settings.min_users:
            users[sent].add(row.user)
        for document_id in _clicked(row.clicked):
            found[Pair(text, document_id, 1), row.condition] = form
    if settings.min_users > 1 and not users:
        message = f"[queries].min_users = {settings.min_users} needs users, and {settings.log} has no column `user`."
        raise InputError(message, remedy="Give the log a column `user`, or leave `min_users` out.")
    clicked = [
        (pair, condition)
        for (pair, condition), form in found.items()
        if settings.min_users == 1 or len(users[form, condition]) >= settings.min_users
    ]
    pairs = [pair for pair, condition in clicked if condition is None]
    return PairsFound(pairs, len(clicked) - len(pairs))


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


def _rows_of_people(settings: QueriesSettings, *, base: Path, salt: bytes) -> Iterator[tuple[LoggedQuery, str]]:
    """The rows that the rules keep, each with its text as it may be kept; the log is read twice."""
    screen = screen_of(settings, base=base, salt=salt, account=Account())
    if settings.max_per_minute:
        with BurstCounter() as counter:
            for row, _ in _screened(settings, screen, base=base, salt=salt):
                count_rate(row, counter)
            screen = replace(screen, robots=counter.users_over(settings.max_per_minute))
    for row, text in _screened(settings, screen, base=base, salt=salt):
        if (shown := kept(text, settings.personal_data)) is not None:
            yield row, shown


def _screened(
    settings: QueriesSettings, screen: Screen, *, base: Path, salt: bytes
) -> Iterator[tuple[LoggedQuery, str]]:
    for row in read_log(settings, base=base, salt=salt, account=Account()):
        if not isinstance(row, BadRow) and screen.reason_to_drop(row, text := normalise_query(row.text)) is None:
            yield row, text


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
