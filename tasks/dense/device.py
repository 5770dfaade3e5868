"""The dense leg with its products on a device: a GPU multiplies and says what may matter, the processor decides.

Three things go on at a time: the next texts are read and copied to the device, products of those before are made
there, and what came back of the ones before those is scored on the processor, exactly as ``Scan.add`` does. A product
that lies below what its query already has, by more than it may be wrong, cannot be a result; all others come back. So
the lists are those of the processor, to the last bit, whatever the device computes with.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from nightrank.tasks.dense.bounds import error_of, longest
from nightrank.tasks.dense.products import DeviceProducts, Reaching, is_out_of_memory
from nightrank.tasks.dense.scan import read_ahead

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from nightrank.tasks.dense.products import OnDevice
    from nightrank.tasks.dense.scan import Block, Scan

TEXTS_HELD = 16_384  # of a piece
FIRST_TEXTS = 256  # of the first one, of which everything comes back; no later one is longer than all before
PIECES_HELD = 3  # one is filled, one multiplied, one scored
QUERIES_AT_ONCE = 256  # of one thread's turn

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Texts that meet the queries together.

    Attributes:
        numbers: int32 (n,), of the texts.
        vectors: float32 (n, dim), in memory that is used again.
        margin: By how much a product may be wrong.
        sent: The vectors on the device; None where it has no room for them.
        is_whole: Whether it is as long as pieces get.
    """

    numbers: NDArray[np.int32]
    vectors: NDArray[np.float32]
    margin: np.float32
    sent: OnDevice | None
    is_whole: bool


class DeviceScan:
    """A scan whose products are made on a device.

    Args:
        scan: Queries, and where their scores go; nobody else adds to it meanwhile.
        device: As torch names it.
        seen: Texts that the queries have met before.
    """

    def __init__(self, scan: Scan, device: str, *, seen: int = 0) -> None:
        self._scan, self._device, self._seen = scan, device, seen
        self._products: DeviceProducts | None = None
        self._memory: list[NDArray[np.float32]] = []
        try:
            self._products = DeviceProducts(device, scan.queries)
            self._memory = [self._products.memory(TEXTS_HELD) for _ in range(PIECES_HELD)]
        except RuntimeError as error:
            self._leave(error)
        self._reached = np.empty(len(scan.queries), dtype=np.float32)
        nothing = Reaching(np.zeros(len(scan.queries) + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
        self._score(nothing, (np.zeros(0, np.int32), scan.queries[:0]), slice(0, len(scan.queries)), np.float32(0.0))

    def run(self, blocks: Iterable[Block]) -> None:
        """Add the scores of the queries against blocks of texts that may be among their best.

        Raises:
            MachineError: A score is not a number.
        """
        if self._products is None:
            for block in blocks:
                self._scan.add(block)
            return
        with ThreadPoolExecutor(1) as judge:
            scored: Future[None] | None = None
            for piece in read_ahead(self._pieces(blocks)):
                scored = self._meet(piece, judge, scored)
            _wait_for(scored)

    def _pieces(self, blocks: Iterable[Block]) -> Iterator[_Piece]:
        """The texts of some blocks, on their way to the device, in pieces of the lengths that suit it.

        The memory of a piece is that of the one three before, which nobody reads any more: a piece is asked for when
        the one before it is met, and that one is met when the one before it is at most still scored.
        """
        numbers, filled, length = np.empty(TEXTS_HELD, dtype=np.int32), 0, self._longest_piece()
        held = cycle(self._memory)
        vectors = next(held)
        for block_numbers, block_vectors in blocks:
            start = 0
            while start < len(block_numbers):
                count = min(length - filled, len(block_numbers) - start)
                numbers[filled : filled + count] = block_numbers[start : start + count]
                vectors[filled : filled + count] = block_vectors[start : start + count]
                start, filled = start + count, filled + count
                if filled == length:
                    yield self._sent(numbers[:filled].copy(), vectors[:filled])
                    self._seen += filled
                    filled, length, vectors = 0, self._longest_piece(), next(held)
        if filled:
            yield self._sent(numbers[:filled].copy(), vectors[:filled])

    def _longest_piece(self) -> int:
        return min(TEXTS_HELD, max(FIRST_TEXTS, self._seen))

    def _sent(self, numbers: NDArray[np.int32], vectors: NDArray[np.float32]) -> _Piece:
        margin = error_of(vectors.shape[1], self._scan.query_length, longest(vectors), "device")
        sent, products = None, self._products
        if products is not None:
            try:
                sent = products.send(vectors)
            except RuntimeError as error:
                self._leave(error)
        return _Piece(numbers, vectors, margin, sent, is_whole=len(numbers) == TEXTS_HELD)

    def _meet(self, piece: _Piece, judge: ThreadPoolExecutor, scored: Future[None] | None) -> Future[None] | None:
        """Let all queries meet a piece.

        Returns:
            What is still scored: of these queries the last ones.
        """
        products, first, count = self._products, 0, len(self._scan.queries)
        block = piece.numbers, piece.vectors
        while first < count and products is not None and piece.sent is not None:
            part = slice(first, min(first + products.queries_at_once(len(piece.numbers)), count))
            if not piece.is_whole:
                _wait_for(scored)  # what is met first rules out most
            with np.errstate(over="ignore", invalid="ignore"):
                cuts = self._reached[part] - piece.margin
            try:
                reaching = products.reaching(piece.sent, part, cuts)
            except RuntimeError as error:
                if is_out_of_memory(error) and products.halve():
                    continue
                self._leave(error)
                break
            _wait_for(scored)
            scored = judge.submit(self._score, reaching, block, part, piece.margin)
            first = part.stop
        if first < count:
            _wait_for(scored)
            self._scan.add(block, first=first)
            return None
        return scored

    def _score(self, reaching: Reaching, block: Block, part: slice, margin: np.float32) -> None:
        """Score exactly what came back for some queries, and note what they have then."""
        from nightrank.tasks.kernels.loops import score_reaching

        text_numbers, vectors = block
        score = partial(
            score_reaching,
            starts=reaching.starts,
            places=reaching.places,
            products=reaching.products,
            margin=margin,
            queries=self._scan.queries[part],
            texts=vectors,
            text_numbers=text_numbers,
            floors=self._scan.floors(part),
            best=self._scan.best(part),
            documents=self._scan.documents(part),
            reached=self._reached[part],
        )
        self._scan.in_turns(score, part.stop - part.start, at_once=QUERIES_AT_ONCE)

    def _leave(self, error: RuntimeError) -> None:
        """Go on without the device, whose memory does not suffice; any other fault is raised."""
        if not is_out_of_memory(error):
            raise error
        self._products = None
        logger.warning("The memory of %s does not suffice for the dense leg: the processor goes on.", self._device)


def _wait_for(scored: Future[None] | None) -> None:
    if scored is not None:
        scored.result()
