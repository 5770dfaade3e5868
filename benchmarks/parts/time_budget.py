"""A program's time divided among its parts: what is left is shared by weight, and a part without enough is skipped."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.parts.claims import Claim


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a program's work.

    Attributes:
        weight: Of its share of the time.
        least_seconds: With less it is skipped.
        run: Takes the seconds that it has.
    """

    name: str
    weight: float
    least_seconds: float
    run: Callable[[float], list[Claim]]


@dataclass
class Told:
    """What a program did.

    Attributes:
        claims: Of all parts that ran.
        undone: Lines about parts that were skipped or failed.
        has_failed: Whether one failed.
    """

    claims: list[Claim] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    has_failed: bool = False


def run_parts(parts: Sequence[Part], seconds: float, *, clock: Callable[[], float] = time.monotonic) -> Iterator[Told]:
    """Run parts one after the other; a fault of one leaves the others alone.

    Args:
        parts: In their order; what one leaves of its share is there for the next.
        seconds: For all.
        clock: Of seconds.

    Yields:
        What was done, after each part: the same record, which grows.
    """
    told, end = Told(), clock() + seconds
    for place, part in enumerate(parts):
        left = end - clock()
        share = left * part.weight / sum(one.weight for one in parts[place:])
        if share < part.least_seconds:
            told.undone.append(f"skipped: {part.name}, which takes {part.least_seconds:.0f} s; {share:.0f} s are left")
        else:
            try:
                told.claims += part.run(share)
            except Exception as error:
                traceback.print_exc()
                told.undone.append(f"failed: {part.name}: {type(error).__name__}: {error}")
                told.has_failed = True
        yield told


def amount_within(seconds: float, *, seconds_each: float, calls: int, least: int, most: int) -> int:
    """How much may be done in each of some calls.

    Args:
        seconds: For all calls.
        seconds_each: What one unit takes in all runners together.
        calls: Of each runner.
        least: Units, where time is short.
        most: Units.

    >>> amount_within(60.0, seconds_each=0.01, calls=4, least=10, most=10_000)
    1500
    >>> amount_within(0.0, seconds_each=0.01, calls=4, least=10, most=10_000)
    10
    """
    return max(least, min(most, int(seconds / (calls * seconds_each))))
