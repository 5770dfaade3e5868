"""From what a request says to a question: each parameter once, known, of bounded length."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from nightrank.flows.serve.http.faults import not_valid
from nightrank.storage.characters import is_whole
from nightrank.storage.errors import InputError
from nightrank.storage.keys import normalise_query
from nightrank.storage.serving.cache import condition_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from nightrank.tasks.settings.serving import ServeSettings

MOST_PARAMETERS = 16
QUESTION = ("q", "filter", "depth")
SESSION = b"x-session"
MOST_SESSION = 200  # characters
SHOWN = 60  # characters of a value that a message repeats


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks.

    Attributes:
        query: As typed; not blank.
        condition: The canonical text of its filter; None without one.
        depth: Results that are wanted; None for as many as a release has.
        at: When it arrived, by ``time.monotonic``.
        session: Whatever tells who asks from others today; None where nothing does.
    """

    query: str
    condition: str | None
    depth: int | None
    at: float
    session: str | None = None


def parameters(query_string: bytes, *, known: Collection[str]) -> dict[str, str]:
    """What stands behind the question mark.

    Raises:
        RequestFault: A parameter is unknown or comes twice, or it is no text.
    """
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS
        )
    except ValueError as error:
        remedy = "Percent-encode UTF-8, and give each parameter once."
        raise not_valid("The parameters cannot be read.", where="query string", remedy=remedy) from error
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            what = f"There is no parameter {shown(name)}."
            raise not_valid(what, where="query string", remedy=f"Known are {', '.join(known)}.")
        if name in found:
            raise not_valid(f"The parameter {name} is given twice.", where=name, remedy="Give it once.")
        found[name] = value
    return found


def question_of(
    given: Mapping[str, str],
    settings: ServeSettings,
    *,
    headers: Iterable[tuple[bytes, bytes]] = (),
    at: float | None = None,
) -> Question:
    """The question that a request asks.

    Args:
        given: Its parameters.
        settings: How long they may be.
        headers: Of the request.
        at: When it arrived, by ``time.monotonic``; None: now.

    Raises:
        RequestFault: One is missing, too long, or none.
    """
    at = time.monotonic() if at is None else at
    query = _bounded(given.get("q", ""), settings.max_query_characters, where="q", what="query")
    if not normalise_query(query):
        raise not_valid("The query is empty.", where="q", remedy="Give some words to look for, as `?q=...`.")
    if not is_whole(query):
        raise not_valid("The query holds half a character.", where="q", remedy="Send whole characters.")
    condition = None
    if given.get("filter"):
        written = _bounded(given["filter"], settings.max_filter_characters, where="filter", what="filter")
        try:
            condition = condition_of(written)
        except InputError as error:
            raise not_valid(error.message, where="filter", remedy=error.remedy) from error
    return Question(query, condition, number_of(given.get("depth"), where="depth"), at, session_of(headers))


def typed_of(given: Mapping[str, str], settings: ServeSettings) -> str:
    """What is being typed; it may be empty.

    Raises:
        RequestFault: It is too long.
    """
    return _bounded(given.get("q", ""), settings.max_query_characters, where="q", what="query")


def session_of(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """What a request says that tells its visitor from others today; None where it says nothing.

    Raises:
        RequestFault: It is too long.
    """
    said = next((value.decode("latin-1").strip() for name, value in headers if name == SESSION), "")
    return _bounded(said, MOST_SESSION, where="X-Session", what="session") or None


def number_of(written: str | None, *, where: str) -> int | None:
    """How many are asked for; None where nothing is said.

    Raises:
        RequestFault: It is no number from 1 on.
    """
    if written is None:
        return None
    if not (written.isascii() and written.isdigit() and len(written) < 10):
        raise not_valid(f"{shown(written)} is no number from 1 on.", where=where, remedy="Give a whole number.")
    return int(written)


def shown(text: str) -> str:
    """A value as a message repeats it: not all of it, and nothing that does not print."""
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")


def _bounded(text: str, most: int, *, where: str, what: str) -> str:
    if len(text) > most:
        said = f"The {what} has {len(text)} characters, and may have {most}."
        raise not_valid(said, where=where, remedy="Shorten it.")
    return text
