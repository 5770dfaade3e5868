"""Which titles, headings and sentences ask for their own documents.

They are a function of the documents alone, so that an incremental night equals a rebuild. Those of the documents with
the lowest digests come first, as in ``tasks.document_queries``: the same ones as long as they are there.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal, TypeAlias

from nightrank.storage.files.parquet import read_column
from nightrank.storage.keys import digest, normalise_query, query_key
from nightrank.tasks.chunk.pieces import split_pieces
from nightrank.tasks.document_queries.ask import sampled_documents
from nightrank.tasks.document_queries.titles import (
    can_be_asked,
    headings_of,
    shown,
    site_names,
    telling_headings,
    without_site,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

LEAST_OF_SENTENCE = 5  # words
LOOKED_AT = 20  # sentences of a document
LEAST_WORDS = 2  # of a query, where its script parts them; one word is rarely about one document


ItemKind: TypeAlias = Literal["title", "heading", "sentence"]


@dataclass(frozen=True, slots=True)
class KnownItem:
    """A title, a heading or a sentence that asks for its own document.

    Attributes:
        item: Its id: of what is asked and of what the document says, so that an edited document is another item.
        query_key: Of the query.
        text: The query, normalised.
        document_id: What it asks for.
        words: The same as the document writes it.
        kind: Which of the three it is.
    """

    item: str
    query_key: str
    text: str
    document_id: str
    words: str
    kind: ItemKind


def known_items(documents: Path) -> Iterator[KnownItem]:
    """The known items of a collection, at most one a document, those that are to be used first at the head.

    A title that several documents have asks for none of them. Where a document has a heading, too, its id's digest
    decides which of the two asks, so that both kinds are there. Where it has neither, its first sentence of a fitting
    length asks.

    Args:
        documents: A file of schema DOCUMENTS.
    """
    rows = sampled_documents(documents)
    site = site_names(shown(row["title"]) for row in rows)
    titles: dict[str, str] = {row["document_id"]: without_site(shown(row["title"]), site) for row in rows}
    headings = _headings(rows)
    with_title = _times(documents, titles.values(), site)
    seen: set[str] = set()
    for row in rows:
        document_id = row["document_id"]
        title, heading = titles[document_id], headings.get(document_id, "")
        if with_title[normalise_query(title)] > 1 or not _asks(title):
            title = ""
        kind, found = _chosen(title, heading, row)
        text = normalise_query(found)
        if not found or text in seen:
            continue
        seen.add(text)
        yield KnownItem(
            item=digest("known item", text, document_id, row["content_digest"]),
            query_key=query_key(text),
            text=text,
            document_id=document_id,
            words=found,
            kind=kind,
        )


def _chosen(title: str, heading: str, row: Mapping[str, Any]) -> tuple[ItemKind, str]:
    if heading and (not title or digest("known item", row["document_id"]) < "8"):
        return "heading", heading
    return ("title", title) if title else ("sentence", _sentence(row["text"]))


def _sentence(text: str) -> str:
    """The first sentence that says something and can be asked; "" where there is none."""
    pieces = islice(split_pieces(text), LOOKED_AT)
    sentences = (shown(text[piece.start : piece.end]) for piece in pieces)
    return next((one for one in sentences if _asks(one) and len(one.split()) >= LEAST_OF_SENTENCE), "")


def first_items(documents: Path, count: int) -> list[KnownItem]:
    """The first known items of a collection."""
    return list(islice(known_items(documents), count))


def _asks(words: str) -> bool:
    return can_be_asked(normalise_query(words)) and (len(words.split()) >= LEAST_WORDS or not words.isascii())


def _headings(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """One heading of each document that has one which few others have: that with the lowest digest."""
    found = {row["document_id"]: [shown(heading) for heading in headings_of(row["text"])] for row in rows}
    titles = {row["document_id"]: normalise_query(shown(row["title"])) for row in rows}
    times = Counter(normalise_query(heading) for of in found.values() for heading in of)
    chosen: dict[str, str] = {}
    for document_id, heading in telling_headings(found):
        text = normalise_query(heading)
        if times[text] > 1 or text == titles[document_id] or not _asks(heading):
            continue
        before = chosen.get(document_id)
        if before is None or digest("heading", text) < digest("heading", normalise_query(before)):
            chosen[document_id] = heading
    return chosen


def _times(documents: Path, titles: Iterable[str], site: frozenset[str]) -> Counter[str]:
    """How many documents of the whole collection have each title, by its normalised form."""
    wanted = {normalise_query(title) for title in titles}
    times: Counter[str] = Counter()
    for batch in read_column(documents, "title"):
        for title, count in Counter(batch.to_pylist()).items():  # many may have none
            form = _form(title, site)
            if form in wanted:
                times[form] += count
    return times


def _form(title: str, site: frozenset[str]) -> str:
    return normalise_query(without_site(shown(title), site))
