"""Histories of a collection: the lists that nights hand on give what a scan of everything gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightrank.storage.records import LEG
from nightrank.tasks.dense import retrieve
from nightrank.tasks.dense.retrieve import DenseQueries, retrieve_dense
from nightrank.tasks.kernels.top_documents import Documents
from nightrank.tasks.legs import lists as module
from nightrank.tasks.legs.lists import LegLists, LegNight, longest_list, update_lists
from nightrank.tasks.legs.texts import Texts, as_bytes
from tests.support.legs_by_loop import cut_by_loop, documents_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nightrank.tasks.dense.scan import Block

DIM = 2


def hash_of(text: int) -> str:
    return f"{text:032x}"


def hashes_of(chunks: list[int]) -> pa.Array:
    return pa.array([hash_of(text) for text in chunks], pa.string())


def vector_of(text: int) -> NDArray[np.float32]:
    """Small whole numbers: many texts tie, and some are the same vector."""
    return np.random.default_rng(text).integers(-1, 2, DIM).astype(np.float32)


def blocks(texts: Texts, chosen: set[int]) -> Iterator[Block]:
    """Vectors of some texts, two at a time, backwards."""
    ordered = sorted(chosen, reverse=True)
    for first in range(0, len(ordered), 2):
        part = ordered[first : first + 2]
        yield texts.numbers_of(hashes_of(part)), np.stack([vector_of(text) for text in part])


@dataclass
class CarriedOver:
    """What one night hands to the next: lists by query, and the texts that they have met."""

    lists: dict[int, tuple[float, list[tuple[int, float]]]] = field(default_factory=dict)
    met: set[int] = field(default_factory=set)

    def read(self, queries: list[int], texts: Texts) -> LegLists:
        floors, rows = [], []
        for number, query in enumerate(queries):
            floor, entries = self.lists.get(query, (np.inf, []))
            floors.append(floor)
            places = texts.numbers_of(hashes_of([text for text, _ in entries])).tolist()
            rows += [(number, place, score) for place, (_, score) in zip(places, entries, strict=True) if place >= 0]
        columns = zip(*rows, strict=True) if rows else ((), (), ())
        numbers, places, scores = (np.array(column) for column in columns)
        entries_ = numbers.astype(np.int32), places.astype(np.int32), scores.astype(np.float32)
        return LegLists(np.array(floors, dtype=np.float32), entries_)

    def write(self, queries: list[int], texts: Texts, night: LegNight, met: set[int]) -> None:
        hashes = [int(value, 16) for value in texts.hashes_by_number().to_pylist()]
        self.lists = {query: (float(floor), []) for query, floor in zip(queries, night.lists.floors, strict=True)}
        for number, text, score in zip(*night.lists.entries, strict=True):
            self.lists[queries[number]][1].append((hashes[text], float(score)))
        self.met = met


def whole_rankings(vectors: NDArray[np.float32], numbers: NDArray[np.int32], said: list[int]) -> pa.Table:
    """Every chunk for every query, schema LEG."""
    rows = []
    for query, vector in enumerate(vectors):
        scored = [(float(vector @ vector_of(text)), int(chunk)) for chunk, text in zip(numbers, said, strict=True)]
        ranked = sorted(scored, key=lambda entry: (-entry[0], entry[1]))
        rows += [(query, chunk, score, rank) for rank, (score, chunk) in enumerate(ranked, start=1)]
    return pa.Table.from_pylist([dict(zip(LEG.names, row, strict=True)) for row in rows], schema=LEG)


Night = tuple[list[tuple[int, bool]], list[int]]  # chunks (what each says, whether a filter allows it), queries


@pytest.mark.long
@given(
    nights=st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=50),
            st.lists(st.integers(100, 105), min_size=1, max_size=5, unique=True),
        ),
        min_size=2,
        max_size=6,
    ),
    depth=st.integers(1, 6),
    slack=st.integers(0, 4),
    filtered=st.booleans(),
    chunks_a_document=st.none() | st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=300, deadline=None)
def test_any_history_gives_what_a_scan_of_everything_gives(
    nights: list[Night], depth: int, slack: int, filtered: bool, chunks_a_document: int | None, seed: int
) -> None:
    carried_over, generator = CarriedOver(), np.random.default_rng(seed)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(module, "TEXTS_A_LISTED_ONE", int(generator.choice([1, 16])))
        # A device makes the products of one history in four, and where it does, of its scans and its deltas alike.
        monkeypatch.setattr(retrieve, "PRODUCTS_HERE", int(generator.choice([0, 10**9, 10**9, 10**9])))
        _check(nights, carried_over, generator, depth, slack, filtered=filtered, chunks_a_document=chunks_a_document)


def _check(
    nights: list[Night],
    carried_over: CarriedOver,
    generator: np.random.Generator,
    depth: int,
    slack: int,
    *,
    filtered: bool,
    chunks_a_document: int | None,
) -> None:
    for chunks, queries in nights:
        allowed = np.array([number for number, (_, kept) in enumerate(chunks) if kept or not filtered], dtype=np.int32)
        said = [chunks[number][0] for number in allowed]
        texts = Texts.of(hashes_of(said), allowed)
        vectors = np.stack([vector_of(query) for query in queries])
        documents = None
        if chunks_a_document is not None:
            documents = Documents(documents_of(len(chunks), generator), chunks_a_document)

        night = update_lists(
            carried_over.read(queries, texts),
            DenseQueries(vectors, device="cpu"),
            texts,
            added=blocks(texts, set(said) - carried_over.met),
            everything=lambda _queries, said=said, texts=texts: blocks(texts, set(said)),  # type: ignore[misc]  # a default has no type
            depth=depth,
            slack=slack,
            documents=documents,
        )

        everything = retrieve_dense(vectors, blocks(texts, set(said)), texts, depth=depth, documents=documents)
        assert night.leg.equals(everything)
        whole = whole_rankings(vectors, allowed, said)
        assert rows_of(night.leg) == cut_by_loop(whole, documents, depth=depth)
        assert set(night.leg["chunk_number"].to_pylist()) <= set(allowed.tolist())
        counts = np.bincount(night.lists.entries[0], minlength=len(queries))
        longest = longest_list(texts, depth=depth, slack=slack, documents=documents)
        assert counts.max(initial=0) <= longest
        assert documents is not None or longest == depth + slack
        carried_over.write(queries, texts, night, set(said))


def night_of(carried_over: CarriedOver, said: list[int], queries: list[int], *, depth: int, slack: int) -> LegNight:
    texts = Texts.of(hashes_of(said))
    vectors = np.stack([np.array([1.0, 0.0], np.float32) for _ in queries])

    def distinct(chosen: set[int]) -> Iterator[Block]:
        if chosen:
            ordered = sorted(chosen)
            column = np.array([[1.0 / (1 + text), 0.0] for text in ordered], dtype=np.float32)
            yield texts.numbers_of(hashes_of(ordered)), column

    night = update_lists(
        carried_over.read(queries, texts),
        DenseQueries(vectors),
        texts,
        added=distinct(set(said) - carried_over.met),
        everything=lambda _queries: distinct(set(said)),
        depth=depth,
        slack=slack,
    )
    carried_over.write(queries, texts, night, set(said))
    return night


def test_removals_within_the_slack_need_no_scan_and_more_of_them_do() -> None:
    carried_over = CarriedOver()
    said = [*range(20)]
    assert night_of(carried_over, said, [1, 2], depth=4, slack=2).scanned == 2  # queries never seen
    assert night_of(carried_over, said[2:], [1, 2], depth=4, slack=2).scanned == 0
    assert night_of(carried_over, said[3:], [1, 2], depth=4, slack=2).scanned == 2  # three of six are gone
    assert (
        night_of(carried_over, said[5:], [1, 2, 3], depth=4, slack=2).scanned == 1
    )  # the new one; the lists are full again


def test_a_document_of_many_chunks_takes_one_place_and_a_query_that_it_swamps_has_no_list() -> None:
    carried_over, vectors = CarriedOver(), np.array([[1.0, 0.0]], dtype=np.float32)
    said = [*range(100)]
    documents = Documents(np.array([0] * 90 + [*range(1, 11)], dtype=np.int32), chunks=2)  # a book, then ten leaflets
    texts = Texts.of(hashes_of(said))

    def block(_queries: int) -> Iterator[Block]:
        column = np.array([[1.0 / (1 + text), 0.0] for text in said], dtype=np.float32)
        yield texts.numbers_of(hashes_of(said)), column

    for scanned in (1, 1):  # the book's chunks fill any list: the next night begins anew
        night = update_lists(
            carried_over.read([7], texts),
            DenseQueries(vectors),
            texts,
            added=[],
            everything=block,
            depth=3,
            slack=2,
            documents=documents,
        )
        assert night.leg["chunk_number"].to_pylist() == [0, 1, 90, 91]
        assert night.scanned == scanned
        assert night.lists.floors.tolist() == [np.inf]
        assert night.lists.entries[0].size == 0
        carried_over.write([7], texts, night, set(said))


def test_a_list_goes_as_far_down_as_the_documents_that_it_is_made_for() -> None:
    texts = Texts.of(hashes_of([*range(320)]))
    documents = Documents(np.repeat(np.arange(80, dtype=np.int32), 4), chunks=2)
    vectors = np.array([[1.0, 0.0]], dtype=np.float32)

    def block(_queries: int) -> Iterator[Block]:
        numbers = np.arange(320)
        yield texts.numbers_of(hashes_of(numbers.tolist())), np.c_[-numbers, 0 * numbers].astype(np.float32)

    night = update_lists(
        LegLists.unknown(1),
        DenseQueries(vectors),
        texts,
        added=[],
        everything=block,
        depth=3,
        slack=2,
        documents=documents,
    )
    assert night.leg["chunk_number"].to_pylist() == [0, 1, 4, 5, 8]  # two of a document, to the third one's best
    assert sorted(night.lists.entries[1].tolist()) == [*range(11)]  # nine texts down to there, and the slack


def test_a_collection_smaller_than_the_list_is_never_scanned_again() -> None:
    carried_over = CarriedOver()
    assert night_of(carried_over, [1, 2, 3], [1], depth=4, slack=2).scanned == 1
    assert night_of(carried_over, [2], [1], depth=4, slack=2).scanned == 0
    night = night_of(carried_over, [2, 5, 0], [1], depth=4, slack=2)
    assert night.scanned == 0
    assert night.leg["chunk_number"].to_pylist() == [2, 0, 1]


def test_a_new_copy_of_a_known_text_is_a_result_without_any_product() -> None:
    carried_over = CarriedOver()
    night_of(carried_over, [3, 4, 5], [1], depth=2, slack=0)
    night = night_of(carried_over, [5, 3, 3, 4], [1], depth=2, slack=0)
    assert night.scanned == 0
    assert night.leg["chunk_number"].to_pylist() == [1, 2]


def test_texts_are_found_by_hash_and_numbered_by_their_first_chunk() -> None:
    texts = Texts.of(hashes_of([7, 3, 7, 9]), np.array([2, 5, 6, 8], dtype=np.int32))
    assert texts.numbers_of(hashes_of([3, 9, 7, 8])).tolist() == [1, 2, 0, -1]
    assert (texts.chunk_numbers.tolist(), texts.starts.tolist()) == ([2, 6, 5, 8], [0, 2, 3, 4])
    assert texts.hashes_by_number().to_pylist() == [hash_of(7), hash_of(3), hash_of(9)]
    assert texts.copies.tolist() == [2, 1, 1]
    assert as_bytes(hashes_of([7, 3]).slice(1)).tolist() == [hash_of(3).encode()]
    empty = Texts.of(hashes_of([]))
    assert len(empty) == 0
    assert empty.numbers_of(hashes_of([1])).tolist() == [-1]
