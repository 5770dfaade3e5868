"""Histories of a collection: the lists of the sparse leg that nights hand on give what brute force gives, filtered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightrank.storage.filters.allowed import AllowedChunks
from nightrank.storage.release.leg_lists import LEG_LISTS
from nightrank.tasks.filters.queries import QueryFilters
from nightrank.tasks.legs.carried import ListedQueries, lists_by_key, lists_by_number
from nightrank.tasks.legs.filtered import CarriedOver, update_filtered
from nightrank.tasks.legs.spread import SpreadQueries, SpreadVectors
from nightrank.tasks.legs.texts import Texts
from nightrank.tasks.sparse.retrieve import SparseQueries
from tests.support.legs_by_loop import chunks_by_query
from tests.tasks.sparse.test_retrieve import hashes_of, random_rows, score, vectors_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nightrank.tasks.legs.lists import LegNight
    from nightrank.tasks.sparse.retrieve import SparseBlock
    from tests.tasks.sparse.test_retrieve import Row

CONDITIONS = ("0", "01", "12", "3")  # which labels each lets through

Chunk = tuple[int, int]  # what it says, and the label that its document has
Query = tuple[int, str | None]


def row_of(number: int) -> Row:
    """Few tokens and whole weights: many texts tie, and many share nothing with a query."""
    return random_rows(np.random.default_rng(number), 1, vocabulary=14, whole=True)[0]


@dataclass
class Stored:
    """The vectors of texts, and of which texts they were asked for."""

    asked: set[str] = field(default_factory=set)

    def everything(self, texts: Texts, *, queries: int) -> Iterator[SparseBlock]:
        return self.some(texts, texts.hashes_by_number(), queries=queries)

    def some(self, texts: Texts, chunk_hashes: pa.Array, *, queries: int) -> Iterator[SparseBlock]:  # noqa: ARG002 (as asked)
        hashes = chunk_hashes.to_pylist()
        self.asked |= set(hashes)
        for first in range(0, len(hashes), 2):
            part = hashes[::-1][first : first + 2]
            yield texts.numbers_of(pa.array(part)), vectors_of([row_of(int(value, 16)) for value in part])


@dataclass
class History:
    """What one night hands to the next, by keys as a release keeps it."""

    lists: list[pa.RecordBatch] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)

    def night(
        self,
        chunks: list[Chunk],
        asked: list[Query],
        stored: Stored | SpreadVectors[SparseBlock],
        *,
        depth: int,
        slack: int,
    ) -> LegNight:
        texts = Texts.of(hashes_of([text for text, _ in chunks]))
        added = hashes_of(sorted({text for text, _ in chunks} - {text for text, _ in self.chunks}))
        conditions = [condition for _, condition in asked]
        masks = {condition: let_through(chunks, condition) for condition in conditions if condition is not None}
        was = {condition: let_through(self.chunks, condition) for condition in masks}
        queries = SparseQueries(vectors_of([row_of(query) for query, _ in asked]))
        listed = ListedQueries.of(pa.array([f"{query} {condition}" for query, condition in asked]), queries.contents())
        asking: Any = queries  # what it meets has the same blocks, here or sent
        met: Any = stored
        outcome = update_filtered(
            lists_by_number(self.lists, listed, texts),
            SpreadQueries(asking, met) if isinstance(stored, SpreadVectors) else asking,
            texts=texts,
            filters=QueryFilters(conditions, AllowedChunks.of(masks, chunk_count=len(chunks))),
            vectors=met,
            carried_over=CarriedOver(
                added,
                pa.chunked_array([hashes_of([text for text, _ in self.chunks])]),
                AllowedChunks.of(was, chunk_count=len(self.chunks)),
            ),
            depth=depth,
            slack=slack,
        )
        tables = list(lists_by_key(outcome.lists, listed, texts))
        self.lists = pa.concat_tables([LEG_LISTS.empty_table(), *tables]).combine_chunks().to_batches()
        self.chunks = chunks
        return outcome


def let_through(chunks: list[Chunk], condition: str) -> NDArray[np.bool_]:
    return np.array([str(label) in condition for _, label in chunks], dtype=np.bool_)


def brute_force(chunks: list[Chunk], query: Query, *, depth: int) -> list[tuple[int, float]]:
    """(chunk number, score) of the whole ranking, filtered, then cut; chunks that share nothing are none of it."""
    number, condition = query
    scored = [(chunk, score(row_of(number), row_of(text))) for chunk, (text, _) in enumerate(chunks)]
    found = [(chunk, own) for chunk, own in scored if own is not None]
    ranked = sorted(found, key=lambda entry: (-entry[1], entry[0]))
    return [entry for entry in ranked if condition is None or str(chunks[entry[0]][1]) in condition][:depth]


@pytest.mark.long
@given(
    nights=st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3)), max_size=24),
            st.lists(
                st.tuples(st.integers(100, 104), st.sampled_from([None, *CONDITIONS])),
                min_size=1,
                max_size=6,
                unique=True,
            ),
        ),
        min_size=2,
        max_size=5,
    ),
    depth=st.integers(1, 5),
    slack=st.integers(0, 3),
)
@settings(max_examples=300, deadline=None)
def test_any_history_gives_each_query_the_whole_ranking_filtered_and_cut(
    nights: list[tuple[list[Chunk], list[Query]]], depth: int, slack: int
) -> None:
    history = History()
    for chunks, asked in nights:
        night = history.night(chunks, asked, Stored(), depth=depth, slack=slack)
        assert chunks_by_query(night.leg, len(asked)) == [brute_force(chunks, query, depth=depth) for query in asked]


def test_a_list_of_all_that_share_a_token_is_complete_however_short() -> None:
    history, query = History(), next(number for number in range(100, 200) if len(row_of(number)) == 1)
    chunks = [(text, 0) for text in range(40)]
    found = brute_force(chunks, (query, None), depth=40)
    assert 0 < len(found) < 30  # texts that share nothing are there, too
    assert history.night(chunks, [(query, None)], Stored(), depth=40, slack=5).scanned == 1
    stored = Stored()
    more = [*chunks[2:], (50, 0), (51, 0)]
    night = history.night(more, [(query, None)], stored, depth=40, slack=5)
    assert night.scanned == 0
    assert stored.asked == set(hashes_of([50, 51]).to_pylist())  # what is new, and nothing else
    assert chunks_by_query(night.leg, 1) == [brute_force(more, (query, None), depth=40)]


def test_a_query_that_shares_a_token_with_no_text_is_not_scanned_for_again() -> None:
    history, query = History(), next(number for number in range(100, 999) if not row_of(number))
    chunks = [(text, 0) for text in range(9)]
    assert history.night(chunks, [(query, None)], Stored(), depth=2, slack=1).scanned == 1
    night = history.night([*chunks, (10, 0)], [(query, None)], Stored(), depth=2, slack=1)
    assert (night.scanned, night.leg.num_rows) == (0, 0)
