"""Single stages against the published order, on queries whose rankings are made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.records import CANDIDATES, QUERIES, Judgment
from nightrank.storage.release.evaluation import COMPARISON
from nightrank.storage.release.files import ReleaseFiles
from nightrank.tasks.evaluate.single_stages import BestStage, best_stage, compare_single_stages, read_best_stage
from nightrank.tasks.settings.ranking import ResultsSettings
from tests.tasks.evaluate.test_measures import candidate

if TYPE_CHECKING:
    from pathlib import Path


def compared(
    better: int,
    worse: int,
    *,
    results: ResultsSettings | None = None,
    measure: str = "RR@10",
    extra: tuple[Judgment, ...] = (),
) -> pa.Table:
    """BM25 has the relevant document first and the final order second on some queries, the reverse on others.

    The dense leg finds only the document that is not relevant, and fusion has what is final.
    """
    rows = []
    for number in range(better + worse):
        good, other = (1, 2) if number < better else (2, 1)
        key = f"k{number:02}"
        rows += [
            candidate(key, "good#0", rank=3 - good, bm25_rank=good, bm25_score=1.0 / good),
            candidate(key, "other#0", rank=3 - other, bm25_rank=other, bm25_score=1.0 / other, dense_rank=1),
        ]
    queries = [
        {"query_key": f"k{number:02}", "text": "a", "count": 1, "query_ids": [f"q{number:02}"]}
        for number in range(better + worse)
    ]
    table = compare_single_stages(
        pa.Table.from_pylist(rows, schema=CANDIDATES),
        pa.Table.from_pylist(queries, schema=QUERIES),
        [*(Judgment(f"q{number:02}", "good", 1) for number in range(better + worse)), *extra],
        measure=measure,
        candidate_depth=100,
        results=results or ResultsSettings(),
        ignore_identical_ids=False,
        generator=np.random.default_rng(0),
    )
    assert table.schema == COMPARISON
    return table


def rows_by_stage(table: pa.Table) -> dict[str, dict[str, float]]:
    return {row["stage"]: row for row in table.to_pylist()}


def test_each_single_stage_is_held_against_the_final_order_query_by_query() -> None:
    found = rows_by_stage(compared(9, 1))

    assert list(found) == ["bm25", "dense", "fused"]
    assert found["bm25"]["before"] == pytest.approx((9 * 0.5 + 1.0) / 10)
    assert found["bm25"]["after"] == pytest.approx((9 * 1.0 + 0.5) / 10)
    assert (found["bm25"]["wins"], found["bm25"]["ties"], found["bm25"]["losses"]) == (9, 0, 1)
    assert found["dense"]["after"] == 0.0
    assert (found["fused"]["difference"], found["fused"]["p_value"]) == (0.0, 1.0)


def test_the_correction_is_over_the_stages() -> None:
    found = rows_by_stage(compared(9, 1))
    # of 1024 ways to flip ten equal signs 22 have nine or ten alike: dense loses more surely, BM25 is second of three
    assert found["bm25"]["p_value"] == pytest.approx(22 / 1024)
    assert found["bm25"]["p_holm"] == pytest.approx(2 * 22 / 1024)


def test_a_stage_that_is_better_beyond_chance_is_told_with_its_figures() -> None:
    found = best_stage(compared(9, 1))

    assert found is not None
    assert (found.stage, found.measure, found.queries) == ("bm25", "RR@10", 10)
    assert (found.published, found.alone, found.difference) == pytest.approx((0.55, 0.95, 0.4))
    assert 0.0 < found.low < found.difference < found.high <= 0.5


@pytest.mark.parametrize(("better", "worse"), [(5, 0), (8, 2), (5, 5), (0, 9)])
def test_what_chance_can_do_is_not_told(better: int, worse: int) -> None:
    assert best_stage(compared(better, worse)) is None


def test_of_several_stages_the_best_is_told() -> None:
    rows = compared(9, 1).to_pylist()
    fused = {**rows[0], "stage": "fused", "after": 0.99, "difference": 0.44}
    found = best_stage(pa.Table.from_pylist([rows[0], fused], schema=COMPARISON))
    assert found is not None
    assert found.stage == "fused"


def test_documents_that_are_not_published_count_for_no_stage() -> None:
    assert best_stage(compared(9, 0, results=ResultsSettings(depth=2), measure="R@100")) is None  # both have both
    first = best_stage(compared(9, 0, results=ResultsSettings(depth=1), measure="R@100"))
    assert first is not None
    assert (first.published, first.alone) == (0.0, 1.0)


def test_what_diversifying_costs_is_not_held_against_the_order() -> None:
    plain, diverse = compared(9, 1), compared(9, 1, results=ResultsSettings(mmr_lambda=0.5))
    assert diverse.equals(plain)


def test_a_judged_query_that_is_not_answered_counts_for_all_alike() -> None:
    found = rows_by_stage(compared(9, 1, extra=(Judgment("lost", "good", 1),)))["bm25"]
    assert (found["queries"], found["ties"]) == (11, 1)
    assert found["before"] == pytest.approx(5.5 / 11)


def test_without_judgments_nothing_is_compared_and_nothing_told() -> None:
    empty = compared(0, 0)
    assert empty.num_rows == 0
    assert best_stage(empty) is None


def test_the_sentence_has_the_figure_its_interval_and_what_to_do() -> None:
    found = BestStage("dense", "nDCG@10", 120, 0.625, 0.641, 0.016, 0.004, 0.028, 0.01)
    assert found.warning == (
        "The dual encoder alone has nDCG@10 0.641, the published order 0.625: 0.016 less (95 % interval 0.004 to "
        "0.028, 120 judged queries). Run `nightrank tune`."
    )


def test_a_release_without_the_file_or_with_a_damaged_one_says_nothing(tmp_path: Path) -> None:
    file = ReleaseFiles(tmp_path).single_stages
    assert read_best_stage(file) is None
    file.write(compared(9, 1))
    found = read_best_stage(file)
    assert found is not None
    assert found.stage == "bm25"
    file.path.write_bytes(b"torn")
    assert read_best_stage(file) is None
