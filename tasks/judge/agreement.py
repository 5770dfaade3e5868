"""How far two judges agree, beyond what chance would have them agree.

Cohen's kappa (Cohen, "A coefficient of agreement for nominal scales", 1960) counts any two grades that differ alike;
the weighted one (Cohen, 1968) by the square of their difference. Kendall's tau-b of systems (as Voorhees, "Variations
in relevance judgments", 2000, has it) asks whether both put the systems in the same order, which is what judgments are
for.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nightrank.tasks.evaluate.measures import evaluate_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.records import Judgment
    from nightrank.tasks.trec.runs import Entry

GRADES = 4  # 0 to 3
Pair = tuple[str, str]


class Agreement(NamedTuple):
    """How far two judges agree on what both judged.

    Attributes:
        queries: Of which both judged something.
        pairs: Of query and document that both judged.
        same: Share of them with the same grade; NaN without any.
        kappa: Cohen's; NaN where it says nothing, as where both gave one grade alone.
        weighted_kappa: With the squares of differences.
    """

    queries: int
    pairs: int
    same: float
    kappa: float
    weighted_kappa: float


def agreement(one: Mapping[Pair, int], other: Mapping[Pair, int], *, most: int = GRADES - 1) -> Agreement:
    """How far two judges agree.

    Args:
        one: Grades by query id and document id, from 0 to ``most``; those beyond count as the nearest of these.
        other: Likewise, from 0 to 3.
        most: The highest grade of the one. Where it is 1, the other's 2 and 3 are relevant, as TREC has it; where it
            is 2, they are 1 and 2.
    """
    both = sorted(one.keys() & other.keys())
    table = np.zeros((GRADES, GRADES))
    for pair in both:
        table[_graded(one[pair]), at_scale(_graded(other[pair]), most)] += 1
    apart = np.abs(np.subtract.outer(np.arange(GRADES), np.arange(GRADES)))
    return Agreement(
        queries=len({query_id for query_id, _ in both}),
        pairs=len(both),
        same=float(np.trace(table) / len(both)) if both else math.nan,
        kappa=kappa(table, (apart > 0).astype(np.float64)),
        weighted_kappa=kappa(table, (apart**2).astype(np.float64)),
    )


def kappa(table: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """1 - observed disagreement / that of chance; NaN where chance alone would have no disagreement.

    Args:
        table: float (k, k), how often the one said i and the other j.
        weights: float (k, k), how bad that is.

    >>> round(kappa(np.array([[20.0, 5.0], [10.0, 15.0]]), 1.0 - np.eye(2)), 4)
    0.4
    """
    total = table.sum()
    if not total:
        return math.nan
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    by_chance = float((weights * expected).sum())
    return 1.0 - float((weights * table).sum()) / by_chance if by_chance else math.nan


def tau_of_systems(
    runs: Mapping[str, Sequence[Entry]],
    one: Sequence[Judgment],
    other: Sequence[Judgment],
    *,
    measure: str,
) -> tuple[float, int]:
    """Kendall's tau-b between the orders in which two sets of judgments put systems, and how many systems there are.

    Both are asked about the queries that both judged alone. NaN where there are fewer than two systems, or one order
    says nothing.

    Args:
        runs: Of systems.
        one: The qrels of a judge.
        other: Of the other.
        measure: As ir_measures writes it.
    """
    ids = {judgment.query_id for judgment in one} & {judgment.query_id for judgment in other}
    if not ids or len(runs) < 2:
        return math.nan, len(runs)
    from scipy.stats import kendalltau

    means = [
        [_mean(run, [judgment for judgment in judgments if judgment.query_id in ids], measure) for run in runs.values()]
        for judgments in (one, other)
    ]
    return float(kendalltau(*means, variant="b").statistic), len(runs)


def _mean(run: Sequence[Entry], judgments: Sequence[Judgment], measure: str) -> float:
    values = [value for _, _, value in evaluate_run(run, judgments, [measure])]
    return round(sum(values) / len(values), 9)  # so that sums in another order are no difference


def at_scale(grade: int, most: int) -> int:
    """A grade from 0 to 3 where the highest one is lower.

    >>> [[at_scale(grade, most) for grade in range(4)] for most in (1, 2, 3)]
    [[0, 0, 1, 1], [0, 0, 1, 2], [0, 1, 2, 3]]
    """
    return grade if most >= GRADES - 1 else min(max(grade - 1, 0), most)


def _graded(grade: int) -> int:
    return min(max(grade, 0), GRADES - 1)
