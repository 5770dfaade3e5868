"""A leg from night to night: lists of each query's best texts, brought up to date instead of made anew.

A list holds the best ``depth + slack`` texts of a query and a *floor*: every text of the collection that scores above
it is in the list. What left the collection is struck, what came is scored against all known queries, and whatever
scores above the floor joins. A list that fell short of ``depth`` chunks, and that of a query not seen before, is made
by a scan of the whole collection. Scores depend on their two vectors alone (``tasks.dense.retrieve``,
``tasks.sparse.retrieve``), so the outcome is, by construction, what a scan of everything gives. A leg may have no score
for a text, which is then no result: a list of all that have one is complete, however short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

import numpy as np

from nightrank.tasks.kernels.top_k import RunningTopK
from nightrank.tasks.legs.texts import leg_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from nightrank.tasks.kernels.top_k import Entries
    from nightrank.tasks.legs.texts import Texts

B = TypeVar("B")
C = TypeVar("C", contravariant=True)  # noqa: PLC0105 (a block of texts, as the leg has them)

SLACK = 50  # texts that a night's list holds beyond the candidates: removals that it outlives


class AskedQueries(Protocol[C]):
    """Queries as a leg has them, and how they meet blocks of texts."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def only(self, numbers: NDArray[np.integer], /) -> Self:
        """Some of them, int (n,), in this order."""
        ...

    def add_best(self, best: RunningTopK, blocks: Iterable[C], /) -> None:
        """Add the scores of every query against every text of the blocks that may be among its best.

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
) -> LegNight:
    """The leg of tonight's collection, and tonight's lists.

    Args:
        lists: Of tonight's queries, as an earlier night left them; what is no longer a text has been struck.
        queries: Tonight's.
        texts: Tonight's.
        added: The texts that the lists have not met, in any order.
        everything: All of tonight's texts, for a scan by so many queries.
        depth: Chunks of the leg.
        slack: Texts that a list holds beyond ``depth``, so that it outlives some removals.
    """
    known = np.flatnonzero(lists.floors < np.inf)
    kept = _merged(lists, known, queries.only(known), added, depth=depth + slack + 1)
    chunks_found = np.bincount(kept[0], weights=texts.copies[kept[1]], minlength=lists.floors.size)
    short = np.flatnonzero((chunks_found < depth) & (lists.floors > -np.inf))
    floors = lists.floors.copy()
    if short.size:
        scan = RunningTopK(short.size, depth + slack + 1)
        queries.only(short).add_best(scan, everything(short.size))
        kept = _replaced(kept, short.astype(np.int32), scan.entries())
        floors[short] = -np.inf
    leg = leg_of(kept, texts, depth=depth)
    return LegNight(_cut(kept, floors, depth=depth + slack), leg, scanned=int(short.size))


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


def _cut(entries: Entries, floors: NDArray[np.float32], *, depth: int) -> LegLists:
    """Lists of ``depth`` texts at most: what scores like the first that is left out goes too, and is the floor."""
    query_numbers, text_numbers, scores = entries
    order = np.lexsort((-scores, query_numbers))
    starts = np.searchsorted(query_numbers[order], np.arange(floors.size))
    ends = np.append(starts[1:], order.size)
    crowded = np.flatnonzero(ends - starts > depth)
    floors = floors.copy()
    floors[crowded] = scores[order[starts[crowded] + depth]]
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
