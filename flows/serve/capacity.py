"""How many answers are made at once, and how many requests wait for theirs: others are told at once to come later."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from nightrank.flows.serve.http.faults import TooBusy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

MEANWHILE = "; queries that were answered in advance are answered meanwhile"
NEWEST_WEIGHT = 0.1  # of the newest answer's seconds among all


class Capacity:
    """Seats for what takes long. Of one event loop alone.

    Args:
        at_once: Seats.
        waiting: Requests that wait for one.
        clock: Seconds.
    """

    def __init__(self, at_once: int, waiting: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = at_once + waiting  # requests that are in here at most
        self._at_once = at_once
        self._seats = asyncio.Semaphore(at_once)
        self._clock = clock
        self._inside = 0
        self._seconds = 1.0  # of an answer

    @property
    def running(self) -> int:
        """Requests that have a seat."""
        return min(self._inside, self._at_once)

    @property
    def waiting(self) -> int:
        """Requests that wait for one."""
        return self._inside - self.running

    @asynccontextmanager
    async def seat(self) -> AsyncIterator[None]:
        """A seat for the length of a block.

        Raises:
            TooBusy: As many wait as may.
        """
        if self._inside >= self.most:
            seconds = max(1, math.ceil(self._seconds * self._inside / self._at_once))
            raise TooBusy(seconds, meanwhile=MEANWHILE)
        self._inside += 1
        try:
            async with self._seats:
                begun = self._clock()
                yield
                self._seconds += NEWEST_WEIGHT * (self._clock() - begun - self._seconds)
        finally:
            self._inside -= 1
