"""What near answers add to a later day's traffic, from what had been chosen before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nightrank.storage.release.evaluation import LATER_DAY
from nightrank.storage.release.near_record import NearCoverage, NearRecord
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.near.coverage import near_coverage
from nightrank.tasks.near.find import Move
from nightrank.tasks.near.reading import QueryReader
from nightrank.tasks.query_log.aliases import merge_aliases
from nightrank.tasks.query_log.coverage import Candidates
from nightrank.tasks.query_log.demand import PLAIN_FREQUENCY
from nightrank.tasks.query_log.later_day import later_day
from nightrank.tasks.report.plots import coverage_plot
from nightrank.tasks.report.sections import CoveragePoint
from tests.support.query_logs import logged, traffic_of

if TYPE_CHECKING:
    import pyarrow as pa

    from nightrank.tasks.query_log.traffic import Traffic

LOG = [
    logged("read csv", count=5, at="2024-06-01"),
    logged("black tea", count=3, at="2024-06-01"),
    logged("rare thing", count=1, at="2024-06-01"),
    logged("read csv", count=4, at="2024-06-02"),
    logged("reading csv", count=2, at="2024-06-02"),
    logged("tea black", count=1, at="2024-06-02"),
    logged("blakc tea", count=1, at="2024-06-02"),
    logged("rare things", count=1, at="2024-06-02"),
    logged("quite new", count=1, at="2024-06-02"),
]


def day(traffic: Traffic, *, budget: int, unanswered: int = 0) -> pa.Table:
    merged = merge_aliases(traffic, near=True)
    every = np.ones(len(merged.texts), dtype=bool)
    last = int(merged.entries.days.max())
    candidates = Candidates(merged.names, merged.entries, every, every)
    return later_day(candidates, PLAIN_FREQUENCY, merged, unanswered={last: unanswered}, budget=budget)


def test_it_is_the_share_of_the_newest_day_that_chosen_queries_answer_and_that_is_near_to_them() -> None:
    later = day(traffic_of(LOG), budget=2, unanswered=6)
    assert later.schema == LATER_DAY
    found = near_coverage(
        later,
        read=QueryReader(Analyser(("english",)), [0]),
        terms=set(),
        ranking=lambda _: ("d",),
        persistence=0.9,
        least_agreement=0.8,
        moves=(Move.WORDING, Move.SPELLING),
    )
    assert found is not None
    assert found.exact == pytest.approx(4 / 16)  # "rare thing" is over the budget; what may not be kept is traffic
    assert found.near == {"wording": pytest.approx(2 / 16), "spelling": pytest.approx(1 / 16)}


def test_a_log_of_one_day_has_no_later_one() -> None:
    assert day(traffic_of(LOG[:3]), budget=2).num_rows == 0


def test_the_report_draws_coverage_with_and_without() -> None:
    points = [CoveragePoint("chosen", 1, 0, 0.2), CoveragePoint("chosen", 2, 0, 0.25)]
    coverage = NearCoverage(exact=0.25, near={"wording": 0.125, "spelling": 0.0625})
    drawn = [
        coverage_plot(points, near) for near in (None, NearRecord(confidence=0.95, seed=0, moves=(), coverage=coverage))
    ]
    assert all(drawn)
    assert drawn[0] != drawn[1]
