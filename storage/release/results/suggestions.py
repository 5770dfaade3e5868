"""Completions of what is being typed: two tables of a results file, written once and looked up by what is typed.

Texts lie by their form, so that those that begin alike lie together; and where very many do, as behind a single letter,
the first of them are written out, so that no look-up reads many. Forms are NFD: a letter is found before its accent is
typed, and a syllable of Hangul before its last sound is.
"""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING

from nightrank.storage.keys import normalise_query

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

MOST = 50  # completions that are given at one time
FEW = 256  # completions that are looked through when they are asked for

_LAST = "\U0010ffff"

_CREATE = (
    "CREATE TABLE suggestions (form TEXT PRIMARY KEY, place INTEGER NOT NULL, query TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE completions (form TEXT PRIMARY KEY, queries TEXT NOT NULL) WITHOUT ROWID",
)
_INSERT = "INSERT INTO suggestions VALUES (?, ?, ?)"
_INSERT_COMPLETIONS = "INSERT INTO completions VALUES (?, ?)"
_ARE_THERE = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('suggestions', 'completions')"
_COMPLETIONS = "SELECT queries FROM completions WHERE form = ?"
_BETWEEN = "SELECT query FROM suggestions WHERE form >= ? AND form < ? ORDER BY place LIMIT ?"


def typed_form(typed: str) -> str:
    """The form of what is being typed, with which those of all its completions begin.

    A blank at its end stays: what follows is another word.

    >>> typed_form("  Read a"), typed_form("Read  "), typed_form(" ")
    ('read a', 'read ', '')
    """
    text = normalise_query(typed)
    return unicodedata.normalize("NFD", f"{text} " if text and typed[-1].isspace() else text)


def write_suggestions(connection: sqlite3.Connection, texts: Sequence[str]) -> None:
    """Make both tables.

    Args:
        connection: On the file, in a transaction.
        texts: Normalised, each once, those first that are suggested first.
    """
    for table in _CREATE:
        connection.execute(table)
    forms = [unicodedata.normalize("NFD", text) for text in texts]
    connection.executemany(_INSERT, zip(forms, range(len(forms)), texts, strict=True))
    rows = ((form, json.dumps([texts[place] for place in places], ensure_ascii=False)) for form, places in _many(forms))
    connection.executemany(_INSERT_COMPLETIONS, rows)


def has_suggestions(connection: sqlite3.Connection) -> bool:
    """Whether the tables are there: files of earlier versions, and those without suggestions, have none."""
    [count] = connection.execute(_ARE_THERE).fetchone()
    return bool(count == len(_CREATE))


def find_suggestions(connection: sqlite3.Connection, form: str, *, limit: int) -> tuple[str, ...]:
    """The first texts that a form is the beginning of.

    Args:
        connection: On a file that has them.
        form: As ``typed_form`` has it.
        limit: How many, ``MOST`` at most.
    """
    written_out: tuple[str] | None = connection.execute(_COMPLETIONS, (form,)).fetchone()
    if written_out is not None:
        return tuple(json.loads(written_out[0])[:limit])
    return tuple(text for (text,) in connection.execute(_BETWEEN, (form, form + _LAST, limit)))


def _many(forms: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
    """The beginnings that more than ``FEW`` forms share, each with the places of the first of these."""
    level = {"": list(range(len(forms)))} if len(forms) > FEW else {}
    while level:
        longer: dict[str, list[int]] = {}
        for form, places in level.items():
            yield form, places[:MOST]
            end = len(form) + 1
            for place in places:
                if len(forms[place]) >= end:
                    longer.setdefault(forms[place][:end], []).append(place)
        level = {form: places for form, places in longer.items() if len(places) > FEW}
