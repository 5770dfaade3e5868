"""Candidates from outside: a TREC run file stands in for a leg, so that another engine's first stage is reranked.

A run ranks documents, a leg ranks chunks. A document stands in the leg as one chunk, with the run's score: the one of
its chunks that our own legs rank best for the query, or its first one where none found any. Our own legs and their
lists are kept up beside it, so that the run can be taken away again at no cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.errors import InputError
from nightrank.storage.keys import digest_of_sequence
from nightrank.storage.legs import LEGS
from nightrank.storage.records import EXTERNAL_RUN, LEG, ranking_order, ranks_within
from nightrank.storage.wide import sorted_rows
from nightrank.tasks.read.account import Kind
from nightrank.tasks.trec.runs import read_run
from nightrank.tasks.trec.unknown import unknown_documents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName
    from nightrank.tasks.read.account import Account
    from nightrank.tasks.settings.ranking import RetrievalSettings


class RunRead(NamedTuple):
    """What was read of a run file.

    Attributes:
        leg: That it stands in for.
        name: What the user calls it.
        key: Of the entries that count, whatever their order and the run's tag.
        queries_missing: Queries of the release that it does not answer; their leg is empty.
        documents_unknown: Entries whose document is not in the collection.
    """

    leg: LegName
    name: str
    key: str
    queries_missing: int
    documents_unknown: int

    def warnings(self, *, queries: int) -> list[str]:
        """What the user should know of it.

        Args:
            queries: Of the release.
        """
        told = []
        if self.queries_missing:
            told.append(f"{self.name} answers {queries - self.queries_missing:,} of {queries:,} queries.")
        if self.documents_unknown:
            told.append(f"{self.name} has {self.documents_unknown:,} entries of documents not in the collection.")
        return told


class RunFiltered(NamedTuple):
    """What the filters of queries leave out of a run, which its engine cut without knowing them.

    Attributes:
        name: What the user calls it.
        entries: That are left out.
        emptied: Numbers of the queries of which it has entries, and none that is let through: their leg is empty.
    """

    name: str
    entries: int
    emptied: frozenset[int]

    def warnings(self) -> list[str]:
        """What the user should know of it."""
        if not self.entries:
            return []
        told = f"Filters leave {self.entries:,} entries out of {self.name}"
        told += f"; it has no other ones for {len(self.emptied):,} of the queries" if self.emptied else ""
        return [f"{told}: let its engine filter, or write a longer run."]


def read_external_run(
    path: Path,
    *,
    name: str,
    leg: LegName,
    queries: pa.Table,
    document_ids: pa.Array | pa.ChunkedArray,
    account: Account,
) -> tuple[pa.Table, RunRead]:
    """The entries of a run file for the queries of a release.

    A query is known by the ids that the log gives it; where the run answers more than one of them, the first counts.

    Args:
        path: The file.
        name: What the user calls it.
        leg: That it stands in for.
        queries: Schema QUERIES.
        document_ids: string (n_documents,), of the collection.
        account: Told what the file is.

    Returns:
        A table of schema EXTERNAL_RUN, by query number, and what was read.

    Raises:
        InputError: The file is no run, answers no query of the release, or names no document of the collection.
    """
    by_query: dict[str, list[tuple[str, float]]] = {}
    for entry in read_run(path, name=name, account=account):
        by_query.setdefault(entry.query_id, []).append((entry.doc_id, entry.score))
    answered = [
        next((query_id for query_id in query_ids if query_id in by_query), None)
        for query_ids in queries.column("query_ids").to_pylist()
    ]
    rows = [
        (number, document_id, score)
        for number, query_id in enumerate(answered)
        if query_id is not None
        for document_id, score in by_query[query_id]
    ]
    if not rows:
        message = f"{name} answers no query of the release."
        raise InputError(message, remedy="Give the run the query ids of the log (`query_id`, or BEIR's `_id`).")
    columns = [list(column) for column in zip(*rows, strict=True)]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, EXTERNAL_RUN, strict=True)]
    table = pa.table(arrays, schema=EXTERNAL_RUN)
    known = table.filter(pc.is_in(table.column("document_id"), value_set=_whole(document_ids)))
    unknown = unknown_documents(table.column("document_id").to_pylist(), document_ids)
    if unknown.count == unknown.of:
        raise InputError(
            f"{name} names no document of the collection: {unknown.example} is none of its ids"
            f"{f'; {unknown.hint}' if unknown.hint else ''}.",
            remedy="Give the run the document ids of the collection.",
        )
    if unknown.count:
        account.add("runs", Kind.UNKNOWN_ID, "documents", where=f"{name}: {unknown.example}", count=unknown.count)
    read = RunRead(
        leg=leg,
        name=name,
        key=digest_of_sequence(_lines(known)),
        queries_missing=answered.count(None),
        documents_unknown=table.num_rows - known.num_rows,
    )
    return known, read


def run_as_leg(
    run: pa.Table,
    own: Mapping[LegName, pa.Table],
    document_of_chunk: pa.Array,
    *,
    depth: int,
    allowed: Callable[[int], NDArray[np.bool_] | None] | None = None,
) -> pa.Table:
    """A run as a leg of chunks.

    Args:
        run: Schema EXTERNAL_RUN, by query number; every document has a chunk.
        own: Our own legs, schema LEG, by name.
        document_of_chunk: string (n_chunks,), by chunk number; chunks of a document are neighbours.
        depth: Entries a query.
        allowed: Gives the chunks that a query's filter lets through, bool (n_chunks,), by query number; None for all.

    Returns:
        A table of schema LEG: by score, equal ones by document id descending, as trec_eval has it.
    """
    coded = document_of_chunk.dictionary_encode()
    documents = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    codes = pc.index_in(run.column("document_id"), value_set=coded.dictionary)
    queries = run.column("query_number").to_numpy()
    pairs = _pairs(queries, codes.to_numpy())
    best_pairs, best_chunks = _best_chunks(own, documents)
    chunks = np.searchsorted(documents, pairs & 0xFFFFFFFF)  # the first of each document
    if best_pairs.size:
        places = np.minimum(np.searchsorted(best_pairs, pairs), best_pairs.size - 1)
        chunks = np.where(best_pairs[places] == pairs, best_chunks[places], chunks)
    scores = run.column("score").to_numpy()
    if allowed is not None:  # before the cut, so that a filter leaves no leg short
        stay = _let_through(queries, chunks, allowed)
        queries, chunks, scores = queries[stay], chunks[stay], scores[stay]
    order = ranking_order(queries, scores, chunks)
    ranks = ranks_within(queries[order])
    kept = order[ranks <= depth]
    columns = queries[kept], chunks[kept].astype(np.int32), scores[kept], ranks[ranks <= depth]
    return pa.table(dict(zip(LEG.names, columns, strict=True)), schema=LEG)


def run_filtered(
    run: pa.Table, document_of_chunk: pa.Array, *, name: str, allowed: Callable[[int], NDArray[np.bool_] | None]
) -> RunFiltered:
    """What filters leave out of a run; a filter lets all chunks of a document through, or none.

    Args:
        run: Schema EXTERNAL_RUN, by query number; every document has a chunk.
        document_of_chunk: As ``run_as_leg`` has it.
        name: What the user calls the run.
        allowed: As there.
    """
    first_chunks = pc.index_in(run.column("document_id"), value_set=document_of_chunk)
    queries = run.column("query_number").to_numpy()
    stay = _let_through(queries, first_chunks.to_numpy(), allowed)
    emptied = np.setdiff1d(queries, queries[stay])
    return RunFiltered(name, int(np.count_nonzero(~stay)), frozenset(emptied.tolist()))


def _let_through(
    queries: NDArray[np.integer], chunks: NDArray[np.integer], allowed: Callable[[int], NDArray[np.bool_] | None]
) -> NDArray[np.bool_]:
    """Bool (n,), the entries whose chunk the filter of their query lets through; entries are by query number."""
    stay = np.ones(queries.size, dtype=np.bool_)
    distinct, first = np.unique(queries, return_index=True)
    for query, start, end in zip(distinct.tolist(), first, [*first[1:], queries.size], strict=True):
        chunks_allowed = allowed(query)
        if chunks_allowed is not None:
            stay[start:end] = chunks_allowed[chunks[start:end]]
    return stay


def _best_chunks(
    own: Mapping[LegName, pa.Table], documents: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The chunk of each (query, document) that a leg ranks best: int64 (n,) ascending, and int64 (n,)."""
    legs = pa.concat_tables([LEG.empty_table(), *own.values()])
    queries, chunks, ranks = (legs.column(name).to_numpy() for name in ("query_number", "chunk_number", "rank"))
    pairs = _pairs(queries, documents[chunks])
    order = np.lexsort((chunks, ranks, pairs))
    distinct, first = np.unique(pairs[order], return_index=True)
    return distinct, chunks[order][first].astype(np.int64)


def _pairs(queries: NDArray[np.integer], documents: NDArray[np.integer]) -> NDArray[np.int64]:
    return (queries.astype(np.int64) << 32) | documents.astype(np.int64)


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _lines(run: pa.Table) -> Iterable[str]:
    """The entries in an order of their own."""
    ordered = sorted_rows(run, [("query_number", "ascending"), ("document_id", "ascending")])
    columns = (ordered.column(name).to_pylist() for name in EXTERNAL_RUN.names)
    return (f"{number}\t{document_id}\t{score!r}" for number, document_id, score in zip(*columns, strict=True))


def runs_of(settings: RetrievalSettings) -> dict[LegName, str]:
    """The run files that stand in for legs, as the settings name them, by leg."""
    named: dict[LegName, str | None] = {leg: getattr(settings, f"{leg}_run") for leg in LEGS}
    return {leg: name for leg, name in named.items() if name is not None}
