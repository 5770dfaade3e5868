"""A leg from night to night where queries have filters: each filter's part of the collection by itself.

A list holds the best texts that the query's filter lets through, and above its floor every one of them. So a filter
makes a smaller collection, which changes from night to night as a collection does: texts join it where documents come
or other metadata lets them in, and leave it likewise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

import numpy as np
import pyarrow as pa

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.filters.allowed import AllowedChunks, read_allowed_chunks
from nightrank.storage.release.chunks import texts_added
from nightrank.tasks.filters.queries import joined_legs
from nightrank.tasks.kernels.top_documents import RunningTopDocuments, in_parts
from nightrank.tasks.legs.lists import SLACK, LegLists, LegNight, longest_list, update_lists

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from nightrank.storage.release.files import AllowedSets, Chunks, Statistics
    from nightrank.tasks.filters.queries import QueryFilters
    from nightrank.tasks.kernels.top_documents import Documents
    from nightrank.tasks.legs.lists import AskedQueries
    from nightrank.tasks.legs.texts import Texts


B = TypeVar("B")
D = TypeVar("D", covariant=True)  # noqa: PLC0105 (a block of texts, as the leg has them)


class Vectors(Protocol[D]):
    """Where the vectors of texts are."""

    def everything(self, texts: Texts, *, queries: int) -> Iterable[D]:
        """Those of a whole collection, in blocks whose scores with so many queries fit into memory."""
        ...

    def some(self, texts: Texts, chunk_hashes: pa.Array, *, queries: int) -> Iterable[D]:
        """Those of some of its texts, string (n,), in such blocks."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class CarriedOver:
    """What lists of an earlier night were made from.

    Attributes:
        added: The texts that are new to the collection since, string (n,).
        chunk_hashes: string (n_chunks,), of the collection then, by chunk number; empty where no filter asks for them.
        allowed: What each filter let through then.
    """

    added: pa.Array
    chunk_hashes: pa.ChunkedArray
    allowed: AllowedChunks

    @classmethod
    def nothing(cls) -> Self:
        """Where no lists are handed on."""
        return cls(pa.array([], pa.string()), pa.chunked_array([], pa.string()), AllowedChunks(0, {}))

    @classmethod
    def since(cls, chunks: Chunks, before: Statistics, allowed_before: AllowedSets) -> Self:
        """What queries of a new collection need to know of the one before.

        Args:
            chunks: Of the new one.
            before: The chunks of the one before.
            allowed_before: What each filter let through then.
        """
        allowed = read_allowed_chunks(allowed_before.path)
        hashes = pa.chunked_array([], pa.string())
        with Bm25Store.open(before.path) as store:
            added = texts_added(chunks.path, store.chunk_reader(["chunk_hash"]))
            if allowed.packed:
                hashes = store.chunks(["chunk_hash"]).column(0)
        return cls(added, hashes, allowed)


def update_filtered(
    lists: LegLists,
    queries: AskedQueries[B],
    *,
    texts: Texts,
    filters: QueryFilters,
    vectors: Vectors[B],
    carried_over: CarriedOver,
    depth: int,
    slack: int = SLACK,
    documents: Documents | None = None,
) -> LegNight:
    """The leg of tonight's collection, and tonight's lists: ``update_lists``, filter by filter.

    Args:
        lists: Of tonight's queries, as an earlier night left them; what is no longer a text has been struck.
        queries: Tonight's.
        texts: Tonight's.
        filters: Of the queries.
        vectors: Of texts.
        carried_over: What the lists were made from.
        depth: Results a query: documents where these count, else chunks.
        slack: Texts that a list holds beyond those that the leg needs, so that it outlives some removals.
        documents: Behind the chunks, where documents count.
    """
    seen = texts.numbers_of(carried_over.chunk_hashes)
    bytes_each = _bytes_each(longest_list(texts, depth=depth, slack=slack, documents=documents), depth, documents)
    pieces = [
        (condition, numbers[piece])
        for condition, numbers in filters.groups()
        for piece in in_parts(numbers.size, bytes_each=bytes_each)
    ]
    lists = _by_query(lists) if len(pieces) > 1 or any(filters.conditions) else lists
    floors = lists.floors.copy()
    entries, legs, scanned = [], [], 0
    for condition, numbers in pieces:
        part = _Part.whole(texts, carried_over.added)
        if condition is not None:
            was_there = seen[carried_over.allowed.by(condition)] if condition in carried_over.allowed.packed else None
            part = _Part.let_through(texts, filters.allowed.by(condition), was_there)
        outcome = update_lists(
            part.lists(lists, numbers),
            queries.only(numbers),
            part.texts,
            added=vectors.some(part.texts, part.added, queries=numbers.size),
            everything=partial(part.everything, vectors),
            depth=depth,
            slack=slack,
            documents=documents,
        )
        if condition is None and numbers.size == len(filters):
            return outcome
        query_numbers, text_numbers, scores = outcome.lists.entries
        floors[numbers] = outcome.lists.floors
        entries.append((numbers.astype(np.int32)[query_numbers], part.numbers_here(text_numbers), scores))
        legs.append((numbers, outcome.leg))
        scanned += outcome.scanned
    query_numbers, text_numbers, scores = (np.concatenate(column) for column in zip(*entries, strict=True))
    return LegNight(LegLists(floors, (query_numbers, text_numbers, scores)), joined_legs(legs), scanned)


def _bytes_each(longest: int, depth: int, documents: Documents | None) -> int:
    """What a query takes in memory while its list is brought up to date."""
    of_documents = 0 if documents is None else RunningTopDocuments.bytes_each(depth, documents)
    return 40 * (longest + 1) + of_documents


def _by_query(lists: LegLists) -> LegLists:
    """The lists with their entries by query, so that those of a filter's queries are found without a search."""
    query_numbers, text_numbers, scores = lists.entries
    order = np.argsort(query_numbers, kind="stable")
    return LegLists(lists.floors, (query_numbers[order], text_numbers[order], scores[order]))


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What some queries meet of a collection.

    Attributes:
        texts: The part, as a collection of its own.
        origin: int32 (n_texts,), the number of each of its texts in the whole; None where it is the whole.
        places: int32 (n,), the other way round: -1 for texts that are no part; None where it is the whole.
        added: The texts that its lists have not met, string (n,).
        is_known: Whether anything is known of what its lists were made from.
    """

    texts: Texts
    origin: NDArray[np.int32] | None
    places: NDArray[np.int32] | None
    added: pa.Array
    is_known: bool

    @classmethod
    def whole(cls, texts: Texts, added: pa.Array) -> Self:
        """All of a collection, in which some texts are new."""
        return cls(texts, None, None, added, is_known=True)

    @classmethod
    def let_through(cls, texts: Texts, allowed: NDArray[np.bool_], was_there: NDArray[np.int32] | None) -> Self:
        """The chunks bool (n_chunks,) that a filter lets through.

        Args:
            texts: The whole.
            allowed: Tonight.
            was_there: int32 (n,), numbers of texts that the lists have met, -1 for those that are gone; None where
                nothing is known of the lists.
        """
        part, origin = texts.only(allowed)
        places = np.full(len(texts), -1, dtype=np.int32)
        places[origin] = np.arange(origin.size, dtype=np.int32)
        if was_there is None:
            return cls(part, origin, places, pa.array([], pa.string()), is_known=False)
        met = np.zeros(len(texts) + 1, dtype=np.bool_)
        met[was_there] = True  # those that are gone in the last place
        return cls(part, origin, places, part.hashes_by_number().filter(pa.array(~met[origin])), is_known=True)

    def lists(self, lists: LegLists, numbers: NDArray[np.int64]) -> LegLists:
        """The lists, with entries by query, of some queries, int64 (n,), over this part: what is no part is struck."""
        if not self.is_known:
            return LegLists.unknown(numbers.size)
        if self.places is None and numbers.size == lists.floors.size:
            return lists
        query_numbers, text_numbers, scores = lists.entries
        starts, ends = (np.searchsorted(query_numbers, numbers, side=side) for side in ("left", "right"))
        rows = np.repeat(starts - np.cumsum(ends - starts) + ends - starts, ends - starts)
        rows += np.arange(rows.size)
        own_queries = np.repeat(np.arange(numbers.size, dtype=np.int32), ends - starts)
        own_texts = text_numbers[rows] if self.places is None else self.places[text_numbers[rows]]
        kept = own_texts >= 0
        return LegLists(lists.floors[numbers], (own_queries[kept], own_texts[kept], scores[rows][kept]))

    def everything(self, vectors: Vectors[B], queries: int) -> Iterable[B]:
        """The vectors of this part, for a scan by so many queries."""
        if self.origin is None:
            return vectors.everything(self.texts, queries=queries)
        return vectors.some(self.texts, self.texts.hashes_by_number(), queries=queries)

    def numbers_here(self, text_numbers: NDArray[np.int32]) -> NDArray[np.int32]:
        """Numbers of this part's texts, int32 (n,), as those of the whole."""
        return text_numbers if self.origin is None else self.origin[text_numbers]
