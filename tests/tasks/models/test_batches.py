from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.errors import MachineError
from nightrank.tasks.models.batches import batches_by_budget, halving_on_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


@given(st.lists(st.integers(0, 40)), st.integers(1, 100))
def test_each_item_comes_once_longest_first_and_no_batch_of_several_exceeds_the_budget(
    lengths: list[int], budget: int
) -> None:
    batches = [batch.tolist() for batch in batches_by_budget(lengths, budget=budget)]
    order = [position for batch in batches for position in batch]
    assert sorted(order) == list(range(len(lengths)))
    ordered = [max(1, lengths[position]) for position in order]
    assert ordered == sorted(ordered, reverse=True)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[position] for position in batch) <= budget


def test_batches_are_as_large_as_the_budget_allows() -> None:
    # Three of 4 fill 12; of 3, 3 and 1 all fit.
    batches = batches_by_budget([3, 4, 4, 1, 4, 3], budget=12)
    assert [batch.tolist() for batch in batches] == [[1, 2, 4], [0, 5, 3]]


def double_in_batches_of(limit: int, seen: list[int]) -> Callable[[NDArray[np.intp]], list[int]]:
    import torch

    def run(rows: NDArray[np.intp]) -> list[int]:
        seen.append(rows.size)
        if rows.size > limit:
            raise torch.OutOfMemoryError
        return [int(row) * 2 for row in rows]

    return run


def test_a_batch_that_does_not_fit_is_halved_until_it_does_and_keeps_its_order() -> None:
    seen: list[int] = []
    done = list(halving_on_memory(double_in_batches_of(2, seen), np.array([1, 2, 3, 4, 5])))
    assert [rows.tolist() for rows, _ in done] == [[1, 2], [3], [4, 5]]
    assert [doubled for _, doubled in done] == [[2, 4], [6], [8, 10]]
    assert seen == [5, 3, 2, 1, 2]


def test_one_item_that_does_not_fit_alone_is_an_error_with_a_remedy() -> None:
    with pytest.raises(MachineError, match="single text") as caught:
        list(halving_on_memory(double_in_batches_of(0, []), np.array([1, 2])))
    assert "execution.device" in caught.value.remedy


def test_another_error_is_not_swallowed() -> None:
    def run(_rows: NDArray[np.intp]) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(halving_on_memory(run, np.array([1, 2])))
