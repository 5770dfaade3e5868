from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.errors import MachineError
from nightrank.storage.lance.place import LanceFolder
from nightrank.storage.lance.table import ChunkTable
from nightrank.tasks.rank.diversity import choose, cosines_of, intra_list_distance, stored_vectors

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def plainly_chosen(
    relevance: list[float],
    cosines: NDArray[np.float64],
    *,
    depth: int,
    mmr_lambda: float,
    near_duplicate: float | None,
) -> list[int]:
    """As the paper writes it, an entry and a pair at a time."""
    chosen: list[int] = []
    while len(chosen) < depth:
        best, highest = None, -math.inf
        for entry in range(len(relevance)):
            closest = max((float(cosines[entry, other]) for other in chosen), default=0.0)
            is_duplicate = bool(chosen) and near_duplicate is not None and closest >= near_duplicate
            worth = mmr_lambda * relevance[entry] - (1.0 - mmr_lambda) * closest
            if entry not in chosen and not is_duplicate and worth > highest:
                best, highest = entry, worth
        if best is None:
            break
        chosen.append(best)
    return chosen


# Few directions and few scores, so that entries tie in every way.
VECTORS = st.lists(st.sampled_from([-2, -1, 0, 1, 2]), min_size=3, max_size=3).filter(any)
POOLS = st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), VECTORS), max_size=8)


@given(
    pool=POOLS,
    depth=st.integers(1, 9),
    mmr_lambda=st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]),
    near_duplicate=st.sampled_from([None, 0.5, 0.9, 1.0]),
)
def test_the_choice_equals_the_papers_on_random_pools_with_ties(
    pool: list[tuple[float, list[int]]], depth: int, mmr_lambda: float, near_duplicate: float | None
) -> None:
    relevance = sorted((score for score, _ in pool), reverse=True)
    cosines = cosines_of(np.array([vector for _, vector in pool], dtype=np.float32).reshape(-1, 3))
    found = choose(
        np.array(relevance), cosines, depth=depth, mmr_lambda=mmr_lambda, near_duplicate=near_duplicate
    ).tolist()
    expected = plainly_chosen(relevance, cosines, depth=depth, mmr_lambda=mmr_lambda, near_duplicate=near_duplicate)
    assert found == expected


@given(pool=POOLS, depth=st.integers(1, 9))
def test_with_relevance_alone_the_order_stays(pool: list[tuple[float, list[int]]], depth: int) -> None:
    relevance = np.array(sorted((score for score, _ in pool), reverse=True))
    cosines = cosines_of(np.array([vector for _, vector in pool], dtype=np.float32).reshape(-1, 3))
    found = choose(relevance, cosines, depth=depth, mmr_lambda=1.0, near_duplicate=None)
    assert found.tolist() == list(range(min(depth, len(pool))))


def test_equals_go_by_the_order_of_the_ranking() -> None:
    same = np.ones((3, 3))
    for mmr_lambda in (0.0, 0.5, 1.0):
        found = choose(np.array([0.5, 0.5, 0.5]), same, depth=3, mmr_lambda=mmr_lambda, near_duplicate=None)
        assert found.tolist() == [0, 1, 2]


def test_texts_that_say_the_same_are_exactly_as_close_to_each_other_and_to_all_others() -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(50, 384)).astype(np.float32)
    vectors[[7, 31, 49]] = vectors[3]
    cosines = cosines_of(vectors)
    assert (cosines[np.ix_([3, 7, 31, 49], [3, 7, 31, 49])] == 1.0).all()
    assert (cosines[[7, 31, 49]] == cosines[3]).all()
    exact = vectors.astype(np.float64)
    expected = [[a @ b / math.sqrt((a @ a) * (b @ b)) for b in exact[:5]] for a in exact[:5]]
    assert cosines[:5, :5] == pytest.approx(np.array(expected), abs=1e-7)


def test_the_distance_within_a_list_is_the_mean_over_its_pairs() -> None:
    vectors = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0], [-1.0, 0.0]], dtype=np.float32)
    half = math.sqrt(0.5)
    assert intra_list_distance(vectors, depth=3) == pytest.approx((1.0 + (1 - half) + (1 - half)) / 3)
    assert intra_list_distance(vectors, depth=1) == 0.0
    assert intra_list_distance(vectors[:0], depth=10) == 0.0


def test_vectors_come_in_the_order_asked_for_and_as_often(tmp_path: Path) -> None:
    table = ChunkTable.create(LanceFolder(tmp_path), embedder="e1", dimensions=2)
    table.add(["a", "b", "c"], ["A", "B", "C"], [1, 1, 1], np.array([[1, 0], [0, 1], [-1, 0]], dtype=np.float32))
    vectors = stored_vectors(table)
    assert vectors(pa.array(["c", "a", "c"])).tolist() == [[-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]
    assert vectors(pa.array([], pa.string())).shape == (0, 2)
    with pytest.raises(MachineError, match="lacks the vectors of 1 entries"):
        vectors(pa.array(["a", "gone"]))
