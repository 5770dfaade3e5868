"""A later day of the log query by query: what was asked on it, and what had been chosen the evening before.

Coverage is one figure of that day; near answers are tried on the queries themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.release.evaluation import LATER_DAY
from nightrank.tasks.query_log.coverage import chosen_before, held_out_day
from nightrank.tasks.query_log.traffic import totals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nightrank.tasks.query_log.aliases import Merged
    from nightrank.tasks.query_log.coverage import Candidates
    from nightrank.tasks.query_log.demand import Rule


def later_day(
    candidates: Candidates, rule: Rule, merged: Merged, *, unanswered: Mapping[int, int], budget: int
) -> pa.Table:
    """What the day that coverage is measured on brought.

    Args:
        candidates: What may be chosen, with the traffic of all days.
        rule: How past traffic counts.
        merged: The same queries, for their texts and filters.
        unanswered: Further searches by day that nothing answers.
        budget: How many queries are chosen.

    Returns:
        Schema LATER_DAY: the queries that had been chosen, and the others that were asked; empty where the log has no
        two days.
    """
    day = held_out_day(candidates.entries)
    if day is None:
        return LATER_DAY.empty_table()
    order, searches = chosen_before(candidates, rule, day=day)
    is_chosen = np.zeros(len(merged.texts), dtype=bool)
    is_chosen[order[:budget]] = True
    before = candidates.entries.where(candidates.entries.days < day)
    counts = totals(before, before.counts, size=len(merged.texts))
    kept = np.flatnonzero(is_chosen | (searches > 0)).tolist()
    rows: list[tuple[str | None, str | None, int, int, bool]]
    rows = [(merged.texts[n], merged.conditions[n], int(counts[n]), int(searches[n]), bool(is_chosen[n])) for n in kept]
    rows.append((None, None, 0, unanswered.get(day, 0), False))
    columns = zip(*rows, strict=True)
    return pa.table([pa.array(c, field.type) for c, field in zip(columns, LATER_DAY, strict=True)], schema=LATER_DAY)
