"""The race of the dense leg on a card: against torch's own product and top-k, and against reading the vectors once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch

from benchmarks.inputs.made_vectors import DIMENSIONS, vector_blocks
from benchmarks.parts.claims import Claim, claim_of_rates
from benchmarks.parts.race import Laps, race
from benchmarks.parts.time_budget import amount_within
from nightrank.tasks.dense.device import DeviceScan
from nightrank.tasks.dense.products import tensor_cores
from nightrank.tasks.dense.retrieve import retrieve_dense
from nightrank.tasks.dense.scan import Scan
from nightrank.tasks.kernels.compiled import threads
from nightrank.tasks.kernels.top_k import RunningTopK
from nightrank.tasks.legs.texts import Texts, leg_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from nightrank.tasks.dense.scan import Block

DEPTH = 100
TEXTS, QUERIES = 1_000_000, 2000
SMALL_TEXTS, SMALL_QUERIES = 20_000, 200
ROWS = 16_384  # of a block
ROUNDS = 3
READ_TARGET = 0.7  # of the bound that reading the vectors once sets
COPIED = 2**28  # bytes


def dense(device: str, seconds: float, *, small: bool) -> list[Claim]:
    """Race the dense leg over vectors in memory, and compare its lists with the processor's.

    Args:
        device: As torch names it.
        seconds: To race in.
        small: Whether a few will do.
    """
    end = time.monotonic() + seconds
    made = time.monotonic()
    trial = np.concatenate(list(vector_blocks(SMALL_TEXTS, stream=1)))
    each = (time.monotonic() - made) / SMALL_TEXTS
    most = SMALL_TEXTS if small else TEXTS
    count = amount_within(seconds / 3, seconds_each=each, calls=1, least=SMALL_TEXTS, most=most)
    vectors = trial if count == SMALL_TEXTS else np.concatenate(list(vector_blocks(count, stream=1)))
    queries = np.concatenate(list(vector_blocks(SMALL_QUERIES if small else QUERIES, stream=2)))
    texts = Texts.of(pa.array([f"{number:032x}" for number in range(count)]))
    numbers = texts.numbers_of(pa.array([f"{number:032x}" for number in range(count)]))

    def blocks() -> Iterator[Block]:
        for first in range(0, count, ROWS):
            yield numbers[first : first + ROWS], vectors[first : first + ROWS]

    def whole() -> pa.Table:
        with threads() as pool:
            best = RunningTopK(len(queries), DEPTH)
            DeviceScan(Scan(queries, best, None, pool), device).run(blocks())
            return leg_of(best.entries(), texts, depth=DEPTH)

    runners: dict[str, Callable[[], object]] = {
        "ours": lambda: retrieve_dense(queries, blocks(), texts, depth=DEPTH, device=device),
        "torch's product and top-k, streamed": lambda: _product_and_top(queries, blocks(), device),
    }
    if time.monotonic() < end or small:
        held = torch.tensor(vectors, device=device)
        runners["torch's product and top-k, vectors on the device"] = lambda: _product_and_top(
            queries,
            ((numbers[first : first + ROWS], held[first : first + ROWS]) for first in range(0, count, ROWS)),
            device,
        )
    laps = race(runners, rounds=ROUNDS)
    is_same = whole().equals(retrieve_dense(queries, blocks(), texts, depth=DEPTH))
    same = "lists, scores and ties are the processor's" if is_same else "OTHER lists than the processor's"
    what = f"dense top {DEPTH} of {len(queries):,} queries on {device}, {count:,} x {DIMENSIONS}"
    bandwidth = copy_rate(device)
    bound = vectors.nbytes / bandwidth / laps["ours"].median
    return [
        _equality(what, is_same=is_same),
        *(
            claim_of_rates(
                what,
                laps["ours"],
                laps[peer],
                amount=len(queries),
                unit="queries/s",
                target=None,
                equal=same,
                share_of_limit=bound,
            )
            for peer in runners
            if peer != "ours"
        ),
        _reading(what, laps["ours"], vectors.nbytes, bandwidth, target=None if small else READ_TARGET),
    ]


def copy_rate(device: str) -> float:
    """Bytes a second from memory that does not move to a device, or within memory; the best of a few."""
    is_cuda = device.startswith("cuda")
    source = torch.empty(COPIED // 4, dtype=torch.float32, pin_memory=is_cuda).fill_(1.0)
    target = torch.empty(COPIED // 4, dtype=torch.float32, device=device)
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        target.copy_(source, non_blocking=True)
        if is_cuda:
            torch.cuda.synchronize(device)
        best = max(best, COPIED / (time.perf_counter() - start))
    return best


@torch.inference_mode()
def _product_and_top(
    queries: NDArray[np.float32],
    blocks: Iterator[tuple[NDArray[np.int32], NDArray[np.float32] | torch.Tensor]],
    device: str,
) -> NDArray[np.int64]:
    """What one would write with torch alone: nearly the same lists, ties aside and what TF32 rounds."""
    asked, first = torch.tensor(queries, device=device), 0
    scores = torch.full((len(queries), 0), 0.0, device=device)
    places = torch.zeros((len(queries), 0), dtype=torch.int64, device=device)
    for _, vectors in blocks:
        there = vectors if isinstance(vectors, torch.Tensor) else torch.from_numpy(vectors).to(device)
        with tensor_cores(device.startswith("cuda")):
            products = asked @ there.T
        best = products.topk(min(DEPTH, len(there)), dim=1)
        scores = torch.cat([scores, best.values], dim=1)
        places = torch.cat([places, best.indices + first], dim=1)
        kept = scores.topk(min(DEPTH, scores.shape[1]), dim=1)
        scores, places, first = kept.values, places.gather(1, kept.indices), first + len(there)
    found: NDArray[np.int64] = places.cpu().numpy()
    return found


def _equality(what: str, *, is_same: bool) -> Claim:
    return Claim(
        claim=f"{what}: lists equal to the processor's, to the last bit",
        peer="all",
        ours=float(is_same),
        theirs=1.0,
        unit="share",
        ratio=float(is_same),
        target=1.0,
        spread="",
        share_of_limit=None,
        equal="every query's chunks, scores and ties",
    )


def _reading(what: str, laps: Laps, size: int, bandwidth: float, *, target: float | None) -> Claim:
    rate = size / laps.median
    return Claim(
        claim=f"{what}: vectors read",
        peer="copying them to the device once",
        ours=rate / 1e9,
        theirs=bandwidth / 1e9,
        unit="GB/s",
        ratio=rate / bandwidth,
        target=target,
        spread=f"{size / laps.high / 1e9:.2f} to {size / laps.low / 1e9:.2f}",
        share_of_limit=rate / bandwidth,
        equal="",
    )
