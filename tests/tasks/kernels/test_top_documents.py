from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightrank.storage.records import LEG, ranking_order, ranks_within
from nightrank.tasks.kernels import top_documents as module
from nightrank.tasks.kernels.loops import offer_chunk
from nightrank.tasks.kernels.top_documents import Documents, RunningTopDocuments, in_parts, within_depth
from tests.support.legs_by_loop import cut_by_loop, documents_of, rows_of


@given(
    query_count=st.integers(1, 4),
    chunk_count=st.integers(1, 60),
    depth=st.integers(1, 9),
    chunks=st.integers(1, 4),
    levels=st.integers(1, 6),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None)
def test_chunks_in_any_order_give_what_a_walk_down_the_whole_ranking_gives(
    query_count: int, chunk_count: int, depth: int, chunks: int, levels: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    documents = Documents(documents_of(chunk_count, generator), chunks)
    # Few distinct values: most scores are ties; some are negative, some chunks are no result.
    scores = (generator.integers(0, levels, (query_count, chunk_count)) - levels // 2).astype(np.float32)
    there = generator.random(scores.shape) < 0.9
    best = RunningTopDocuments(query_count, depth, documents)
    for pair in generator.permutation(np.flatnonzero(there)):
        query, chunk = divmod(int(pair), chunk_count)
        offer_chunk(best.heaps(), query, scores[query, chunk], np.int32(chunk))

    queries, numbers = (column.astype(np.int32) for column in np.nonzero(there))
    order = ranking_order(queries, scores[there], numbers)
    columns = [queries[order], numbers[order], scores[there][order], ranks_within(queries[order])]
    whole = pa.table(columns, schema=LEG)
    assert rows_of(best.table()) == cut_by_loop(whole, documents, depth=depth)
    kept = within_depth(queries[order], numbers[order], documents, depth=depth)
    assert [row[:3] for row in rows_of(whole.filter(pa.array(kept)))] == [row[:3] for row in rows_of(best.table())]


@given(
    chunk_count=st.integers(0, 60),
    depth=st.integers(1, 9),
    chunks=st.integers(1, 4),
    levels=st.integers(1, 6),
    parts=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None)
def test_the_best_of_parts_is_the_best_of_all(
    chunk_count: int, depth: int, chunks: int, levels: int, parts: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    documents = Documents(documents_of(chunk_count, generator), chunks)
    scores = generator.integers(0, levels, (2, chunk_count)).astype(np.float32)
    part_of = generator.integers(0, parts, chunk_count)  # documents lie across parts, and some parts are empty
    whole, merged = (RunningTopDocuments(2, depth, documents) for _ in range(2))
    for part in range(parts):
        queries, numbers = (column.astype(np.int32) for column in np.nonzero(np.tile(part_of == part, (2, 1))))
        of_part = RunningTopDocuments(2, depth, documents)
        for best in (whole, of_part):
            best.add(queries, numbers, scores[queries, numbers])
        table = of_part.table()
        merged.add(*(table.column(name).to_numpy() for name in ("query_number", "chunk_number", "score")))
    assert rows_of(merged.table()) == rows_of(whole.table())


def test_queries_of_a_part_are_counted_from_its_first_one() -> None:
    documents = Documents(np.array([0, 0, 1], dtype=np.int32), chunks=1)
    best = RunningTopDocuments(2, 1, documents)
    offer_chunk(best.heaps(), 1, np.float32(2.0), np.int32(1))
    assert rows_of(best.table(first=5)) == [(6, 1, 2.0, 1)]


def test_nothing_asked_and_nothing_added_give_an_empty_table() -> None:
    documents = Documents(np.zeros(0, dtype=np.int32), chunks=3)
    assert RunningTopDocuments(0, 4, documents).table().num_rows == 0
    assert RunningTopDocuments(2, 4, documents).table().num_rows == 0
    assert within_depth(np.zeros(0, int), np.zeros(0, int), documents, depth=4).tolist() == []
    with pytest.raises(ValueError, match="depth 0"):
        RunningTopDocuments(1, 0, documents)


def test_parts_hold_what_fits_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BYTES_HELD", 100)
    assert list(in_parts(5, bytes_each=40)) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert list(in_parts(2, bytes_each=400)) == [slice(0, 1), slice(1, 2)]
    assert list(in_parts(0, bytes_each=40)) == [slice(0, 0)]
