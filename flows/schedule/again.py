"""When a refresh is begun again that the machine or a store kept from ending well.

It is told by the last runs, as the server has them, so that a schedule which is itself begun again goes on from there.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

FIRST_WAIT, LONGEST_WAIT = 60.0, 3600.0  # seconds; each wait is twice the one before


class Ran(NamedTuple):
    """A refresh that was begun.

    Attributes:
        may_pass: Whether it failed for the machine's or a store's sake, so that another one may end well.
        ended: When it ended; None while it works.
        on_change: Whether the watcher began it, who begins it again himself.
    """

    may_pass: bool
    ended: datetime | None
    on_change: bool = False


def due_again(runs: Sequence[Ran]) -> datetime | None:
    """When the next one is due before its time; None where the last one ended in another way, or works.

    Args:
        runs: The last ones, the newest first.
    """
    failed = list(takewhile(lambda run: run.may_pass and run.ended is not None, runs))
    if not failed or failed[0].on_change or failed[0].ended is None:
        return None
    return failed[0].ended + timedelta(seconds=min(FIRST_WAIT * 2.0 ** (len(failed) - 1), LONGEST_WAIT))
