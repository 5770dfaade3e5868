"""Clicks as judgments: grades from 0 to 10 for what enough people looked at, and nothing of the rest.

A document that few looked at has no judgment, which is not the same as a bad one. Queries are named by their words, as
they are in a log without ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nightrank.storage.records import Judgment
from nightrank.tasks.judgments.clicks.models import clicks_over_expected, position_based
from nightrank.tasks.trec.qrels import can_be_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.judgments.clicks.counts import ClickCounts
    from nightrank.tasks.judgments.clicks.models import Attractiveness, ClickModel
    from nightrank.tasks.judgments.clicks.rules import ClickRules

HIGHEST = 10  # the grade of what is always opened


@dataclass(frozen=True, slots=True)
class ClickJudgments:
    """What clicks came to.

    Attributes:
        judgments: By query, then document.
        model: That made them.
        impressions: Of documents, those that counted.
        clicks: Among them.
        queries: That have a judgment over 0.
        pairs: Of query and document that were shown.
        moved: Those of them that were shown at several ranks.
        propensities: Of a look at each rank.
        estimated: Whether these were estimated; else they were given, or are assumed.
    """

    judgments: tuple[Judgment, ...]
    model: ClickModel
    impressions: int
    clicks: int
    queries: int
    pairs: int
    moved: int
    propensities: tuple[float, ...]
    estimated: bool

    def as_json(self) -> dict[str, JsonValue]:
        """What ``judge --json`` says of them."""
        return {
            "click_model": self.model,
            "judged": len(self.judgments),
            "queries": self.queries,
            "impressions": self.impressions,
            "clicks": self.clicks,
            "pairs": self.pairs,
            "moved": self.moved,
            "propensities": [round(value, 4) for value in self.propensities],
            "estimated": self.estimated,
        }


def judged_by_clicks(counts: ClickCounts, rules: ClickRules) -> ClickJudgments:
    """The judgments that clicks give.

    A query of which nothing was opened has none: that nobody clicked says nothing of which document is better. Nor has
    one whose words, or a document whose id, cannot stand in a file of judgments.

    Args:
        counts: Of impressions.
        rules: Which model, and how much support it needs.
    """
    if not counts.pairs:
        return ClickJudgments((), rules.model, 0, 0, 0, 0, 0, (), estimated=False)
    if rules.model == "position":
        found = position_based(counts, propensities=rules.propensities)
    else:
        found = clicks_over_expected(counts)
    judgments = _graded(counts.pairs, found, least_looks=rules.least_looks)
    return ClickJudgments(
        judgments=tuple(judgments),
        model=rules.model,
        impressions=int(counts.shown.sum()),
        clicks=int(counts.clicked.sum()),
        queries=len({judgment.query_id for judgment in judgments}),
        pairs=len(counts.pairs),
        moved=counts.moved,
        propensities=tuple(found.propensities.tolist()),
        estimated=found.estimated,
    )


def _graded(pairs: Sequence[tuple[str, str]], found: Attractiveness, *, least_looks: float) -> list[Judgment]:
    supported = [
        number
        for number in np.flatnonzero(found.looks >= least_looks).tolist()
        if all(map(can_be_named, pairs[number]))
    ]
    grades = np.rint(HIGHEST * found.values).astype(int)
    opened = {pairs[number][0] for number in supported if grades[number] > 0}
    return [
        Judgment(*pairs[number], int(grades[number]), "clicks") for number in supported if pairs[number][0] in opened
    ]
