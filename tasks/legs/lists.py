"""A leg from night to night: lists of each query's best texts, brought up to date instead of made anew.

A list holds the best texts of a query, those that its leg needs and ``slack`` more, and a *floor*: every text of the
collection that scores above it is in the list. What left the collection is struck, what came is scored against all
known queries, and whatever scores above the floor joins. A list that fell short of ``depth`` documents (of chunks,
where these count), and that of a query not seen before, is made by a scan of the whole collection. Scores depend on
their two vectors alone (``tasks.dense.retrieve``, ``tasks.sparse.retrieve``), so the outcome is, by construction, what
a scan of everything gives. A leg may have no score for a text, which is then no result: a list of all that have one is
complete, however short.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

import numpy as np
import pyarrow as pa

from nightrank.tasks.filters.queries import joined_legs
from nightrank.tasks.kernels.top_documents import RunningTopDocuments
from nightrank.tasks.kernels.top_k import RunningTopK
from nightrank.tasks.legs.texts import leg_of, results_found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from nightrank.tasks.kernels.top_documents import Documents
    from nightrank.tasks.kernels.top_k import Entries
    from nightrank.tasks.legs.texts import Texts

B = TypeVar("B")
C = TypeVar("C", contravariant=True)  # noqa: PLC0105 (a block of texts, as the leg has them)

SLACK = 50  # texts that a night's list holds beyond those that the leg needs: removals that it outlives
LONGEST = 10  # times the documents of a leg, that a list may be long
TEXTS_A_LISTED_ONE = 16  # products cost as much as one text on its way from night to night


class AskedQueries(Protocol[C]):
    """Queries as a leg has them, and how they meet blocks of texts."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def only(self, numbers: NDArray[np.integer], /) -> Self:
        """Some of them, int (n,), in this order."""
        ...

    def add_best(
        self, best: RunningTopK, blocks: Iterable[C], /, *, documents: RunningTopDocuments | None = None
    ) -> None:
        """Add the scores of every query against every text of the blocks that may be among its best texts or documents.

        A score depends on what the query and the text are, and on nothing else, to the last bit.
        """
        ...

    def contents(self) -> Iterator[bytes]:
        """What decides the scores of each query."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LegLists:
    """The best texts of some queries.

    Attributes:
        floors: float32 (n_queries,). Every text that scores above a query's floor is in its list: -inf where that is
            every text, +inf where nothing is known of the query.
        entries: Query numbers int32 (n,), text numbers int32 (n,) and scores float32 (n,), all above the floor.
    """

    floors: NDArray[np.float32]
    entries: Entries

    @classmethod
    def unknown(cls, queries: int) -> Self:
        """The lists of queries that nothing is known of."""
        empty = (np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
        return cls(np.full(queries, np.inf, dtype=np.float32), empty)


@dataclass(frozen=True, slots=True, eq=False)
class LegNight:
    """What a night made of the lists.

    Attributes:
        lists: For the next night.
        leg: The best chunks of each query, schema LEG.
        scanned: Queries that met the whole collection.
    """

    lists: LegLists
    leg: pa.Table
    scanned: int


def update_lists(
    lists: LegLists,
    queries: AskedQueries[B],
    texts: Texts,
    *,
    added: Iterable[B],
    everything: Callable[[int], Iterable[B]],
    depth: int,
    slack: int,
    documents: Documents | None = None,
) -> LegNight:
    """The leg of tonight's collection, and tonight's lists.

    Args:
        lists: Of tonight's queries, as an earlier night left them; what is no longer a text has been struck.
        queries: Tonight's.
        texts: Tonight's.
        added: The texts that the lists have not met, in any order.
        everything: All of tonight's texts, for a scan by so many queries.
        depth: Results a query: documents where these count, else chunks.
        slack: Texts that a list holds beyond those that the leg needs, so that it outlives some removals.
        documents: Behind the chunks, where documents count.
    """
    longest = longest_list(texts, depth=depth, slack=slack, documents=documents)
    known = np.flatnonzero(lists.floors < np.inf)
    merged = LegLists(lists.floors, _merged(lists, known, queries.only(known), added, depth=longest + 1))
    told = _Told.by(merged, texts, depth=depth, longest=longest, documents=documents)
    short = np.flatnonzero(told.falls_short)
    if short.size:
        scan, of_documents = RunningTopK(short.size, longest + 1), None
        if documents is not None and len(texts) > longest:
            of_documents = RunningTopDocuments(short.size, depth, documents, texts=texts)
        queries.only(short).add_best(scan, everything(short.size), documents=of_documents)
        floors = merged.floors.copy()
        floors[short] = -np.inf
        merged = LegLists(floors, _replaced(merged.entries, short.astype(np.int32), scan.entries()))
        told = _Told.by(merged, texts, depth=depth, longest=longest, documents=documents)
        if of_documents is not None:
            told = told.completed(short, of_documents.table())
    return LegNight(told.lists(merged, longest=longest, slack=slack), told.leg, scanned=int(short.size))


def longest_list(texts: Texts, *, depth: int, slack: int, documents: Documents | None) -> int:
    """How many texts a list may hold.

    Where documents count, a leg goes further down its ranking than ``depth`` chunks, and further for one query than
    for another. A query that would need a longer list than this has none, and meets the whole collection each night:
    that is what costs less, as a text that is read from a list and written again costs more than a product.
    """
    if documents is None:
        return depth + slack
    return max(depth + slack, min(LONGEST * depth, len(texts) // TEXTS_A_LISTED_ONE))


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """What lists tell of the legs of their queries.

    Attributes:
        leg: Schema LEG.
        falls_short: bool (n_queries,), queries of which more may be there than the list knows.
        needed: int64 (n_queries,), texts of the list that the leg goes down to.
    """

    leg: pa.Table
    falls_short: NDArray[np.bool_]
    needed: NDArray[np.int64]

    @classmethod
    def by(cls, merged: LegLists, texts: Texts, *, depth: int, longest: int, documents: Documents | None) -> Self:
        """What lists tell that may hold one text more than the longest."""
        count = merged.floors.size
        # The first chunks of so many texts are chunks alone; documents are told by what is known to be complete.
        known = merged if documents is None else _cut(merged, np.full(count, longest))
        leg = leg_of(known.entries, texts, depth=depth, documents=documents)
        falls_short = results_found(leg, queries=count, documents=documents) < depth
        needed = np.full(count, depth)
        if documents is not None:
            numbers, scores = leg.column("query_number").to_numpy(), leg.column("score").to_numpy()
            last = np.full(count, np.inf, dtype=np.float32)
            np.minimum.at(last, numbers, scores)
            query_numbers, _, of_texts = known.entries
            needed = np.bincount(query_numbers[of_texts >= last[query_numbers]], minlength=count)
            needed[falls_short] = longest  # all that there is
        return cls(leg, falls_short & (known.floors > -np.inf), needed)

    def completed(self, queries: NDArray[np.intp], leg: pa.Table) -> Self:
        """The same with the legs of queries whose lists fall short from the whole collection.

        Args:
            queries: int (n,).
            leg: Schema LEG, of these by their places.
        """
        places = np.flatnonzero(self.falls_short[queries])
        theirs = leg.filter(pa.array(np.isin(leg.column("query_number").to_numpy(), places)))
        others = self.leg.filter(pa.array(~self.falls_short[self.leg.column("query_number").to_numpy()]))
        joined = joined_legs([(np.arange(self.falls_short.size), others), (queries, theirs)])
        return replace(self, leg=joined)

    def lists(self, merged: LegLists, *, longest: int, slack: int) -> LegLists:
        """The lists for the next night: none where it would fall short again."""
        cut = _cut(merged, np.minimum(self.needed + slack, longest))
        kept = ~self.falls_short[cut.entries[0]]
        floors = np.where(self.falls_short, np.float32(np.inf), cut.floors)
        query_numbers, text_numbers, scores = cut.entries
        return LegLists(floors, (query_numbers[kept], text_numbers[kept], scores[kept]))


def _merged(
    lists: LegLists,
    known: NDArray[np.intp],
    queries: AskedQueries[B],
    added: Iterable[B],
    *,
    depth: int,
) -> Entries:
    """The entries of known queries with those of added texts that score above the floor."""
    place = np.full(lists.floors.size, -1, dtype=np.int32)
    place[known] = np.arange(known.size, dtype=np.int32)
    best = RunningTopK(known.size, depth, floors=lists.floors[known])
    query_numbers, text_numbers, scores = lists.entries
    best.add(place[query_numbers], text_numbers, scores)
    if known.size:
        queries.add_best(best, added)
    places, text_numbers, scores = best.entries()
    query_numbers = known[places].astype(np.int32, copy=False)
    above = scores > lists.floors[query_numbers]
    return query_numbers[above], text_numbers[above], scores[above]


def _cut(lists: LegLists, lengths: NDArray[np.integer]) -> LegLists:
    """Lists of so many texts at most: what scores like the first that is left out goes too, and is the floor.

    Args:
        lists: Any.
        lengths: int (n_queries,).
    """
    query_numbers, text_numbers, scores = lists.entries
    order = np.lexsort((-scores, query_numbers))
    starts = np.searchsorted(query_numbers[order], np.arange(lists.floors.size))
    ends = np.append(starts[1:], order.size)
    crowded = np.flatnonzero(ends - starts > lengths)
    floors = lists.floors.copy()
    floors[crowded] = scores[order[starts[crowded] + lengths[crowded]]]
    above = scores > floors[query_numbers]
    return LegLists(floors, (query_numbers[above], text_numbers[above], scores[above]))


def _replaced(entries: Entries, queries: NDArray[np.int32], found: Entries) -> Entries:
    """The entries, those of some queries replaced by what was found for them, by their place among these queries."""
    query_numbers, text_numbers, scores = entries
    rest = ~np.isin(query_numbers, queries)
    return (
        np.concatenate([query_numbers[rest], queries[found[0]]]),
        np.concatenate([text_numbers[rest], found[1]]),
        np.concatenate([scores[rest], found[2]]),
    )
