"""Clicks as judgments: grades from 0 to 10 for what enough people looked at, and nothing of the rest.

A document that few looked at has no judgment, which is not the same as a bad one. Queries are named by their words, as
they are in a log without ids.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nightrank.storage.errors import InputError
from nightrank.storage.records import Judgment
from nightrank.tasks.judgments.clicks.models import clicks_over_expected, position_based
from nightrank.tasks.trec.qrels import can_be_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.judgments.clicks.counts import ClickCounts
    from nightrank.tasks.judgments.clicks.models import Attractiveness, ClickModel

HIGHEST = 10  # the grade of what is always opened
LEAST_LOOKS = 10.0  # at a document, for its clicks to say something


@dataclass(frozen=True, slots=True)
class ClickRules:
    """How clicks become judgments.

    Attributes:
        model: Which.
        least_looks: At a document, as far as propensities tell, for it to be judged.
        propensities: Of a look at each rank, where they are known; None: they are estimated.

    Raises:
        InputError: Numbers are none that looks or chances can be, or propensities are given to a model that asks for
            none.
    """

    model: ClickModel = "position"
    least_looks: float = LEAST_LOOKS
    propensities: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.least_looks < math.inf:
            raise InputError(f"--least-looks {self.least_looks:g} is no number of looks.", remedy="Give one above 0.")
        for value in self.propensities or ():
            if not 0.0 < value <= 1.0:
                message = f"--propensity {value:g} is no chance of a look."
                raise InputError(message, remedy="Give numbers above 0 and up to 1, the first rank's first.")
        if self.propensities is not None and self.model != "position":
            message = f"--propensity says nothing to the click model {self.model!r}."
            raise InputError(message, remedy="Leave it out, or take --click-model position.")


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
