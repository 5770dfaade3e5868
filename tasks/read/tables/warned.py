"""What of an account of tables looks like a mistake, with the remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.tasks.read.account import (
    DOUBTFUL_QUOTES,
    HTML_AS_TEXT,
    LEFT_OUT_TIMES,
    NOT_TREC_S_SECOND,
    PERHAPS_A_COUNT,
    Kind,
)
from nightrank.tasks.read.lines import NOT_UTF_8, remedy_for
from nightrank.tasks.read.values import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nightrank.tasks.read.account import Entry


def warnings_of_tables(entries: Iterable[Entry]) -> list[str]:
    """What looks like a mistake in how tables were read, each with the first place and a remedy."""
    return [warning for entry in entries if (warning := _warning(entry))]


def _warning(entry: Entry) -> str:
    rows = "1 row" if entry.count == 1 else f"{entry.count:,} rows"
    first = f" (the first: {entry.where})"
    if entry.kind is Kind.MENDED and entry.what == HTML_AS_TEXT:
        return (
            f"The texts of {rows} hold HTML, and its tags are indexed as words{first}. "
            'Say [documents].text_format = "html".'
        )
    if entry.kind is Kind.MENDED and entry.what.endswith(LEFT_OUT_TIMES):
        return (
            f"{rows}: {entry.what}{first}. Write ISO 8601 or Unix time, or say which column it is in "
            '[queries.columns], or timestamp = "none".'
        )
    if entry.kind is Kind.BAD_ROW and NOT_UTF_8 in entry.what:
        return f"{rows} set aside, not UTF-8{first}. " + remedy_for(
            [entry.what], section=f"[{entry.part}]", otherwise=""
        )
    if entry.kind is Kind.FORM and entry.what == DOUBTFUL_QUOTES:
        return f"Quotes were kept as characters, though some fields look quoted{first}. Write CSV, or no quotes."
    return _of_column(entry, rows, first)


def _of_column(entry: Entry, rows: str, first: str) -> str:
    if entry.kind is Kind.COLUMN_IGNORED and entry.what.endswith(PERHAPS_A_COUNT):
        column = shown(entry.what.removesuffix(PERHAPS_A_COUNT))
        return (
            f"Every row of the log counts as one search: no column is known as the count, and {column} holds whole "
            f'numbers{first}. Say [queries.columns].count = {column}, or "none".'
        )
    if entry.part == "queries" and entry.kind is Kind.COLUMN_GUESSED and entry.what.casefold() == "hits as count":
        column = shown(entry.what.removesuffix(" as count"))
        return (
            f"The column {column} was taken for how often each query was asked{first}; in logs of a search engine it "
            f'may be how much was found. Say [queries.columns].count = {column}, another column, or "none".'
        )
    if entry.kind is Kind.COLUMN_IGNORED and entry.what == NOT_TREC_S_SECOND:
        return (
            f"{rows} of the judgments have neither 0 nor Q0 in the second column{first}. TREC's form is query, 0, "
            "document, grade: check that the columns are in this order."
        )
    return ""
