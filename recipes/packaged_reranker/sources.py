"""A source of the packaged reranker as it lies in the data: its passages, and which of them answer which query."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.errors import RowError
from nightrank.storage.keys import normalise_query
from nightrank.tasks.read.account import Account
from nightrank.tasks.train.sources import Passage, beir_passages, beir_queries, qrels_of, rows_of
from nightrank.tasks.trec.qrels import read_judgments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from recipes.packaged_reranker.recipe import Source

MOST_HEADINGS = 3  # what stands under more headings of a documentation is a stub
WRITTEN = ("question", "claim", "FAQ")  # how styles end of which somebody saw that the passage answers


@dataclass(frozen=True, slots=True)
class Asked:
    """A query and what answers it.

    Attributes:
        query: Normalised.
        answers: Places of passages, ascending.
        is_weak: Nobody saw that they answer: a heading and the text below it, say.
        is_held: It is measured on.
    """

    query: str
    answers: tuple[int, ...]
    is_weak: bool
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class Collection:
    """A source.

    Attributes:
        passages: Each text once; ``document_id`` names what is held out together.
        queries: Each once.
        licences: Of its rows, the most frequent first.
    """

    passages: list[Passage]
    queries: list[Asked]
    licences: list[str]


def page_of(document_id: str) -> str:
    """The page that a document ``page-part`` or ``page:part`` is a part of.

    >>> page_of("the-seven-ravens:12"), page_of("00-003")
    ('the-seven-ravens', '00')
    """
    return re.split(r"[-:](?!.*[-:])", document_id)[0]


def read_source(source: Source, data: Path) -> Collection:
    """A source: the English rows of a file of pairs, or the split ``train`` of a folder in BEIR layout.

    Args:
        source: Which.
        data: The folder of the data.

    Raises:
        InputError: A file is missing or not as it should be.
    """
    path = data / source.path
    found = _Found()
    if path.is_dir():
        _read_folder(found, source, path)
    else:
        _read_pairs(found, source, path)
    return found.collection(source.licence)


def judged_in(folder: Path, splits: tuple[str, ...]) -> frozenset[str]:
    """The documents that a folder's splits call relevant; a split that is not there has none."""
    paths = [path for split in splits if (path := qrels_of(folder, split)).is_file()]
    judgments = (one for path in paths for one in read_judgments(path, name=str(path), account=Account()))
    return frozenset(one.document_id for one in judgments if one.grade > 0)


class _Found:
    """A source while it is read."""

    def __init__(self) -> None:
        self.passages: dict[str, Passage] = {}
        self.answers: dict[str, set[str]] = {}
        self.is_weak: dict[str, bool] = {}
        self.licences: Counter[str] = Counter()

    def put(self, passage: Passage) -> str:
        key = " ".join(passage.text.split())
        self.passages.setdefault(key, passage)
        return key

    def ask(self, query: str, key: str, *, is_weak: bool) -> None:
        if query:
            self.answers.setdefault(query, set()).add(key)
            self.is_weak[query] = is_weak

    def collection(self, licence: str) -> Collection:
        places = {key: place for place, key in enumerate(self.passages)}
        queries = [
            Asked(query, tuple(sorted(places[key] for key in keys)), self.is_weak[query])
            for query, keys in self.answers.items()
        ]
        licences = [name for name, _ in self.licences.most_common()]
        return Collection(list(self.passages.values()), queries, [licence] if licence else licences)


def _read_pairs(found: _Found, source: Source, path: Path) -> None:
    rows = [row for row in _texts_of(path) if row.get("language", "en") == "en"]
    headings = Counter(" ".join(row["text"].split()) for row in rows)
    for row in rows:
        if source.family == "docs" and headings[" ".join(row["text"].split())] > MOST_HEADINGS:
            continue
        title, text = row.get("title", ""), row["text"]
        document = page_of(row["document_id"]) if "document_id" in row else title
        key = found.put(Passage(document or text[:200], title, text))
        is_weak = not row.get("style", "natural question").endswith(WRITTEN)
        found.ask(normalise_query(row["query"]), key, is_weak=is_weak)
        found.licences[row.get("license", "")] += 1


def _texts_of(path: Path) -> Iterator[dict[str, str]]:
    for number, values in rows_of(path):
        row = {name: value for name, value in values.items() if isinstance(value, str)}
        if missing := {"query", "text"} - row.keys():
            raise RowError(str(path), number, f"it lacks the text {min(missing)!r}")
        yield row


def _read_folder(found: _Found, source: Source, path: Path) -> None:
    """Of a folder nothing is read that another split than ``train`` judges, nor other pages than those it judges."""
    passages = {passage.document_id: passage for passage in beir_passages(path)}
    name_of = page_of if source.has_pages else str
    barred = {name_of(name) for name in judged_in(path, ("test", "val", "dev"))}
    if source.has_pages:
        barred |= {name_of(name) for name in passages} - {name_of(name) for name in judged_in(path, ("train",))}
    keys: dict[str, str] = {}
    for document_id, passage in passages.items():
        page = name_of(document_id)
        if page in barred or not passage.text.strip():
            continue
        asks_title = source.asks == "titles"
        keys[document_id] = found.put(Passage(page, "" if asks_title else passage.title, passage.text))
        if asks_title and passage.title:
            found.ask(normalise_query(passage.title), keys[document_id], is_weak=True)
    if source.asks == "queries":
        for query, graded in beir_queries(path, "train", known=passages):
            for document_id in graded:
                if document_id in keys:
                    found.ask(query, keys[document_id], is_weak=False)
