"""Inner products on a device of torch's, of which only those come back that reach what their query has.

It imports torch: import it where it is called.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# A product, whether it is below, and its two places in int64 and in int32 where it comes back.
BYTES_A_SCORE = 40
MOST_SCORES = 2**28  # at a time: beyond, nothing is gained, and torch counts what it finds in 32 bits
LEAST_SCORES = 2**16  # a device whose memory does not hold the products of so many is left alone
SCORES_ELSEWHERE = 2**22  # where torch cannot say what is free


@dataclass(frozen=True, slots=True, eq=False)
class Reaching:
    """The products that reach what their query has.

    Attributes:
        starts: int64 (n_queries + 1,), where each query begins in the two that follow.
        places: int32 (n,), rows of the texts, ascending in each query.
        products: float32 (n,).
    """

    starts: NDArray[np.int64]
    places: NDArray[np.int32]
    products: NDArray[np.float32]


class OnDevice:
    """Some texts on their way to a device, on a stream of their own.

    Attributes:
        vectors: float32 (n, dim), on the device.
        arrived: What the products wait for; None where nothing is copied beside them.
    """

    def __init__(self, vectors: Tensor, arrived: torch.cuda.Event | None) -> None:
        self.vectors, self.arrived = vectors, arrived


class DeviceProducts:
    """Products of some queries, on a device.

    Args:
        device: As torch names it; ``cpu`` works as the others do.
        queries: float32 (n_queries, dim). On the device are as many as a quarter of its free memory takes; the others
            go there each time.

    Raises:
        RuntimeError: The device has no memory left, which ``is_out_of_memory`` knows.
    """

    def __init__(self, device: str, queries: NDArray[np.float32]) -> None:
        self._device = torch.device(device)
        self._is_cuda = self._device.type == "cuda"
        self._copies = torch.cuda.Stream(self._device) if self._is_cuda else None  # type: ignore[no-untyped-call]
        free = free_bytes(self._device)
        self._scores = SCORES_ELSEWHERE if free is None else min(MOST_SCORES, free // 2 // BYTES_A_SCORE)
        if free is not None and self._scores < LEAST_SCORES:  # query by query it would take longer than the processor
            raise RuntimeError(f"{device} is out of memory: {free} bytes of it are free.")
        self._queries = queries
        held = len(queries) if free is None else free // 4 // (4 * max(1, queries.shape[1]))
        self._held = self._sent(queries[:held])

    def queries_at_once(self, texts: int) -> int:
        """How many queries may meet so many texts at a time."""
        return max(1, self._scores // max(1, texts))

    def halve(self) -> bool:
        """Take half as much memory from now on; whether that is worth trying."""
        self._scores //= 2
        if self._is_cuda:
            torch.cuda.empty_cache()
        return self._scores >= LEAST_SCORES

    def memory(self, rows: int) -> NDArray[np.float32]:
        """Memory of the machine for so many texts, float32 (rows, dim), that a GPU copies from by itself."""
        held = torch.empty((rows, self._queries.shape[1]), dtype=torch.float32, pin_memory=self._is_cuda)
        array: NDArray[np.float32] = held.numpy()
        return array

    def send(self, vectors: NDArray[np.float32]) -> OnDevice:
        """Begin to copy texts to the device, float32 (n, dim); they must stay as they are until products were made."""
        if self._copies is None:
            return OnDevice(self._sent(vectors), None)
        with torch.cuda.stream(self._copies):
            sent = torch.from_numpy(vectors).to(self._device, non_blocking=True)
            return OnDevice(sent, self._copies.record_event())

    @torch.inference_mode()
    def reaching(self, texts: OnDevice, part: slice, cuts: NDArray[np.float32]) -> Reaching:
        """The products of some queries with some texts that are not below each query's cut.

        Args:
            texts: What the queries meet.
            part: Which queries.
            cuts: float32 (n,), theirs. A product that is not a number is not below.
        """
        if texts.arrived is not None:
            stream = torch.cuda.current_stream(self._device)
            stream.wait_event(texts.arrived)
            texts.vectors.record_stream(stream)
        with tensor_cores(self._is_cuda):
            products = torch.matmul(self._of(part), texts.vectors.T)
        below = products < self._sent(cuts)[:, None]
        rows, places = below.logical_not_().nonzero(as_tuple=True)
        found = products[rows, places].cpu().numpy()
        starts = np.searchsorted(rows.int().cpu().numpy(), np.arange(len(cuts) + 1))
        return Reaching(starts, places.int().cpu().numpy(), found)

    def _of(self, part: slice) -> Tensor:
        if part.stop <= len(self._held):
            return self._held[part]
        return self._sent(self._queries[part])

    def _sent(self, values: NDArray[np.float32]) -> Tensor:
        return torch.tensor(values, device=self._device)


def free_bytes(device: torch.device) -> int | None:
    """What a device has free for us; None where torch cannot say."""
    if device.type == "cuda":
        torch.cuda.empty_cache()  # what models have left behind
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return None


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device had too little memory."""
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error)


@contextmanager
def tensor_cores(wanted: bool) -> Iterator[None]:
    """Let a GPU multiply float32 with the bits that TF32 keeps, several times as fast, for this while."""
    if not wanted:
        yield
        return
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        yield
    finally:
        torch.backends.cuda.matmul.fp32_precision = before
