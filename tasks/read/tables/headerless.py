"""Tables without a header line: the few whose form is known are read, of any other the header is proposed.

Known by their form alone are MS MARCO's passages and documents, ORCAS, AOL's log, and Search Console's export, whose
header is in the user's language. Two columns of a number and a query are not: the number may be an id or a count.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nightrank.tasks.read.account import Part

WHOLE = re.compile(r"-?\d{1,18}")
GROUPED = re.compile(r"\d{1,3}(?:[,.'\u00a0\u202f ]?\d{3})*(?:\.0+)?")
FIGURE = re.compile(r"-?\d[\d.,'\u00a0\u202f ]*%?")
PERCENT = re.compile(r"\d+(?:[.,]\d+)?[\u00a0\u202f ]?%|%\d+(?:[.,]\d+)?")
DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?.*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}.*")
LINK = re.compile(r"https?://\S+")
MSMARCO_DOCUMENT = re.compile(r"D\d+")
WORD = re.compile(r"[^\W\d_]")
SHORTEST_TEXT = 40
"""A longer field, or one of more than five words, is no name of a column."""
MOST_WORDS_OF_A_NAME = 5


class KnownForm(NamedTuple):
    """A form that says what its columns are.

    Attributes:
        what: Its name, as an account tells it.
        header: What its columns are called.
        has_header: Whether its first row is a header all the same, in words that are not known.
    """

    what: str
    header: tuple[str, ...]
    has_header: bool = False


def known_form(part: Part, rows: Sequence[Sequence[str]]) -> KnownForm | None:
    """The form that all of some first rows have; None where it is none that is known.

    Args:
        part: Of the inputs.
        rows: The first rows, without what is blank.
    """
    if not rows:
        return None
    data = rows[1:]
    if part == "queries" and data and not _is(FIGURE, rows[0][-1]) and _all(_search_console, data):
        names = ("query", "clicks", "impressions", "ctr", "position")
        return KnownForm("Search Console's columns, by their form", names, has_header=True)
    for what, header, is_such in FORMS[part]:
        if _all(is_such, rows):
            ids = [row[0] for row in rows]
            if part != "documents" or len(set(ids)) == len(ids):
                return KnownForm(what, header)
    return None


def looks_like_data(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first of some rows holds what names of columns do not: a figure, a date, a link, a sentence."""
    return any(
        kind_of(field) != "text" or len(field) > SHORTEST_TEXT or len(field.split()) > MOST_WORDS_OF_A_NAME
        for field in rows[0]
    )


def proposed_header(part: Part, row: Sequence[str]) -> list[str]:
    """A header line that would suit a row.

    >>> proposed_header("queries", ["1048585", "what is it"])
    ['query_id', 'query']
    >>> proposed_header("documents", ["d7", "Returns", "You can return shoes within fourteen days"])
    ['id', 'title', 'text']
    """
    kinds = [kind_of(field) for field in row]
    names = [f"column_{number}" for number in range(1, len(row) + 1)]
    texts = [place for place, kind in enumerate(kinds) if kind == "text"]
    if part == "judgments":
        return ["query-id", "corpus-id", "score", *names[3:]][: len(row)]
    if part == "documents":
        names[0] = "id"
        texts = [place for place in texts if place > 0] or list(range(1, len(row)))
        if texts:
            longest = max(texts, key=lambda place: len(row[place]))
            names[longest] = "text"
            if shorter := [place for place in texts if place < longest]:
                names[shorter[0]] = "title"
        return ["url" if kinds[place] == "link" else name for place, name in enumerate(names)]
    query = texts[0] if texts else 0
    names[query] = "query"
    for place, kind in enumerate(kinds):
        if kind == "figure" and place != query:
            name = "query_id" if place < query else "count"
            names[place] = name if name not in names else names[place]
        elif kind == "date" and "timestamp" not in names:
            names[place] = "timestamp"
    return names


def kind_of(field: str) -> str:
    """What a field holds: a figure, a date, a link, or a text."""
    field = field.strip()
    forms = (("figure", FIGURE), ("date", DATE), ("link", LINK))
    return next((kind for kind, form in forms if form.fullmatch(field)), "text")


def _is(form: re.Pattern[str], field: str) -> bool:
    return form.fullmatch(field.strip()) is not None


def _all(is_such: Callable[[Sequence[str]], bool], rows: Sequence[Sequence[str]]) -> bool:
    return all(is_such(row) for row in rows)


def _passage(row: Sequence[str]) -> bool:
    return len(row) == 2 and _is(WHOLE, row[0]) and WORD.search(row[1]) is not None


def _document(row: Sequence[str]) -> bool:
    return len(row) == 4 and _is(MSMARCO_DOCUMENT, row[0]) and _is(LINK, row[1])


def _orcas(row: Sequence[str]) -> bool:
    return len(row) == 4 and _is(WHOLE, row[0]) and _is(LINK, row[3]) and not _is(LINK, row[2])


def _aol(row: Sequence[str]) -> bool:
    is_dated = len(row) == 5 and _is(WHOLE, row[0]) and _is(DATE, row[2]) and not _is(DATE, row[1])
    return is_dated and (not row[3].strip() or _is(WHOLE, row[3]))


def _search_console(row: Sequence[str]) -> bool:
    is_rated = len(row) == 5 and _is(PERCENT, row[3]) and _is(FIGURE, row[4])
    return is_rated and _is(GROUPED, row[1]) and _is(GROUPED, row[2])


def _judgment(row: Sequence[str]) -> bool:
    return len(row) == 3 and _is(WHOLE, row[2])


FORMS: dict[Part, tuple[tuple[str, tuple[str, ...], Callable[[Sequence[str]], bool]], ...]] = {
    "documents": (
        ("no header: MS MARCO's passages, by their form", ("id", "text"), _passage),
        ("no header: MS MARCO's documents, by their form", ("id", "url", "title", "text"), _document),
    ),
    "queries": (
        ("no header: ORCAS, by its form", ("query_id", "query", "clicked_document", "clicked_url"), _orcas),
        ("no header: AOL's log, by its form", ("user", "query", "timestamp", "rank", "clicked_url"), _aol),
    ),
    "judgments": (("no header: query, document, grade", ("query-id", "corpus-id", "score"), _judgment),),
    "runs": (),
}
