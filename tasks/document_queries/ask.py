"""The queries that a collection asks for itself, where people's are missing or few: which, and in what order.

They are a function of the documents (and of what a model was asked of them, where one is: it is remembered), so that an
incremental night equals a rebuild. Those of documents with the
lowest digests come first: at random, the same ones as long as they are there, and a document more or less moves one
place. What is looked at is bounded, whatever the size of the collection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from nightrank.storage.files.parquet import matching_rows, read_column
from nightrank.storage.keys import digest, normalise_query
from nightrank.tasks.document_queries.phrases import Text, key_phrases
from nightrank.tasks.document_queries.titles import (
    can_be_asked,
    headings_of,
    shown,
    site_names,
    stand_in,
    telling_headings,
    without_site,
)
from nightrank.tasks.query_log.fill import DocumentQuery
from nightrank.tasks.query_log.near_form import near_form

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.storage.records import Origin

SAMPLE = 4000  # documents that are looked at
CHARACTERS = 6000  # of a text, from its beginning
IN_TURN: tuple[Origin, ...] = ("title", "phrase", "title", "phrase", "heading")

# The questions of documents, in their order, made as they are taken.
AskModel = Callable[[Sequence[Mapping[str, Any]]], Iterable[str]]


def queries_of_documents(documents: Path, ask_model: AskModel | None = None) -> Iterator[DocumentQuery]:
    """The queries that documents ask, those that are to be asked first at the head; near-identical ones are one.

    Args:
        documents: A file of schema DOCUMENTS.
        ask_model: Asks a model for questions of documents; None where none is asked.
    """
    rows = sampled_documents(documents)
    titles = [shown(row["title"]) for row in rows]
    site = site_names(titles)
    asked_by: dict[Origin, Iterable[str]] = {
        "title": [_title(row, title, site) for row, title in zip(rows, titles, strict=True)],
        "heading": _headings(rows),
        "phrase": key_phrases(Text(row["text"], row["language"]) for row in rows),
    }
    seen: set[str] = set()
    others = _in_turn(asked_by, seen)
    if ask_model is None:
        return others
    return _alternately(_in_turn({"question": ask_model(rows)}, seen), others)


def _in_turn(asked_by: Mapping[Origin, Iterable[str]], seen: set[str]) -> Iterator[DocumentQuery]:
    """Kind by kind in turn, each text once, beside what was seen before."""
    rest = {kind: iter(texts) for kind, texts in asked_by.items()}
    for kind in cycle((*IN_TURN, "question")):
        if not rest:
            return
        if kind not in rest:
            continue
        for text in rest[kind]:
            normalised = normalise_query(text)
            if can_be_asked(normalised) and (form := near_form(normalised)) not in seen:
                seen.add(form)
                yield DocumentQuery(normalised, kind)
                break
        else:
            del rest[kind]


def _alternately(*of: Iterator[DocumentQuery]) -> Iterator[DocumentQuery]:
    """One of each in turn, as long as there is any."""
    rest = [*of]
    while rest:
        for queries in [*rest]:
            if (query := next(queries, None)) is None:
                rest.remove(queries)
            else:
                yield query


def _title(row: Mapping[str, Any], title: str, site: frozenset[str]) -> str:
    if title:
        return without_site(title, site)
    return shown(stand_in(row["document_id"], file=row["file"], text=row["text"]))


def _headings(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One of each document in turn, in the documents' order."""
    found = {row["document_id"]: [shown(heading) for heading in headings_of(row["text"])] for row in rows}
    placed: list[tuple[int, int, str]] = []
    place_of = {document_id: place for place, document_id in enumerate(found)}
    seen: dict[str, int] = {}
    for document_id, heading in telling_headings(found):
        turn = seen[document_id] = seen.get(document_id, 0) + 1
        placed.append((turn, place_of[document_id], heading))
    return [heading for _, _, heading in sorted(placed)]


def sampled_documents(documents: Path) -> list[dict[str, Any]]:
    """The documents that are looked at, their texts cut to their beginnings, in the order of their digests.

    Args:
        documents: A file of schema DOCUMENTS.
    """
    lowest: list[tuple[str, str]] = []
    for batch in read_column(documents, "document_id"):
        lowest += ((digest("sample", document_id), document_id) for document_id in batch.to_pylist())
        lowest = sorted(lowest)[:SAMPLE]
    place_of = {document_id: place for place, (_, document_id) in enumerate(lowest)}
    columns = ["document_id", "title", "text", "language", "file", "content_digest"]
    found = matching_rows(documents, "document_id", pa.array(list(place_of), pa.string()), columns=columns)
    rows = [{**row, "text": row["text"][:CHARACTERS]} for row in found]
    return sorted(rows, key=lambda row: place_of[row["document_id"]])
