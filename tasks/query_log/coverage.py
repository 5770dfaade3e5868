"""Coverage against budget: how much of a later day would have been answered, had queries been chosen before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from nightrank.storage.release.evaluation import COVERAGE
from nightrank.tasks.query_log.demand import by_demand, days_with_enough, demand
from nightrank.tasks.query_log.traffic import UNDATED, totals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.query_log.demand import Rule
    from nightrank.tasks.query_log.traffic import Entries


class Candidates(NamedTuple):
    """Queries that may be chosen, as one strategy sees them.

    Attributes:
        names: What tells each query from all others, (n,).
        entries: Traffic by query and day.
        allowed: Whether a query may be kept, bool (n,).
        known: Whether the live release answers it, bool (n,).
    """

    names: Sequence[str]
    entries: Entries
    allowed: NDArray[np.bool_]
    known: NDArray[np.bool_]


def coverage_curve(
    strategies: Mapping[str, tuple[Candidates, Rule]],
    *,
    unanswered: Mapping[int, int],
    budget: int,
    pairs_per_query: int,
) -> pa.Table:
    """The share of a held-out day's traffic that budgets of 1, 2, 5, 10 and so on, and the actual one, answer.

    The day that is held out is the newest whose traffic is at least a tenth of the median day's; of a log by month it
    is the newest month. Queries are chosen from the days before it alone.

    Args:
        strategies: By name, what may be chosen and by which rule.
        unanswered: Further searches by day that nothing answers.
        budget: The one of the settings.
        pairs_per_query: To score for a new query, at most.

    Returns:
        Schema COVERAGE; empty where the log has no two days.
    """
    day = held_out_day(next(iter(strategies.values()))[0].entries)
    rows: list[tuple[str, int, int, float]] = []
    for name, (candidates, rule) in strategies.items():
        if day is None:
            break
        order, traffic = chosen_before(candidates, rule, day=day)
        total = int(traffic.sum()) + unanswered.get(day, 0)
        answered, new = np.cumsum(traffic[order]), np.cumsum(~candidates.known[order])
        rows += [
            (name, size, int(new[size - 1]) * pairs_per_query, float(answered[size - 1] / total))
            for size in budgets_up_to(len(order), budget=budget)
        ]
    columns = list(zip(*rows, strict=True)) or [()] * len(COVERAGE)
    return pa.table([pa.array(c, field.type) for c, field in zip(columns, COVERAGE, strict=True)], schema=COVERAGE)


def chosen_before(candidates: Candidates, rule: Rule, *, day: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What a rule, on the evening before a day, would have chosen, and what the day then brought.

    Args:
        candidates: What may be chosen, with the traffic of all days.
        rule: How past traffic counts.
        day: The day; nothing of it and of later ones decides the choice.

    Returns:
        Queries in the order in which they are chosen, int64 (m,), and each query's searches on the day, int64 (n,).
    """
    entries, size = candidates.entries, len(candidates.names)
    before = entries.where(entries.days < day)
    on_the_day = entries.where(entries.days == day)
    seen, traffic = (totals(part, part.counts, size=size) for part in (before, on_the_day))
    demands = demand(before, size=size, rule=rule)
    return by_demand(demands, seen, candidates.names, among=np.flatnonzero(candidates.allowed & (seen > 0))), traffic


def held_out_day(entries: Entries) -> int | None:
    """The newest day with traffic enough to measure on; None where no other day comes before it."""
    enough = days_with_enough(entries)
    is_first = enough.size == 0 or not (entries.where(entries.days != UNDATED).days < enough[-1]).any()
    return None if is_first else int(enough[-1])


def budgets_up_to(most: int, *, budget: int) -> list[int]:
    """Budgets on a scale of 1, 2, 5, 10 and so on up to all ``most`` queries, with the actual one where it is less.

    >>> budgets_up_to(30, budget=7)
    [1, 2, 5, 7, 10, 20, 30]
    """
    scale = {step * 10**power for power in range(len(str(most))) for step in (1, 2, 5)}
    return sorted(size for size in scale | {budget, most} if 0 < size <= most)
