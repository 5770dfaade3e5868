"""Queries by their filters: those with the same one meet the same part of the collection, and do so together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.filters.allowed import AllowedChunks, read_allowed_chunks
from nightrank.storage.filters.queries import conditions_of
from nightrank.storage.records import LEG
from nightrank.tasks.filters.compile import compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.storage.release.files import AllowedSets


@dataclass(frozen=True, slots=True)
class QueryFilters:
    """The filters of some queries over one collection.

    Attributes:
        conditions: The canonical text of each query's filter, (n_queries,); None without one.
        allowed: What each filter lets through.
    """

    conditions: Sequence[str | None]
    allowed: AllowedChunks

    @classmethod
    def of_file(cls, queries: pa.Table, allowed: AllowedSets) -> Self:
        """The filters of some queries, schema QUERIES, whose sets of chunks were written before."""
        return cls(conditions_of(queries), read_allowed_chunks(allowed.path))

    @classmethod
    def of_release(cls, queries: pa.Table, store: Bm25Store) -> Self:
        """The filters of queries that a release answers, schema QUERIES, over its chunks."""
        conditions = conditions_of(queries)
        return cls(conditions, compiled(distinct_conditions(conditions), store))

    def __len__(self) -> int:
        return len(self.conditions)

    def by_query(self, number: int) -> NDArray[np.bool_] | None:
        """The chunks that a query's filter lets through, bool (n_chunks,); None without one."""
        condition = self.conditions[number]
        return None if condition is None else self.allowed.by(condition)

    def groups(self) -> list[tuple[str | None, NDArray[np.int64]]]:
        """Each distinct filter with its queries, int64 (n,), ascending; the queries without one come first."""
        numbers: dict[str | None, list[int]] = {}
        for number, condition in enumerate(self.conditions):
            numbers.setdefault(condition, []).append(number)
        order = sorted(numbers, key=lambda condition: condition or "")
        return [(condition, np.array(numbers[condition], dtype=np.int64)) for condition in order]

    def letting_nothing_through(self, query_keys: pa.ChunkedArray) -> frozenset[str]:
        """The keys, of string (n_queries,), of queries that no chunk could answer."""
        empty = {condition for condition, bits in self.allowed.packed.items() if not any(bits)}
        keys = zip(query_keys.to_pylist(), self.conditions, strict=True)
        return frozenset(key for key, condition in keys if condition in empty)

    def outside(self, query_keys: pa.ChunkedArray, candidates: pa.Table) -> NDArray[np.int64]:
        """The rows of candidates that their query's filter does not let through, int64 (n,), ascending.

        Args:
            query_keys: string (n_queries,).
            candidates: ``query_key`` and ``chunk_number``.
        """
        places = pc.index_in(candidates.column("query_key"), value_set=query_keys.combine_chunks())
        numbers = pc.fill_null(places, -1).to_numpy()
        chunks = candidates.column("chunk_number").to_numpy()
        found = [np.zeros(0, dtype=np.int64)]
        groups = self.groups()
        group_of = np.full(len(self) + 1, -1, dtype=np.int64)  # the last place is that of queries that are not these
        for group, (_, queries) in enumerate(groups):
            group_of[queries] = group
        of_row = group_of[numbers]
        by_group = np.argsort(of_row, kind="stable")
        bounds = np.searchsorted(of_row[by_group], np.arange(len(groups) + 1))
        for group, (condition, _) in enumerate(groups):
            if condition is not None:
                rows = by_group[bounds[group] : bounds[group + 1]]
                found.append(rows[~self.allowed.by(condition)[chunks[rows]]])
        return np.sort(np.concatenate(found))

    def leg(self, make: Callable[[NDArray[np.int64], NDArray[np.bool_] | None], pa.Table]) -> pa.Table:
        """A leg of all queries, made filter by filter.

        Args:
            make: Gives the leg, schema LEG, of some queries by their numbers, int64 (n,), over the chunks that a filter
                lets through, bool (n_chunks,), or over all.
        """
        if not any(self.conditions):
            return make(np.arange(len(self), dtype=np.int64), None)
        return joined_legs(
            (numbers, make(numbers, None if condition is None else self.allowed.by(condition)))
            for condition, numbers in self.groups()
        )


def joined_legs(legs: Iterable[tuple[NDArray[np.int64], pa.Table]]) -> pa.Table:
    """Legs of distinct queries as one, schema LEG, by query number, then rank.

    Args:
        legs: Numbers of the queries, int64 (n,), and their leg, in which they go by their places among these.
    """
    parts = [
        leg.set_column(0, LEG.field(0), pa.array(numbers.astype(np.int32)[leg.column("query_number").to_numpy()]))
        for numbers, leg in legs
    ]
    joined = pa.concat_tables([LEG.empty_table(), *parts])
    return joined.take(pa.array(np.argsort(joined.column("query_number").to_numpy(), kind="stable")))


def distinct_conditions(conditions: Iterable[str | None]) -> list[str]:
    """The filters among those of some queries, each once, in order of their canonical texts."""
    return sorted({condition for condition in conditions if condition is not None})
