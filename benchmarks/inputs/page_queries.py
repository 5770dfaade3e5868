"""What people would ask of a documentation site, made from its own pages by rule: no model, no network, no chance.

Each page gives its title and its description, as keywords and as questions, and each of its headings that does not
stand on many pages, with the title where the heading alone says little.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from typing import TYPE_CHECKING

from nightrank.storage.keys import normalise_query
from nightrank.storage.records import Document
from nightrank.tasks.chunk.pieces import split_pieces
from nightrank.tasks.read.account import Account
from nightrank.tasks.read.source import read_documents
from nightrank.tasks.settings.inputs import DocumentsSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEED = 20240603
PAGES_OF_BOILERPLATE = 4  # a heading on so many pages ("Next steps") says nothing of one of them
SHORT_HEADING_WORDS = 3
DESCRIPTION_WORDS = 14
QUESTION_WORDS = 4  # longer ones make no question

_HOW_TO = re.compile(r"(?:learn )?how[ -]to\s*[:-]?\s*", re.IGNORECASE)
_OVERVIEW = re.compile(r"(?:(?:detailed )?(?:documentation|information|overview|description)) (?:of|on|about) ", re.I)
_MARKUP = re.compile(r"\{\{.*?\}\}|\]\([^)]*\)|<[^>]*>|[\[\]`*_\"]+")
_STEP = re.compile(r"(?:(?:step|option)\s+)?\d+[.:)]\s+", re.IGNORECASE)
# Words that begin what somebody wants to do.
_VERBS = re.compile(
    r"(?:access|add|apply|author|authenticate|autoscale|build|call|change|choose|clean|configure|connect|contribute|"
    r"create|customize|debug|define|delete|deploy|develop|disable|enable|encrypt|enforce|expose|generate|get|handle|"
    r"host|implement|initialize|install|integrate|invoke|limit|manage|monitor|operate|override|pass|persist|preview|"
    r"provision|publish|query|read|receive|reference|register|remove|retrieve|route|run|save|scale|secure|send|"
    r"serialize|set|share|start|stop|store|subscribe|test|trigger|troubleshoot|turn|uninstall|update|upgrade|use|"
    r"verify|view|work|write)\b(?!-)",
    re.IGNORECASE,
)


def page_queries(pages: Path, *, wanted: int) -> list[str]:
    """Distinct queries, drawn with a fixed seed from all that the pages give.

    Args:
        pages: A folder of Markdown pages with front matter.
        wanted: How many; fewer where the pages do not give so many.
    """
    documents = [
        row
        for row in read_documents(DocumentsSettings(source=str(pages)), base=pages, account=Account())
        if isinstance(row, Document)
    ]
    found = sorted({normalise_query(query) for query in _all_queries(documents)})
    return random.Random(SEED).sample(found, min(wanted, len(found)))


def _all_queries(documents: list[Document]) -> Iterator[str]:
    headings = {
        document.document_id: list(dict.fromkeys(_plain(heading) for heading in _headings(document.text)))
        for document in documents
    }
    pages = Counter(heading.casefold() for of_page in headings.values() for heading in of_page)
    for document in documents:
        title = _plain(document.title)
        yield from _asked(title)
        description = document.metadata.get("description")
        if isinstance(description, str):
            sentence = re.split(r"[.!?](?:\s|$)", _plain(description), maxsplit=1)[0]
            yield from _asked(_OVERVIEW.sub("", " ".join(sentence.split()[:DESCRIPTION_WORDS])))
        for heading in headings[document.document_id]:
            if pages[heading.casefold()] < PAGES_OF_BOILERPLATE:
                if len(heading.split()) <= SHORT_HEADING_WORDS:
                    yield f"{_HOW_TO.sub('', title)} {heading}"
                else:
                    yield from _asked(heading)


def _asked(phrase: str) -> Iterator[str]:
    """What people would type who look for this: the words, and a question where they make a good one."""
    words = " ".join(_HOW_TO.sub("", phrase).split())
    if not words:
        return
    yield words
    if _VERBS.match(words) or _HOW_TO.match(phrase):
        yield f"how do i {words}?"
    elif len(words.split()) <= QUESTION_WORDS:
        yield f"what is {words}?"


def _headings(text: str) -> Iterator[str]:
    for piece in split_pieces(text):
        yield from piece.headings


def _plain(markdown: str) -> str:
    return " ".join(_STEP.sub("", _MARKUP.sub(" ", markdown)).split())
