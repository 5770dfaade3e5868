from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.tasks.query_log.budget import Budget, choose, measured_pairs_per_second
from tests.storage.release.test_manifest import manifest_of

if TYPE_CHECKING:
    from nightrank.storage.release.manifest import Manifest

NOBODY = np.zeros(6, dtype=bool)


def chosen(budget: Budget, *, known: list[int] | None = None, always: list[int] | None = None) -> list[int]:
    """Of six queries, 0 being most in demand."""
    masks = [np.isin(np.arange(6), numbers or []) for numbers in (known, always)]
    return [int(query) for query in choose(np.arange(6), budget, known=masks[0], always=masks[1])]


def test_a_budget_of_queries_takes_those_most_in_demand() -> None:
    assert chosen(Budget(queries=3, pairs=None, pairs_per_query=100)) == [0, 1, 2]
    assert chosen(Budget(queries=9, pairs=None, pairs_per_query=100)) == [0, 1, 2, 3, 4, 5]


def test_a_budget_of_pairs_is_spent_on_new_queries_and_known_ones_are_free() -> None:
    assert chosen(Budget(queries=9, pairs=299, pairs_per_query=100)) == [0, 1]
    assert chosen(Budget(queries=9, pairs=299, pairs_per_query=100), known=[1, 4]) == [0, 1, 2, 4]
    assert chosen(Budget(queries=3, pairs=299, pairs_per_query=100), known=[1, 4]) == [0, 1, 2]
    assert chosen(Budget(queries=9, pairs=0, pairs_per_query=0)) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("queries", [1, 2])
def test_what_is_always_kept_is_kept_beyond_the_budget_and_counted_in_it(queries: int) -> None:
    assert chosen(Budget(queries=queries, pairs=None, pairs_per_query=100), always=[3, 5]) == [3, 5]
    assert chosen(Budget(queries=3, pairs=None, pairs_per_query=100), always=[3, 5]) == [0, 3, 5]
    assert chosen(Budget(queries=6, pairs=300, pairs_per_query=100), always=[3, 5]) == [0, 3, 5]


def test_only_what_is_in_the_order_can_be_chosen() -> None:
    budget = Budget(queries=6, pairs=None, pairs_per_query=100)
    assert choose(np.array([4, 2]), budget, known=NOBODY, always=~NOBODY).tolist() == [4, 2]


@given(
    st.lists(st.tuples(st.integers(1, 20), st.booleans()), min_size=1, max_size=7), st.integers(1, 7), st.integers(0, 7)
)
def test_no_other_choice_within_the_budget_covers_more_demand(
    queries: list[tuple[int, bool]], budget: int, new: int
) -> None:
    demands, known = np.array([demand for demand, _ in queries]), np.array([is_known for _, is_known in queries])
    nothing = np.zeros(len(queries), dtype=bool)
    order = np.argsort(-demands, kind="stable")
    ours = choose(order, Budget(budget, pairs=new * 10, pairs_per_query=10), known=known, always=nothing)
    best = max(
        sum(demands[list(some)])
        for size in range(min(budget, len(queries)) + 1)
        for some in combinations(range(len(queries)), size)
        if sum(not known[query] for query in some) <= new
    )
    assert demands[ours].sum() == best


def test_the_speed_of_a_reranker_is_that_of_the_newest_release_it_scored_enough_pairs_for() -> None:
    def release(name: str, *, scored: int, seconds: float, reranker: str = "m at 0.5") -> Manifest:
        made = manifest_of(name)
        inputs = made.inputs.model_copy(update={"reranker": reranker})
        counts = made.counts.model_copy(update={"pairs_scored": scored})
        return made.model_copy(update={"inputs": inputs, "counts": counts, "seconds": {"rerank": seconds}})

    old, quiet = release("r1", scored=5000, seconds=100.0), release("r3", scored=10, seconds=9.0)
    newer, other = release("r2", scored=2000, seconds=20.0), release("r4", scored=9000, seconds=1.0, reranker="n at 1")
    assert measured_pairs_per_second([old, quiet], reranker="m") == 50.0
    assert measured_pairs_per_second([old, newer, quiet, other], reranker="m") == 100.0
    assert measured_pairs_per_second([quiet, other], reranker="m") is None
