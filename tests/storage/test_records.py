from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.records import Chunk, Document, ranking_order, ranks_within

DOCUMENT = Document("d1", "Title", "Text.", {"year": 1999}, "a.jsonl", 1)


def test_everything_that_a_reader_of_results_sees_is_in_a_documents_digest() -> None:
    changed = [
        replace(DOCUMENT, document_id="d2"),
        replace(DOCUMENT, title="title"),
        replace(DOCUMENT, text="Text"),
        replace(DOCUMENT, metadata={"year": "1999"}),
        replace(DOCUMENT, metadata={}),
        replace(DOCUMENT, language="german"),
    ]
    assert len({document.digest() for document in [DOCUMENT, *changed]}) == 7


def test_where_a_document_was_read_from_is_not_in_its_digest() -> None:
    assert replace(DOCUMENT, file="b.jsonl", row=7).digest() == DOCUMENT.digest()


def test_a_chunks_hash_is_what_it_says_and_its_id_is_where_it_stands() -> None:
    first, second = Chunk("d1", 0, "Title\n\nText.", 7), Chunk("d2", 3, "Title\n\nText.", 0)
    assert first.chunk_hash == second.chunk_hash
    assert (first.chunk_id, second.chunk_id) == ("d1#0", "d2#3")
    assert first.body == "Text."
    assert Chunk("d1", 0, "Title\n\nText", 7).chunk_hash != first.chunk_hash


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from([-1.5, -0.0, 0.0, 2.0]), st.integers(0, 99)),
        unique_by=lambda entry: entry[2],
    )
)
def test_rankings_go_by_query_then_score_descending_then_chunk_number(entries: list[tuple[int, float, int]]) -> None:
    columns = [np.array([entry[place] for entry in entries]) for place in range(3)]
    order = ranking_order(columns[0].astype(np.int32), columns[1].astype(np.float32), columns[2].astype(np.int32))
    expected = sorted(entries, key=lambda entry: (entry[0], -entry[1], entry[2]))
    assert [entries[place] for place in order] == expected


@given(st.lists(st.integers(0, 3)).map(sorted))
def test_ranks_count_from_one_within_each_run(groups: list[int]) -> None:
    expected = [groups[: place + 1].count(value) for place, value in enumerate(groups)]
    assert ranks_within(groups).tolist() == expected
