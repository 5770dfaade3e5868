"""What a release's results file holds of near answers, where they are on: which query stands for which form of words.

A form is the key of what a query says, whatever the order and the endings of its words, and its filter: who reads and
keys queries is ``nightrank.tasks.near``. Here are the tables alone, which are in the results file so that they come
and go with it:

    near(name, value)           what readers must know, as JSON
    near_forms(form, query_key, agreement)
                                the query that answers for a form; how alike the answers of several such queries are
    near_terms(term)            keys of the terms that the collection or the log knows: these are no misspellings
    near_words(deletion, word)  words of the log by the keys of what is left of them where a letter is taken out
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.foreign import placed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from nightrank.storage.records import JsonValue

_CREATE = (
    "CREATE TABLE near (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE near_forms (form INTEGER PRIMARY KEY, query_key TEXT NOT NULL, agreement REAL)",
    "CREATE TABLE near_terms (term INTEGER PRIMARY KEY)",
    "CREATE TABLE near_words (deletion INTEGER, word TEXT, PRIMARY KEY (deletion, word)) WITHOUT ROWID",
)
_COPY = (
    "INSERT INTO near SELECT * FROM source.near ORDER BY name",
    "INSERT INTO near_forms SELECT * FROM source.near_forms WHERE query_key IN (SELECT query_key FROM results) "
    "ORDER BY form",
    "INSERT INTO near_terms SELECT * FROM source.near_terms ORDER BY term",
    "INSERT INTO near_words SELECT * FROM source.near_words ORDER BY deletion, word",
)
_HAS_TABLES = "SELECT count(*) FROM sqlite_schema WHERE name = 'near'"
_FACTS = "SELECT name, value FROM near"
_FORM = "SELECT query_key, agreement FROM near_forms WHERE form = ?"
_TEXT = "SELECT query FROM results WHERE query_key = ?"
_TERM = "SELECT count(*) FROM near_terms WHERE term = ?"
_WORDS = "SELECT word FROM near_words WHERE deletion = ?"


class FormAnswer(NamedTuple):
    """The query that answers for a form.

    Attributes:
        query_key: Its key.
        agreement: The least rank-biased overlap of its answer with those of other queries of the form; None where it is
            the only one.
    """

    query_key: str
    agreement: float | None


def write_near_tables(
    path: Path,
    *,
    facts: Mapping[str, JsonValue],
    forms: Mapping[int, FormAnswer],
    terms: Iterable[int],
    words: Iterable[tuple[int, str]],
) -> None:
    """Add the tables to a results file that nobody reads yet; the same values make the same bytes.

    Args:
        path: The results file.
        facts: JSON by name.
        forms: By their keys.
        terms: Keys, distinct.
        words: Key of what is left, and word; distinct.
    """
    with placed(path), closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        with connection:
            for statement in _CREATE:
                connection.execute(statement)
            named = ((name, json.dumps(facts[name], ensure_ascii=False, sort_keys=True)) for name in sorted(facts))
            connection.executemany("INSERT INTO near VALUES (?, ?)", named)
            connection.executemany("INSERT INTO near_forms VALUES (?, ?, ?)", ((k, *forms[k]) for k in sorted(forms)))
            connection.executemany("INSERT INTO near_terms VALUES (?)", ((term,) for term in sorted(terms)))
            connection.executemany("INSERT INTO near_words VALUES (?, ?)", sorted(words))


def copy_near_tables(source: Path, target: Path) -> None:
    """Add the tables of a results file, where it has them, to one of the same queries or some, that nobody reads."""
    with placed(target), closing(sqlite3.connect(target.absolute().as_uri(), uri=True)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("ATTACH ? AS source", (f"{source.absolute().as_uri()}?mode=ro",))
        if connection.execute("SELECT count(*) FROM source.sqlite_schema WHERE name = 'near'").fetchone()[0]:
            with connection:
                for statement in _CREATE:
                    connection.execute(statement)
                for statement in _COPY:
                    connection.execute(statement)
        connection.execute("DETACH source")


def near_facts(connection: sqlite3.Connection) -> dict[str, JsonValue] | None:
    """What readers must know; None where the file has no near answers."""
    if not connection.execute(_HAS_TABLES).fetchone()[0]:
        return None
    return {name: json.loads(value) for name, value in connection.execute(_FACTS)}


class NearTables:
    """The tables of a results file, through a connection that nobody else uses meanwhile."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def answer_of(self, form: int) -> FormAnswer | None:
        """The query that answers for a form; None where none does, or several whose answers are too different."""
        row = self._connection.execute(_FORM, (form,)).fetchone()
        return None if row is None else FormAnswer(*row)

    def text_of(self, query_key: str) -> str:
        """The text of a query that answers for a form, normalised."""
        [text] = self._connection.execute(_TEXT, (query_key,)).fetchone()
        return str(text)

    def knows_term(self, term: int) -> bool:
        """Whether the collection or the log has a term."""
        return bool(self._connection.execute(_TERM, (term,)).fetchone()[0])

    def words_at(self, deletions: Sequence[int]) -> set[str]:
        """Words of the log of which, or of whose remainder, the key is one of some."""
        return {word for key in deletions for (word,) in self._connection.execute(_WORDS, (key,))}
