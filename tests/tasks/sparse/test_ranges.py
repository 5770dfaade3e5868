"""What workers find of the sparse leg range by range is, to the bit, what one process finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightrank.storage.errors import MachineError
from nightrank.storage.memo.sparse_vectors import SparseMemo
from nightrank.tasks.legs.spread import SpreadVectors
from nightrank.tasks.legs.texts import Texts
from nightrank.tasks.sparse.ranges import RangedSparseVectors
from tests.support.workers_here import Here, ranges_here
from tests.tasks.sparse.test_lists import CONDITIONS, History, row_of
from tests.tasks.sparse.test_retrieve import hashes_of, vectors_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.tasks.sparse.test_lists import Chunk, Query

MOST = 21  # texts that there are


@pytest.fixture(scope="module")
def memo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparseMemo]:
    """The vectors of all texts, appended in no order, for reading alone as a night has it."""
    folder = tmp_path_factory.mktemp("memo")
    order = np.random.default_rng(7).permutation(MOST).tolist()
    with SparseMemo(folder, "texts", encoder="small") as made:
        for first in range(0, MOST, 8):
            part = order[first : first + 8]
            made.append(hashes_of(part).to_pylist(), vectors_of([*map(row_of, part)]))
    with SparseMemo(folder, "texts", encoder="small", read_only=True) as opened:
        yield opened


@pytest.mark.long
@given(
    nights=st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(0, MOST - 1), st.integers(0, 3)), max_size=24),
            st.lists(
                st.tuples(st.integers(100, 104), st.sampled_from([None, None, *CONDITIONS])),
                min_size=1,
                max_size=6,
                unique=True,
            ),
        ),
        min_size=1,
        max_size=3,
    ),
    depth=st.integers(1, 5),
    slack=st.integers(0, 3),
    scores=st.integers(12, 80),
)
@settings(max_examples=25, deadline=None)
def test_any_history_by_workers_is_that_of_one_process(
    memo: SparseMemo,
    tmp_path_factory: pytest.TempPathFactory,
    nights: list[tuple[list[Chunk], list[Query]]],
    depth: int,
    slack: int,
    scores: int,
) -> None:
    alone, spread = History(), History()
    folder, vectors = tmp_path_factory.mktemp("shards"), RangedSparseVectors(memo)
    by_workers = SpreadVectors(vectors, ranges_here(folder, Here(), scores=scores))
    for chunks, asked in nights:
        expected = alone.night(chunks, asked, SpreadVectors(vectors, None), depth=depth, slack=slack)
        found = spread.night(chunks, asked, by_workers, depth=depth, slack=slack)
        assert found.leg.equals(expected.leg)
        assert found.scanned == expected.scanned
        assert spread.lists == alone.lists
    assert list(folder.iterdir()) == []


def test_a_text_that_the_memo_lacks_is_told_before_anything_is_sent(memo: SparseMemo) -> None:
    with pytest.raises(MachineError, match="lacks 1 of 2 texts"):
        RangedSparseVectors(memo).placed(Texts.of(hashes_of([0, MOST])), None)
