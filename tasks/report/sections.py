"""What a release is worth, as its report tells it: what stands beside the ladder, coverage, the comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nightrank.tasks.evaluate.ladder import Rung
from nightrank.tasks.names import STAGE_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

BESIDE = ("reranker", "results")  # measured, and no rungs of the ladder
SIGNIFICANT = 0.05


class CoveragePoint(NamedTuple):
    """What share of a later day's traffic a budget of queries answers, and for how many new pairs."""

    strategy: str
    queries: int
    pairs: int
    share: float


class Compared(NamedTuple):
    """One stage and measure, now and before, on the same judged queries."""

    stage: str
    name: str
    measure: str
    queries: int
    before: float
    after: float
    difference: float
    low: float
    high: float
    p_value: float
    p_holm: float
    wins: int
    ties: int
    losses: int

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` where the corrected test says so, else ``no evidence``."""
        if self.p_holm >= SIGNIFICANT or self.difference == 0:
            return "no evidence"
        return "better" if self.difference > 0 else "worse"


def stages_beside(means: Mapping[str, Mapping[str, float]]) -> list[Rung]:
    """What is measured beside the ladder's rungs: the reranker alone, and the results as published."""
    return [Rung(stage, STAGE_NAMES[stage], means[stage], None) for stage in BESIDE if stage in means]


def coverage_points(coverage: pa.Table) -> list[CoveragePoint]:
    """The rows of a table of schema COVERAGE, by strategy, smallest budget first."""
    return sorted(CoveragePoint(**row) for row in coverage.to_pylist())


def comparison_rows(comparison: pa.Table) -> list[Compared]:
    """The rows of a table of schema COMPARISON, in the ladder's order of stages."""
    order = list(STAGE_NAMES)
    rows = [Compared(name=STAGE_NAMES.get(row["stage"], row["stage"]), **row) for row in comparison.to_pylist()]
    return sorted(rows, key=lambda row: order.index(row.stage) if row.stage in order else len(order))
