"""The pool: documents whose grades can change a measure of the stages and releases that are compared.

That is what some stage of some release has among its first results, as deep as the measure counts, as TREC pools runs
(Sparck Jones, van Rijsbergen, "Report on the need for and provision of an 'ideal' information retrieval test
collection", 1975). What no stage shows there has no part in the measure, whatever its grade.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.records import asked_by_people
from nightrank.tasks.evaluate.measures import parse_measure, stage_runs
from nightrank.tasks.trec.qrels import can_be_named

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from nightrank.tasks.release import StoredRelease
    from nightrank.tasks.trec.runs import Entry

COLUMNS = ("query_key", "document_id", "chunk_id", "rank")


class Pooled(NamedTuple):
    """A query, and what of it can be judged.

    Attributes:
        query_id: By which judgments name it: an id of the log, else its words.
        query_key: Its key.
        text: As models read it.
        documents: Ids, those that some stage puts first at the head.
        chunks: Of each document the chunk that stands for it.
    """

    query_id: str
    query_key: str
    text: str
    documents: tuple[str, ...]
    chunks: Mapping[str, str]


def depth_of(measure: str, *, results: int) -> int:
    """How many results a measure counts.

    Args:
        measure: As ir_measures writes it.
        results: Results of a query, where the measure counts all.

    >>> depth_of("nDCG@20", results=10), depth_of("AP", results=10)
    (20, 10)
    """
    cutoff = parse_measure(measure).params.get("cutoff")
    return cutoff if isinstance(cutoff, int) else results


def pooled_queries(release: StoredRelease, *, most: int | None = None, first: Collection[str] = ()) -> pa.Table:
    """The queries of a release that are to be judged, schema QUERIES, each with one id.

    Those that people asked, the most in demand first; where people asked nothing, what the documents ask.

    Args:
        release: It.
        most: Queries at most, but for those that come first; None for all.
        first: Ids of queries that come first.
    """
    queries = release.files.queries.read()
    of_people = pa.array(asked_by_people(queries))
    queries = queries.filter(of_people) if pc.any(of_people).as_py() else queries
    wanted = set(first)
    named = [query_id(row, wanted) for row in queries.select(["query_ids", "text", "filter"]).to_pylist()]
    ids = [one for one in named if one is not None]
    queries = queries.filter(pa.array([one is not None for one in named], pa.bool_()))
    place, field = queries.schema.get_field_index("query_ids"), queries.schema.field("query_ids")
    queries = queries.set_column(place, field, pa.array([[one] for one in ids], field.type))
    at_head = [number for number, one in enumerate(ids) if one in wanted]
    others = [number for number, one in enumerate(ids) if one not in wanted]
    room = None if most is None else max(0, most - len(at_head))
    return queries.take(pa.array([*at_head, *others[:room]], pa.int64()))


def query_id(row: Mapping[str, object], judged: Collection[str] = ()) -> str | None:
    """The id by which judgments name a query; None where nothing does: it has none in the log, and a filter.

    Words that are too long for an id name nothing, either.

    Args:
        row: Of schema QUERIES.
        judged: Ids that judgments have already.

    >>> query_id({"query_ids": ["q1", "q2"], "text": "tea", "filter": None}, {"q2"})
    'q2'
    >>> query_id({"query_ids": [], "text": "tea", "filter": None}), query_id({"query_ids": [], "filter": "{}"})
    ('tea', None)
    >>> query_id({"query_ids": [], "text": "pasted text " * 60, "filter": None})
    """
    ids = row["query_ids"]
    assert isinstance(ids, list)
    if ids:
        return str(next((one for one in ids if one in judged), ids[0]))
    if row["filter"] is not None:
        return None
    text = str(row["text"])
    return text if can_be_named(text) else None


def systems(
    releases: Sequence[StoredRelease], queries: pa.Table, *, ignore_identical_ids: bool
) -> dict[str, list[Entry]]:
    """The runs of every stage of every release, by a name of its own.

    Args:
        releases: Compared ones.
        queries: Of the first one, as ``pooled_queries`` gives them.
        ignore_identical_ids: Leave out the document that has the query's own id.
    """
    found: dict[str, list[Entry]] = {}
    ids = {one for row in queries.column("query_ids").to_pylist() for one in row}
    for release in releases:
        settings = release.settings
        runs = stage_runs(
            release.candidates(queries),
            queries,
            ids,
            legs=settings.retrieval.legs,
            candidate_depth=settings.retrieval.candidate_depth,
            results=settings.results.undiversified(),
            ignore_identical_ids=ignore_identical_ids,
        )
        found |= {f"{release.release_id} {stage}": run for stage, run in runs.items() if run}
    return found


def pool(
    releases: Sequence[StoredRelease],
    queries: pa.Table,
    runs: Mapping[str, Sequence[Entry]],
    *,
    depth: int,
    retracted: Collection[str] = (),
) -> list[Pooled]:
    """What can be judged of some queries, in their order.

    Args:
        releases: Compared ones.
        queries: Of the first one, as ``pooled_queries`` gives them.
        runs: Of their stages, as ``systems`` gives them.
        depth: Results of each stage that count.
        retracted: Ids of documents that were taken down: nobody is shown them.
    """
    best: dict[str, dict[str, float]] = {}
    for run in runs.values():
        for entry in run:
            rank = -entry.score  # of a run of ours: 1, 2, 3
            if rank <= depth and entry.doc_id not in retracted:
                ranks = best.setdefault(entry.query_id, {})
                ranks[entry.doc_id] = min(rank, ranks.get(entry.doc_id, rank))
    chunks = _chunks(releases, queries)
    found = []
    for row in queries.select(["query_ids", "query_key", "text"]).to_pylist():
        ranks = best.get(row["query_ids"][0], {})
        of_query = chunks.get(row["query_key"], {})
        documents = tuple(sorted(ranks, key=lambda one: (ranks[one], one)))
        found.append(
            Pooled(
                row["query_ids"][0],
                row["query_key"],
                row["text"],
                documents,
                {document: of_query[document] for document in documents},
            )
        )
    return found


def _chunks(releases: Sequence[StoredRelease], queries: pa.Table) -> dict[str, dict[str, str]]:
    """The chunk that stands for each document of each query, by the first release that found it."""
    found: dict[str, dict[str, str]] = {}
    for release in releases:
        candidates = release.candidates(queries).select(COLUMNS).sort_by("rank")
        for row in candidates.to_pylist():
            found.setdefault(row["query_key"], {}).setdefault(row["document_id"], row["chunk_id"])
    return found
