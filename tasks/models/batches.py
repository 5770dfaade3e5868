"""Batches by token budget: what a model is given together is alike in length, so little of it is padding."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from nightrank.storage.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

T = TypeVar("T")


def batches_by_budget(lengths: Sequence[int] | NDArray[np.integer], *, budget: int) -> Iterator[NDArray[np.intp]]:
    """Cut items into batches, longest first, of at most ``budget`` tokens after padding to the longest of each.

    Longest first, so that what does not fit into memory fails at once and not at the end.

    Args:
        lengths: (n,) tokens of each item.
        budget: Tokens of a batch, padding counted; an item alone may exceed it.

    Yields:
        Positions of the items of a batch; together each position once.

    >>> [batch.tolist() for batch in batches_by_budget([1, 5, 2, 5], budget=10)]
    [[1, 3], [2, 0]]
    """
    sizes = np.maximum(np.asarray(lengths, dtype=np.int64), 1)
    order = np.argsort(-sizes, kind="stable")
    start = 0
    while start < order.size:
        rows = max(1, budget // int(sizes[order[start]]))
        yield order[start : start + rows]
        start += rows


def halving_on_memory(
    run: Callable[[NDArray[np.intp]], T], rows: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], T]]:
    """Run a model on a batch, and on its halves where the device runs out of memory.

    Args:
        run: Takes positions of items.
        rows: Int (n,), the batch.

    Yields:
        Positions, in order, and what came of them.

    Raises:
        MachineError: One item alone does not fit.
    """
    import torch

    try:
        done = run(rows)
    except torch.OutOfMemoryError as error:
        if rows.size == 1:
            message = "The device has too little memory for a single text."
            raise MachineError(message, remedy='Free its memory, or set `execution.device = "cpu"`.') from error
    else:
        yield rows, done
        return
    torch.cuda.empty_cache()
    for half in np.array_split(rows, 2):
        yield from halving_on_memory(run, half)
