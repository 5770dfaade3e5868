"""How much each query is in demand: what its traffic so far lets expect of the days to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nightrank.tasks.query_log.traffic import UNDATED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.query_log.traffic import Entries


LEAST_OF_A_DAY = 0.1  # of the median day's traffic: a day with less is cut off, or its date is a mistake


@dataclass(frozen=True, slots=True)
class Rule:
    """How past traffic counts.

    Attributes:
        half_life_days: Age at which a count weighs half; None: age does not matter.
        count_exponent: What each day's count is raised to before days are added.
    """

    half_life_days: float | None
    count_exponent: float


PLAIN_FREQUENCY = Rule(half_life_days=None, count_exponent=1.0)


def demand(entries: Entries, *, size: int, rule: Rule) -> NDArray[np.float64]:
    """The demand for each query: the sum over its days of count ** count_exponent * 2 ** (-age / half_life_days).

    Age is in days, back from the newest day with enough traffic, so that the same log gives the same demand whenever
    it is read, and a date in the far future makes nothing old; what is later or has no date counts as of that day. A
    power below 1 lets a query that comes day after day outweigh one that came as often on one day. On a log of one
    day, or without dates, the order is that of plain frequency.

    Args:
        entries: Traffic by query and day.
        size: How many queries there are.
        rule: How it counts.

    Returns:
        float64 (size,), 0 where a query has no entry.

    >>> from nightrank.tasks.query_log.traffic import Entries
    >>> log = Entries(np.array([0, 0, 1]), np.array([10, 20, 20]), np.ones(3, np.int64), np.array([9, 16, 25]))
    >>> demand(log, size=3, rule=Rule(half_life_days=10.0, count_exponent=0.5)).tolist()
    [5.5, 5.0, 0.0]
    """
    weights = entries.counts.astype(np.float64) ** rule.count_exponent
    if rule.half_life_days is not None and len(entries):
        enough = days_with_enough(entries)
        newest = enough[-1] if enough.size else UNDATED
        ages = np.where(entries.days == UNDATED, 0, np.maximum(newest - entries.days, 0))
        weights *= np.exp2(-ages / rule.half_life_days)
    demands = np.zeros(size, dtype=np.float64)
    np.add.at(demands, entries.numbers, weights)
    return demands


def days_with_enough(entries: Entries) -> NDArray[np.int64]:
    """The days whose traffic is at least a tenth of the median day's, int64 (n,), ascending; undated rows have none.

    >>> from nightrank.tasks.query_log.traffic import Entries
    >>> log = Entries(np.arange(4), np.array([UNDATED, 7, 8, 9000]), np.ones(4, np.int64), np.array([50, 40, 30, 1]))
    >>> days_with_enough(log).tolist()
    [7, 8]
    """
    dated = entries.where(entries.days != UNDATED)
    days, places = np.unique(dated.days, return_inverse=True)
    traffic = np.zeros(len(days), dtype=np.int64)
    np.add.at(traffic, places, dated.counts)
    return days[traffic >= LEAST_OF_A_DAY * np.median(traffic)] if len(days) else days


def by_demand(
    demands: NDArray[np.float64], counts: NDArray[np.int64], texts: Sequence[str], *, among: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Queries by demand, the highest first; equals by their count, then by text.

    Args:
        demands: float64 (n,).
        counts: int64 (n,).
        texts: (n,).
        among: The queries to order, int64 (m,).

    Returns:
        int64 (m,).

    >>> by_demand(np.array([1.0, 2.0, 1.0]), np.array([3, 1, 4]), ["a", "b", "c"], among=np.arange(3)).tolist()
    [1, 2, 0]
    """
    order = sorted(among.tolist(), key=lambda query: (-demands[query], -counts[query], texts[query]))
    return np.array(order, dtype=np.int64)
