"""Histories of a collection and its metadata: filtered lists that nights hand on give what brute force gives."""

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
from nightrank.tasks.dense.retrieve import DenseQueries
from nightrank.tasks.filters.queries import QueryFilters
from nightrank.tasks.kernels.top_documents import BYTES_HELD, Documents
from nightrank.tasks.legs import filtered as module
from nightrank.tasks.legs.carried import ListedQueries, lists_by_key, lists_by_number
from nightrank.tasks.legs.filtered import CarriedOver, update_filtered
from nightrank.tasks.legs.spread import SpreadQueries, SpreadVectors
from nightrank.tasks.legs.texts import Texts
from tests.support.legs_by_loop import chunks_by_query, cut_by_loop, documents_of
from tests.tasks.legs.test_lists import blocks, hashes_of, vector_of, whole_rankings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nightrank.tasks.dense.scan import Block
    from nightrank.tasks.legs.lists import LegNight

CONDITIONS = ("0", "01", "12", "3")  # which labels each lets through

Chunk = tuple[int, int]  # what it says, and the label that its document has
Query = tuple[int, str | None]


@dataclass
class Counted:
    """The vectors of texts, and of which texts they were asked for."""

    asked: set[str] = field(default_factory=set)

    def everything(self, texts: Texts, *, queries: int) -> Iterator[Block]:
        return self.some(texts, texts.hashes_by_number(), queries=queries)

    def some(self, texts: Texts, chunk_hashes: pa.Array, *, queries: int) -> Iterator[Block]:  # noqa: ARG002 (as asked)
        self.asked |= set(chunk_hashes.to_pylist())
        return blocks(texts, {int(value, 16) for value in chunk_hashes.to_pylist()})


@dataclass
class History:
    """What one night hands to the next, by keys as a release keeps it."""

    lists: list[pa.RecordBatch] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    allowed: AllowedChunks = field(default_factory=lambda: AllowedChunks(0, {}))

    def night(
        self,
        chunks: list[Chunk],
        asked: list[Query],
        vectors: Counted | SpreadVectors[Block],
        *,
        depth: int,
        slack: int,
        documents: Documents | None = None,
    ) -> LegNight:
        texts = Texts.of(hashes_of([text for text, _ in chunks]))
        before = {text for text, _ in self.chunks}
        added = hashes_of(sorted({text for text, _ in chunks} - before))
        conditions = [condition for _, condition in asked]
        masks = {condition: let_through(chunks, condition) for condition in conditions if condition is not None}
        was = {condition: let_through(self.chunks, condition) for condition in masks}
        asking: Any = DenseQueries(np.stack([vector_of(query) for query, _ in asked]))
        queries = ListedQueries.of(pa.array([f"{query} {condition}" for query, condition in asked]), asking.contents())
        met: Any = vectors  # with the same blocks, here or sent
        outcome = update_filtered(
            lists_by_number(self.lists, queries, texts),
            SpreadQueries(asking, met) if isinstance(vectors, SpreadVectors) else asking,
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
            documents=documents,
        )
        tables = list(lists_by_key(outcome.lists, queries, texts))
        self.lists = pa.concat_tables([LEG_LISTS.empty_table(), *tables]).combine_chunks().to_batches()
        self.chunks = chunks
        return outcome


def let_through(chunks: list[Chunk], condition: str) -> NDArray[np.bool_]:
    return np.array([str(label) in condition for _, label in chunks], dtype=np.bool_)


def brute_force(
    chunks: list[Chunk], query: Query, *, depth: int, documents: Documents | None = None
) -> list[tuple[int, float]]:
    """(chunk number, score) of the whole ranking, filtered, then cut."""
    number, condition = query
    allowed = [chunk for chunk, (_, label) in enumerate(chunks) if condition is None or str(label) in condition]
    said = [chunks[chunk][0] for chunk in allowed]
    whole = whole_rankings(np.stack([vector_of(number)]), np.array(allowed, dtype=np.int32), said)
    return [(chunk, score) for _, chunk, score, _ in cut_by_loop(whole, documents, depth=depth)]


@pytest.mark.long
@given(
    nights=st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(0, 14), st.integers(0, 3)), max_size=24),
            st.lists(
                st.tuples(st.integers(100, 103), st.sampled_from([None, *CONDITIONS])),
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
    chunks_a_document=st.none() | st.integers(1, 2),
    queries_at_once=st.integers(1, 7),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=300, deadline=None)
def test_any_history_gives_each_query_the_whole_ranking_filtered_and_cut(
    nights: list[tuple[list[Chunk], list[Query]]],
    depth: int,
    slack: int,
    chunks_a_document: int | None,
    queries_at_once: int,
    seed: int,
) -> None:
    history, generator = History(), np.random.default_rng(seed)
    for chunks, asked in nights:
        documents = None
        if chunks_a_document is not None:
            documents = Documents(documents_of(len(chunks), generator), chunks_a_document)
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(module, "_bytes_each", lambda *_: BYTES_HELD // queries_at_once)
            night = history.night(chunks, asked, Counted(), depth=depth, slack=slack, documents=documents)
        expected = [brute_force(chunks, query, depth=depth, documents=documents) for query in asked]
        assert chunks_by_query(night.leg, len(asked)) == expected


def test_a_document_that_a_filter_comes_to_let_through_joins_its_list_without_a_scan() -> None:
    history = History()
    asked: list[Query] = [(100, "0"), (101, None), (101, "12")]
    chunks = [(text, text % 3) for text in range(9)]
    assert history.night(chunks, asked, Counted(), depth=2, slack=3).scanned == 3
    vectors = Counted()
    relabelled = [(text, 0 if text == 4 else label) for text, label in chunks]

    night = history.night(relabelled, asked, vectors, depth=2, slack=3)

    assert night.scanned == 0
    assert vectors.asked == {hashes_of([4])[0].as_py()}  # what is new to the filter "0", and nothing else
    assert chunks_by_query(night.leg, 3) == [brute_force(relabelled, query, depth=2) for query in asked]


def test_a_list_is_made_anew_where_nothing_is_known_of_what_its_filter_let_through() -> None:
    history = History()
    chunks = [(text, 0) for text in range(9)]
    history.night(chunks, [(100, "0")], Counted(), depth=2, slack=3)
    asking = DenseQueries(np.stack([vector_of(100)]))
    queries = ListedQueries.of(pa.array(["100 0"]), asking.contents())
    texts = Texts.of(hashes_of([*range(9)]))
    outcome = update_filtered(
        lists_by_number(history.lists, queries, texts),
        asking,
        texts=texts,
        filters=QueryFilters(["0"], AllowedChunks.of({"0": let_through(chunks, "0")}, chunk_count=9)),
        vectors=Counted(),
        carried_over=CarriedOver.nothing(),
        depth=2,
        slack=3,
    )
    assert outcome.scanned == 1
    assert chunks_by_query(outcome.leg, 1) == [brute_force(chunks, (100, "0"), depth=2)]


def test_ties_fall_to_the_first_chunk_that_the_filter_lets_through() -> None:
    indifferent = next(query for query in range(1000) if not vector_of(query).any())
    chunks = [(0, 3), (1, 3), (2, 3), (2, 0), (1, 0), (0, 0)]
    night = History().night(chunks, [(indifferent, "0")], Counted(), depth=1, slack=0)
    assert chunks_by_query(night.leg, 1) == [[(3, 0.0)]]
