"""Lists of a leg on their way from night to night: by keys on disk, by tonight's numbers in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.keys import digest_of_bytes
from nightrank.storage.release.leg_lists import LEG_LISTS
from nightrank.tasks.legs.lists import LegLists
from nightrank.tasks.legs.texts import leg_of, results_found

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from nightrank.tasks.kernels.top_documents import Documents
    from nightrank.tasks.legs.texts import Texts

QUERIES_HELD = 4096  # whose lists are Arrow arrays at one time


@dataclass(frozen=True, slots=True, eq=False)
class ListedQueries:
    """Tonight's queries.

    Attributes:
        keys: string (n_queries,), by query number.
        vector_keys: string (n_queries,), digests of their vectors. A query that was embedded again since is another
            one to its list: by the last digit of a score.
    """

    keys: pa.Array
    vector_keys: pa.Array

    @classmethod
    def of(cls, keys: pa.Array, contents: Iterable[bytes]) -> Self:
        """The queries by their keys and what their vectors are, (n_queries,) each."""
        return cls(keys, pa.array([digest_of_bytes(content) for content in contents], pa.string()))

    def __len__(self) -> int:
        return len(self.keys)


def lists_by_number(batches: Iterable[pa.RecordBatch], queries: ListedQueries, texts: Texts) -> LegLists:
    """Lists of an earlier night for tonight's queries, what is no longer a text struck.

    Args:
        batches: Schema LEG_LISTS.
        queries: Tonight's; nothing is known of those without a list, or with another vector.
        texts: Tonight's.
    """
    lists = LegLists.unknown(len(queries))
    floors, parts = lists.floors, [lists.entries]
    for batch in batches:
        places = pc.index_in(batch.column("query_key"), value_set=queries.keys)
        same = pc.equal(queries.vector_keys.take(places), batch.column("vector_key"))
        asked = pc.fill_null(same, False).to_numpy(zero_copy_only=False)
        numbers = np.where(asked, pc.fill_null(places, 0).to_numpy(zero_copy_only=False), -1).astype(np.int32)
        floors[numbers[asked]] = batch.column("floor").to_numpy()[asked]
        query_numbers = np.repeat(numbers, pc.list_value_length(batch.column("scores")).to_numpy())
        text_numbers = texts.numbers_of(batch.column("chunk_hashes").flatten())
        kept = (query_numbers >= 0) & (text_numbers >= 0)
        scores = batch.column("scores").flatten().to_numpy()
        parts.append((query_numbers[kept], text_numbers[kept], scores[kept]))
    query_numbers, text_numbers, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    return LegLists(floors, (query_numbers, text_numbers, scores))


def leg_from_lists(
    batches: Iterable[pa.RecordBatch],
    query_keys: pa.Array,
    texts: Texts,
    *,
    depth: int,
    documents: Documents | None = None,
) -> tuple[pa.Table, NDArray[np.bool_]]:
    """The leg of some queries as a release's own lists tell it, whatever vectors gave the scores.

    Args:
        batches: Schema LEG_LISTS.
        query_keys: string (n,).
        texts: The release's.
        depth: Results a query: documents where these count, else chunks.
        documents: Behind the chunks, where documents count.

    Returns:
        A table of schema LEG, and bool (n,): of which queries the lists reach so deep. The leg is of these alone.
    """
    stored = [batch.filter(pc.is_in(batch.column("query_key"), value_set=query_keys)) for batch in batches]
    listed = pa.Table.from_batches(stored, schema=LEG_LISTS)
    places = pc.index_in(query_keys, value_set=listed.column("query_key").combine_chunks())
    queries = ListedQueries(query_keys, listed.column("vector_key").combine_chunks().take(places))
    lists = lists_by_number(stored, queries, texts)
    leg = leg_of(lists.entries, texts, depth=depth, documents=documents)
    found = results_found(leg, queries=len(query_keys), documents=documents)
    answered = (found >= depth) | (lists.floors == -np.inf)
    return leg.filter(pa.array(answered[leg.column("query_number").to_numpy()])), answered


def lists_by_key(lists: LegLists, queries: ListedQueries, texts: Texts) -> Iterator[pa.Table]:
    """Lists as a release keeps them: tables of schema LEG_LISTS, each list by score descending."""
    query_numbers, text_numbers, scores = lists.entries
    order = np.lexsort((text_numbers, -scores, query_numbers))
    starts = np.searchsorted(query_numbers[order], np.arange(len(queries) + 1)).astype(np.int32)
    hashes = texts.hashes_by_number()
    for first in range(0, len(queries), QUERIES_HELD):
        end = min(first + QUERIES_HELD, len(queries))
        held = order[starts[first] : starts[end]]
        offsets = pa.array(starts[first : end + 1] - starts[first])
        columns = [
            queries.keys.slice(first, end - first),
            queries.vector_keys.slice(first, end - first),
            pa.array(lists.floors[first:end]),
            pa.ListArray.from_arrays(offsets, hashes.take(pa.array(text_numbers[held]))),
            pa.ListArray.from_arrays(offsets, pa.array(scores[held])),
        ]
        yield pa.Table.from_arrays(columns, schema=LEG_LISTS)
