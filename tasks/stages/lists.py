"""What the legs over stored vectors do alike: distinct queries to a model, and lists from the night before to tonight.

It is no stage of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.filters.queries import by_text
from nightrank.storage.release.leg_lists import read_leg_lists, write_leg_lists
from nightrank.tasks.legs.carried import ListedQueries, lists_by_key, lists_by_number
from nightrank.tasks.legs.filtered import CarriedOver, update_filtered
from nightrank.tasks.legs.lists import LegLists
from nightrank.tasks.legs.ranges import Ranges
from nightrank.tasks.legs.spread import SpreadQueries, SpreadVectors
from nightrank.tasks.legs.texts import Texts
from nightrank.tasks.models.files import resolve_device
from nightrank.tasks.rank.documents import document_numbers, documents_behind

if TYPE_CHECKING:
    from nightrank.storage.release.files import TableReference
    from nightrank.tasks.legs.lists import LegNight
    from nightrank.tasks.legs.spread import PlacedVectors, SentQueries
    from nightrank.tasks.night import Night
    from nightrank.tasks.stages.filter import FilteredQueries
    from nightrank.tasks.stages.index import Index
    from nightrank.tasks.workers.cut import Sharding

B = TypeVar("B")


def distinct_texts(queries: pa.Table) -> pa.Table:
    """The queries by the keys of their texts, each where it comes first: what a model is asked, and a memo knows.

    Args:
        queries: ``query_key``, ``text`` and ``filter``.
    """
    named = by_text(queries, queries)
    codes = named.column("query_key").combine_chunks().dictionary_encode().indices.to_numpy()
    _, first = np.unique(codes, return_index=True)
    return named if first.size == named.num_rows else named.take(pa.array(np.sort(first)))


def ranges_of(night: Night, sharding: Sharding | None) -> Ranges | None:
    """How workers scan what is much in a stage; None where this process scans all.

    Args:
        night: The run.
        sharding: How it cuts its work.
    """
    if sharding is None:
        return None
    return Ranges(sharding, resolve_device(night.settings.execution.device), night.shards)


def leg_over_vectors(
    night: Night,
    asked: FilteredQueries,
    index: Index,
    *,
    queries: SentQueries[B],
    vectors: PlacedVectors[B],
    lists: TableReference,
    before: TableReference | None,
    ranges: Ranges | None,
) -> LegNight:
    """A leg of every query, and its lists written for the next night.

    Args:
        night: The run.
        asked: The queries.
        index: What they meet.
        queries: The same as the leg has them, in their order.
        vectors: Of texts.
        lists: Where tonight's lists go.
        before: Those of the night before; None where there are none of the same model.
        ranges: How workers scan what is much; None where this process scans all.
    """
    with Bm25Store.open(index.statistics.path) as store:
        texts = Texts.of(store.chunks(["chunk_hash"]).column(0))
        documents = documents_behind(document_numbers(store), night.settings)
    rows = asked.queries.read(["query_key", "filter"])
    listed = ListedQueries.of(rows.column("query_key").combine_chunks(), queries.contents())
    known, carried_over = LegLists.unknown(len(listed)), CarriedOver.nothing()
    if before is not None:
        assert night.before is not None  # it is one of its files
        known = lists_by_number(read_leg_lists(before.path), listed, texts)
        carried_over = CarriedOver.since(index.chunks, night.before.files.statistics, asked.allowed_before)
    spread = SpreadVectors(vectors, ranges)
    asking = SpreadQueries(queries, spread)
    outcome = update_filtered(
        known,
        asking,
        texts=texts,
        filters=asked.filters(rows),
        vectors=spread,
        carried_over=carried_over,
        depth=night.settings.retrieval.candidate_depth,
        documents=documents,
    )
    write_leg_lists(lists.path, lists_by_key(outcome.lists, listed, texts))
    return outcome
