"""Who is computed with whom: on a processor each item by itself, on a GPU items of like length in batches.

Libraries choose their kernels by the shape of what they are given and by the number of their threads, and another
kernel adds up in another order: what is computed in company differs in its last digits from what is computed alone.
So on a processor nothing has company. Every item goes through products of its own shape, on a thread that no library
divides further, and several such threads take items side by side. A value is then a function of the item and the
weights, whatever else is asked for, in whatever order, by however many threads or workers: on the same processor, with
the same libraries, it is the same to the last bit.

A GPU would stand idle for most of such work. It gets batches, and values depend on these in their last digits: there
the value that is stored decides.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from nightrank.tasks.models.batches import batches_by_budget, halving_on_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

T = TypeVar("T")

SIDE_BY_SIDE = 1024  # tokens that go through a layer one item after the other, while its weights are in a cache
GROUPS_PER_THREAD = 4  # at least, where there is so much to do, so that threads end at about the same time


class Execution(Protocol):
    """How items are computed."""

    def run(
        self, lengths: NDArray[np.integer], compute: Callable[[Sequence[NDArray[np.intp]]], T]
    ) -> Iterator[tuple[NDArray[np.intp], T]]:
        """Compute items, the longest first.

        Args:
            lengths: int (n,), tokens of each item.
            compute: Takes batches, positions of items int (m,) each; what is in one batch may be computed together,
                what is not must not meet.

        Yields:
            Positions of items, int (m,), and what ``compute`` made of them, in their order.
        """
        ...


class OneByOne:
    """Every item by itself.

    Args:
        threads: That compute side by side; None for as many as torch would use.
    """

    def __init__(self, threads: int | None = None) -> None:
        import torch

        own = torch.get_num_threads()
        self._threads = own if threads is None else threads
        self._pool = ThreadPoolExecutor(self._threads, "one-by-one", initializer=_compute_undivided)
        started = Barrier(self._threads)
        list(self._pool.map(lambda _: started.wait(), range(self._threads)))
        torch.set_num_threads(own)  # the threads keep theirs; what is started later does as before

    def run(
        self, lengths: NDArray[np.integer], compute: Callable[[Sequence[NDArray[np.intp]]], T]
    ) -> Iterator[tuple[NDArray[np.intp], T]]:
        """Compute items, each a batch of its own."""
        share = int(lengths.sum()) // (GROUPS_PER_THREAD * self._threads)
        groups = list(batches_by_budget(lengths, budget=max(1, min(SIDE_BY_SIDE, share))))
        yield from zip(groups, self._pool.map(lambda group: compute(np.split(group, group.size)), groups), strict=True)


class InBatches:
    """Items of like length together.

    Args:
        batch_tokens: Token budget of a batch; where the device's memory does not hold one, its halves are tried.
    """

    def __init__(self, batch_tokens: int) -> None:
        self._batch_tokens = batch_tokens

    def run(
        self, lengths: NDArray[np.integer], compute: Callable[[Sequence[NDArray[np.intp]]], T]
    ) -> Iterator[tuple[NDArray[np.intp], T]]:
        """Compute items in batches."""
        for batch in batches_by_budget(lengths, budget=self._batch_tokens):
            yield from halving_on_memory(lambda rows: compute([rows]), batch)


def execution_on(device: str, *, batch_tokens: int, threads: int | None = None) -> OneByOne | InBatches:
    """How items are computed on a device.

    Args:
        device: As torch names it.
        batch_tokens: Token budget of a batch, where there are any.
        threads: Of a processor; None for as many as torch would use.
    """
    return OneByOne(threads) if device == "cpu" else InBatches(batch_tokens)


def _compute_undivided() -> None:
    """Have the libraries use this thread alone for what it asks of them."""
    import torch

    torch.get_num_threads()  # a thread takes over the process's number when it first asks, and must not do so later
    torch.set_num_threads(1)
