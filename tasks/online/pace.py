"""How many pairs a reranker can score before an answer is due: the best candidates first, a few at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

PAIRS_AT_ONCE = 4
QUERY_TOKENS = 16  # about, of a query, which each pair has beside its passage
NEWEST_WEIGHT = 0.25  # of the newest measurement among all


@dataclass(slots=True)
class Speed:
    """How long pairs have taken of late; threads may share one."""

    seconds_per_token: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    def add(self, tokens: int, seconds: float) -> None:
        """Take a measurement in."""
        measured = seconds / max(1, tokens)
        with self._lock:
            known = self.seconds_per_token
            self.seconds_per_token = measured if known == 0.0 else known + NEWEST_WEIGHT * (measured - known)


@dataclass(frozen=True, slots=True)
class Pace:
    """Parts of a query's pairs as long as there is time for one more.

    Attributes:
        due: When the answer is, by the clock.
        speed: What a part is expected to take, and what is learned of it.
        clock: Seconds.
    """

    due: float
    speed: Speed
    clock: Callable[[], float] = time.monotonic

    def parts(self, tokens: NDArray[np.integer]) -> Iterator[slice]:
        """The next pairs to score, until the next would be late; what is done with each is timed.

        Args:
            tokens: int (n,), of the passages, best first.

        >>> import numpy as np
        >>> ticks = iter([0.0, 0.0, 1.0, 1.0, 2.0])
        >>> pace = Pace(1.5, Speed(1.0 / 80), clock=lambda: next(ticks))  # a second for four pairs of 4 + 16 tokens
        >>> list(pace.parts(np.full(12, 4)))
        [slice(0, 4, None)]
        """
        for first in range(0, len(tokens), PAIRS_AT_ONCE):
            part = slice(first, min(first + PAIRS_AT_ONCE, len(tokens)))
            length = int(tokens[part].sum()) + QUERY_TOKENS * (part.stop - part.start)
            begun = self.clock()
            if begun + length * self.speed.seconds_per_token > self.due:
                return
            yield part
            self.speed.add(length, self.clock() - begun)
