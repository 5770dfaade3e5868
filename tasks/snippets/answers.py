"""Answers as the search cache holds them: results as readers see them, with their snippets, as JSON."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.keys import query_key
from nightrank.storage.records import asked_by_people
from nightrank.storage.release.results.file import write_results_file
from nightrank.storage.serving.cache import Snippet
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.query_log.suggest import may_suggest
from nightrank.tasks.rank.diversity import stored_vectors
from nightrank.tasks.rank.results import DESCRIPTION, cut_results, result_entries
from nightrank.tasks.snippets.carried import carrying
from nightrank.tasks.snippets.results import Snippets, query_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nightrank.storage.lance.table import ChunkTable
    from nightrank.storage.release.files import Candidates, CarriedSnippets, Queries, ReleaseFiles
    from nightrank.tasks.settings.whole import Settings
    from nightrank.tasks.snippets.carried import SnippetCarrier

QUERIES_HELD = 2000  # queries whose results are in memory at one time
ALIASES = ["query_key", "aliases", "filter"]


class AnswersWritten(NamedTuple):
    """The search cache of a release.

    Attributes:
        queries: How many it answers.
        snippets_made: Snippets that were not taken over.
    """

    queries: int
    snippets_made: int


def write_answers(
    settings: Settings,
    files: ReleaseFiles,
    candidates: Candidates,
    queries: Queries,
    table: ChunkTable,
    *,
    before: CarriedSnippets | None,
) -> AnswersWritten:
    """Cut candidates to results and write the search cache of a release.

    Args:
        settings: What is published, and how it is shown.
        files: Of the release, where the chunks are described, and the search cache and its snippets are to be.
        candidates: In their final order.
        queries: Those that are answered, with their aliases.
        table: Texts and vectors.
        before: Snippets that are taken over; None: all are made.
    """
    asked = queries.read(["query_key", "text"])
    results = cut_results(
        candidates.read(),
        candidate_depth=settings.retrieval.candidate_depth,
        settings=settings.results,
        vectors=stored_vectors(table),
    )
    suggests = _suggests(queries.read()) if settings.results.suggestions else None
    with Bm25Store.open(files.statistics.path) as store, carrying(files.snippets, before=before) as carrier:
        blocks = (asked.slice(start, QUERIES_HELD) for start in range(0, asked.num_rows, QUERIES_HELD))
        rows = chain.from_iterable(
            answer_rows(settings, results, block, store, table, carrier=carrier) for block in blocks
        )
        count = write_results_file(
            files.results.path, rows, aliases=aliases_in(queries.read(ALIASES)), suggests=suggests
        )
        return AnswersWritten(count, carrier.made)


def _suggests(asked: pa.Table) -> Callable[[str], bool]:
    """Says whether a text is suggested: one that people asked, where that may be told."""
    unasked = frozenset(asked.filter(pa.array(~asked_by_people(asked))).column("text").to_pylist())
    return lambda text: text not in unasked and may_suggest(text)


def aliases_in(queries: pa.Table) -> Iterator[tuple[str, str]]:
    """The keys of aliases, which the cache answers too, with those of their queries.

    Args:
        queries: With the columns ``ALIASES``; those of older releases may lack the last two.
    """
    for row in queries.to_pylist():
        for form in row.get("aliases", ()):
            yield query_key(form, row.get("filter")), row["query_key"]


def answer_rows(
    settings: Settings,
    results: pa.Table,
    queries: pa.Table,
    store: Bm25Store,
    table: ChunkTable,
    *,
    carrier: SnippetCarrier | None = None,
) -> Iterator[tuple[str, str, str]]:
    """Each query's key, text and results as JSON.

    Args:
        settings: How texts were analysed, and how long snippets are.
        results: Rows of CANDIDATES, by query, then rank; those of other queries are passed over.
        queries: With ``query_key`` and ``text``; their results are in memory at one time.
        store: Where the chunks are described.
        table: Where the texts are.
        carrier: Takes snippets over; None: all are made.
    """
    analyser = Analyser.of(settings.bm25)
    snippets = Snippets(analyser, characters=settings.results.snippet_characters, carrier=carrier)
    keys, texts = (queries.column(name).to_pylist() for name in ("query_key", "text"))
    wanted = queries.column("query_key").combine_chunks()
    entries = results.filter(pc.is_in(results.column("query_key"), value_set=wanted))
    chunks = store.chunks_at(entries.column("chunk_number").to_numpy(), DESCRIPTION)
    weights = dict(zip(keys, query_weights(store, texts, analyse=analyser), strict=True))
    by_query = result_entries(entries, chunks, table, snippets=snippets.of(weights))
    for key, text in zip(keys, texts, strict=True):
        yield key, text, json.dumps(by_query.get(key, []), ensure_ascii=False, default=_fields)


def _fields(snippet: Snippet) -> dict[str, object]:
    """A snippet as JSON has it; ``dataclasses.asdict`` copies what is in it, and takes ten times as long."""
    return {name: getattr(snippet, name) for name in Snippet.__slots__}
