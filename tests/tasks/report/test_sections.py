"""What the report makes of a comparison, of coverage, of what stands beside the ladder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.storage.files.parquet import read_table
from nightrank.storage.release.evaluation import COVERAGE
from nightrank.tasks.report.sections import Compared, coverage_points, stages_beside
from tests.support.reported import MEASURES, write_rows

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("difference", "p_holm", "verdict"),
    [(0.1, 0.01, "better"), (-0.1, 0.01, "worse"), (-0.1, 0.05, "no evidence"), (0.0, 0.0, "no evidence")],
)
def test_a_verdict_needs_a_corrected_p_below_5_percent(difference: float, p_holm: float, verdict: str) -> None:
    row = Compared("bm25", "BM25", "nDCG@10", 9, 0.5, 0.5, difference, -0.2, 0.2, 0.001, p_holm, 1, 1, 1)

    assert row.verdict == verdict


def test_the_reranker_alone_and_the_published_results_stand_beside_the_ladder() -> None:
    means = dict.fromkeys(("bm25", "dense", "results", "reranker"), MEASURES)

    assert [stage.stage for stage in stages_beside(means)] == ["reranker", "results"]


def test_coverage_comes_by_strategy_and_budget(tmp_path: Path) -> None:
    rows = [("frequency", 10, 5, 0.1), ("chosen", 20, 9, 0.3), ("chosen", 10, 5, 0.2)]
    write_rows(tmp_path / "coverage.parquet", COVERAGE, rows)

    assert coverage_points(read_table(tmp_path / "coverage.parquet")) == [rows[2], rows[1], rows[0]]
