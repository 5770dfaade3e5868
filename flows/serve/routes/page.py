"""``GET /``: a page to search with, made here, and with nothing from elsewhere.

Its few lines of script complete what is typed and tell of clicks; it works without them.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

from nightrank.flows.serve.http.faults import told_of
from nightrank.flows.serve.http.html import page_reply
from nightrank.flows.serve.http.parameters import QUESTION, parameters, question_of
from nightrank.flows.serve.routes.documents import document_of
from nightrank.storage.serving.cache import SnippetPart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import Scope

    from nightrank.flows.serve.answer import Answer
    from nightrank.flows.serve.http.faults import Told
    from nightrank.flows.serve.http.reply import Reply
    from nightrank.flows.serve.routes.documents import Document
    from nightrank.flows.serve.server import Server
    from nightrank.storage.serving.cache import Result
    from nightrank.tasks.online.facets import Facet

TEMPLATE, SCRIPT = "serve/page/page.html.jinja", "serve/page/page.js"
EXCERPT = 300  # characters of a text without a snippet
FACET = "f:"  # before a field's name
HOW = {"exact": "Answered in advance", "near": "Answered by a like query", "live": "Answered now"}


class Choice(NamedTuple):
    """A value of a field that can be chosen: as a filter has it, and as people read it."""

    value: str
    label: str


class Chooser(NamedTuple):
    """A field to choose a value of."""

    field: str
    parameter: str
    choices: Sequence[Choice]
    chosen: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What is on the page.

    Attributes:
        query: As typed.
        most_characters: Of it.
        facets: Fields to narrow the search by.
        answer: To the query, where there is one.
        wrong: What is wrong with what was asked.
        document: That is looked at.
        release_id: Of what is served.
        notes_clicks: Whether clicks are noted.
    """

    query: str
    most_characters: int
    facets: Sequence[Chooser] = ()
    answer: Answer | None = None
    wrong: Told | None = None
    document: Document | None = None
    release_id: str = ""
    notes_clicks: bool = False

    @property
    def title(self) -> str:
        """Of the page."""
        named = self.query if self.document is None else self.document.title
        return f"{named} – Search" if named else "Search"

    @property
    def how(self) -> str:
        """How the answer was made, in two words."""
        return "" if self.answer is None else HOW[self.answer.how]

    @property
    def how_more(self) -> str:
        """The rest of that sentence."""
        if self.answer is None:
            return ""
        said = f": {self.answer.from_query}." if self.answer.from_query is not None else "."
        wanted, scored = self.answer.pairs_wanted, self.answer.pairs_scored
        if wanted and scored is not None and scored < wanted:
            said = f", with {scored} of {wanted} passages reranked in the time there was."
        return said

    def link(self, result: Result) -> str:
        """Where a result leads: to its own page in the web where its metadata names one, else to what we have of it."""
        url = result.metadata.get("url")
        with suppress(ValueError):  # what metadata say need be no address
            if isinstance(url, str) and urlsplit(url).scheme in {"http", "https"}:
                return url
        return f"/?document={quote(result.document_id, safe='')}"

    def parts(self, result: Result) -> Sequence[SnippetPart]:
        """What is shown of a result's text."""
        if parts := result.snippet_parts():
            return parts
        cut = result.text[:EXCERPT]
        return (SnippetPart(cut if len(cut) == len(result.text) else f"{cut.rstrip()}…", False),)


async def page(server: Server, scope: Scope) -> Reply:
    """The page: with the results of ``q``, narrowed by the fields that were chosen, or with a document."""
    most, release = server.settings.max_query_characters, server.answerer.current.peek()
    facets = () if release is None else release.facets
    known = (*QUESTION, "document", *(f"{FACET}{facet.field}" for facet in facets))
    shown = Shown("", most, release_id="" if release is None else release.release_id)
    try:
        given = parameters(scope["query_string"], known=known)
        choosers = [_chooser(facet, given) for facet in facets]
        shown = Shown(given.get("q", "")[:most], most, choosers, release_id=shown.release_id)
        return _reply(await _with_answer(server, shown, given))
    except Exception as error:
        fault = told_of(error, scope["method"])
        wrong = Shown(shown.query, most, shown.facets, wrong=fault.told, release_id=shown.release_id)
        return _reply(wrong, status=fault.status, headers=fault.headers)


async def _with_answer(server: Server, shown: Shown, given: Mapping[str, str]) -> Shown:
    answer, document = None, None
    if given.get("document"):
        with server.answerer.current.lent() as release:
            document = document_of(release, given["document"])
    elif given.get("q", "").strip():
        asked = {name: given[name] for name in QUESTION if given.get(name)}
        chosen = {chooser.field: json.loads(chooser.chosen) for chooser in shown.facets if chooser.chosen}
        if chosen:
            asked["filter"] = json.dumps(chosen)
        answer = await server.answer(question_of(asked, server.settings))
    return Shown(
        shown.query,
        shown.most_characters,
        shown.facets,
        answer=answer,
        document=document,
        release_id=shown.release_id if answer is None else answer.release_id,
        notes_clicks=server.visits.is_noting,
    )


def _chooser(facet: Facet, given: Mapping[str, str]) -> Chooser:
    parameter = f"{FACET}{facet.field}"
    choices = [Choice(json.dumps(value), str(value)) for value in facet.values]
    chosen = given.get(parameter, "")
    return Chooser(facet.field, parameter, choices, chosen if chosen in {choice.value for choice in choices} else "")


def _reply(shown: Shown, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return page_reply(TEMPLATE, shown, script=SCRIPT, status=status, headers=headers)
