"""Runners timed against one another in one process, in turn, so that a slow minute of the machine hits them all."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Laps:
    """How long one runner took, round by round.

    Attributes:
        seconds: In the order of the rounds; the same place in another runner's laps is the same round.
    """

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle lap, in seconds."""
        return median(self.seconds)

    @property
    def low(self) -> float:
        """The fastest lap, in seconds."""
        return min(self.seconds)

    @property
    def high(self) -> float:
        """The slowest lap, in seconds."""
        return max(self.seconds)

    def times_faster(self, other: Laps) -> tuple[float, ...]:
        """How many times as long the other took, round by round.

        >>> Laps("ours", (1.0, 2.0)).times_faster(Laps("theirs", (3.0, 5.0)))
        (3.0, 2.5)
        """
        return tuple(theirs / ours for ours, theirs in zip(self.seconds, other.seconds, strict=True))


def race(runners: Mapping[str, Callable[[], object]], *, rounds: int = 5) -> dict[str, Laps]:
    """Time runners in turn.

    Each is called once untimed, which warms what it keeps. Then every round calls each once, every second round in
    the order turned round. Garbage is collected between the calls and never within one.

    Args:
        runners: By name; a runner does its whole work when called, and waits for its device.
        rounds: Timed calls of each.

    Returns:
        The laps of each, in the order given.
    """
    for run in runners.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    names = list(runners)
    for number in range(rounds):
        for name in names if number % 2 == 0 else names[::-1]:
            seconds[name].append(timed(runners[name]))
    return {name: Laps(name, tuple(laps)) for name, laps in seconds.items()}


def timed(run: Callable[[], object]) -> float:
    """Seconds that one call takes, without garbage collection in it."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start
    finally:
        if was_enabled:
            gc.enable()
