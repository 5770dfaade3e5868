from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError
from nightrank.storage.release.manifest import Gate
from nightrank.tasks.bm25.audit import Bm25Audit
from nightrank.tasks.evaluate.single_stages import BestStage
from nightrank.tasks.gates.ranking_changes import LostQueries, RankingChanges
from nightrank.tasks.gates.rules import (
    GATES,
    Incomparable,
    QualityChange,
    best_stage_gate,
    bm25_gate,
    check_overrides,
    coverage_gate,
    empty_gate,
    integrity_gate,
    judged_gate,
    kept_gate,
    non_inferiority_gate,
    overlap_gate,
    overridden,
    source_age_gate,
    top1_gate,
)

if TYPE_CHECKING:
    from nightrank.storage.judged import JudgedBy


def test_a_whole_release_passes_the_integrity_gate() -> None:
    gate = integrity_gate({"chunks without a vector": 0, "documents without a chunk": 0})
    assert (gate.name, gate.passed, gate.value, gate.threshold) == ("integrity", True, 0.0, 0.0)
    assert "agree" in gate.reason


def test_every_fault_is_named_with_its_count() -> None:
    gate = integrity_gate({"chunks without a vector": 2, "fine": 0, "queries without an entry in the cache": 1})
    assert not gate.passed
    assert gate.value == 3.0
    assert gate.reason == "2 chunks without a vector; 1 queries without an entry in the cache"


def test_more_than_there_should_be_is_a_fault_too() -> None:
    assert not integrity_gate({"chunks that BM25 lacks": -1}).passed
    assert not integrity_gate({"missing": 1, "left over": -1}).passed


def test_the_bm25_gate_says_what_the_audit_found() -> None:
    gate = bm25_gate(
        Bm25Audit(pairs=200, chunks=9, misread=(), missed=0, largest_difference=1e-7, tolerance=1e-5, passed=True)
    )
    assert (gate.name, gate.passed, gate.value, gate.threshold) == ("bm25_audit", True, 1e-7, 1e-5)
    assert "200 scores" in gate.reason
    assert not bm25_gate(
        Bm25Audit(pairs=1, chunks=1, misread=(), missed=0, largest_difference=math.inf, tolerance=1e-5, passed=False)
    ).passed


def test_the_bm25_gate_names_chunks_whose_terms_are_not_those_of_their_text() -> None:
    gate = bm25_gate(
        Bm25Audit(
            pairs=1,
            chunks=9,
            misread=("d1#0", "d2#3"),
            missed=7,
            largest_difference=math.inf,
            tolerance=1e-5,
            passed=False,
        )
    )
    assert not gate.passed
    assert '"d1#0", "d2#3"; 7 that belong among the candidates' in gate.reason


def change(low: float, *, difference: float = -0.05, worst: tuple[str, ...] = ()) -> QualityChange:
    after = 0.8 + difference
    return QualityChange("nDCG@10", queries=7, before=0.8, after=after, difference=difference, low=low, worst=worst)


@pytest.mark.parametrize(
    ("low", "margin", "passed"),
    [(0.0, 0.02, True), (-0.019, 0.02, True), (-0.02, 0.02, False), (-0.5, 0.02, False), (-1.0, 1.0, True)],
)
def test_quality_may_be_lower_by_less_than_the_margin(low: float, margin: float, passed: bool) -> None:
    gate = non_inferiority_gate(change(low), margin=margin)
    assert (gate.name, gate.passed, gate.value, gate.threshold) == ("non_inferiority", passed, low, -margin)


@pytest.mark.parametrize(("difference", "passed"), [(0.0, True), (0.01, True), (-1e-6, False)])
def test_a_wide_interval_is_told_and_stops_nothing_where_the_mean_did_not_fall(difference: float, passed: bool) -> None:
    gate = non_inferiority_gate(change(-0.074, difference=difference), margin=0.02)
    assert gate.passed == passed
    assert ("the interval is wide (7 judged queries), but the mean did not fall" in gate.reason) == passed
    assert ("must be above -0.02" in gate.reason) != passed


def test_the_quality_gate_says_what_was_measured_and_which_queries_lost() -> None:
    reason = non_inferiority_gate(change(-0.3, worst=('"q1" (-0.500)',)), margin=0.02).reason
    for part in ("nDCG@10 on 7 judged queries", "0.8000 live", "0.7500 now", "-0.3000", "-0.02", '"q1" (-0.500)'):
        assert part in reason


def changes(
    *, overlap: float = 1.0, compared: int = 10, top1_changed: int = 0, queries: int = 10, empty: int = 0
) -> RankingChanges:
    return RankingChanges(
        queries=queries,
        empty=empty,
        empty_keys=(),
        compared=compared,
        overlap=overlap,
        least_alike=(),
        top1_changed=top1_changed,
        judged=(),
    )


@pytest.mark.parametrize(("overlap", "least", "passed"), [(0.6, 0.6, True), (0.599, 0.6, False), (0.0, 0.0, True)])
def test_results_must_be_enough_like_those_that_are_live(overlap: float, least: float, passed: bool) -> None:
    gate = overlap_gate(changes(overlap=overlap), least_alike=['"q1"'], min_overlap=least)
    assert (gate.name, gate.passed, gate.value, gate.threshold) == ("overlap", passed, overlap, least)
    assert gate.reason.endswith('least alike: "q1"')


@pytest.mark.parametrize(
    ("changed", "most", "passed"), [(5, 0.5, True), (6, 0.5, False), (10, 1.0, True), (1, 0, False)]
)
def test_few_enough_first_documents_may_change(changed: int, most: float, passed: bool) -> None:
    gate = top1_gate(changes(top1_changed=changed), max_top1_changed=most)
    assert (gate.name, gate.passed, gate.value, gate.threshold) == ("top1", passed, changed / 10, most)
    assert f"{changed} of 10 queries" in gate.reason


@pytest.mark.parametrize(
    ("empty", "most", "passed"), [(0, 0.0, True), (1, 0.05, False), (1, 0.1, True), (10, 1.0, True)]
)
def test_few_enough_queries_may_have_no_result(empty: int, most: float, passed: bool) -> None:
    gate = empty_gate(changes(empty=empty), named=['"how"'], max_empty=most)
    assert (gate.name, gate.passed, gate.value, gate.threshold) == ("empty", passed, empty / 10, most)
    assert gate.reason.endswith('"how"')


@pytest.mark.parametrize(("judged", "least", "passed"), [(0.3, 0.3, True), (0.29, 0.3, False), (0.0, 0.0, True)])
def test_enough_of_the_results_must_be_judged(judged: float, least: float, passed: bool) -> None:
    gate = judged_gate(judged, queries=4, min_judged=least)
    assert (gate.name, gate.passed, gate.value, gate.threshold) == ("judged", passed, judged, least)
    assert "4 judged queries" in gate.reason


def test_where_nothing_is_judged_a_share_that_must_be_judged_is_not_reached() -> None:
    assert judged_gate(0.0, queries=0, min_judged=0.0).passed
    gate = judged_gate(0.0, queries=0, min_judged=0.1)
    assert (gate.passed, gate.reason) == (False, "nothing is judged")


@pytest.mark.parametrize(("coverage", "least", "passed"), [(0.5, 0.5, True), (0.49, 0.5, False), (0.0, 0.0, True)])
def test_enough_of_the_traffic_must_be_answered(coverage: float, least: float, passed: bool) -> None:
    gate = coverage_gate(coverage, min_coverage=least)
    assert (gate.name, gate.passed, gate.value, gate.threshold) == ("coverage", passed, coverage, least)


@pytest.mark.parametrize(("days", "passed"), [(0.0, True), (2.0, True), (2.1, False)])
def test_the_source_must_be_fresh_enough(days: float, passed: bool) -> None:
    gate = source_age_gate(days, max_days=2.0)
    assert (gate.name, gate.passed, gate.value, gate.threshold) == ("source_age", passed, days, 2.0)
    assert f"{days:.1f} days ago" in gate.reason


@pytest.mark.parametrize(("lost", "least", "passed"), [(5, 0.5, True), (6, 0.5, False), (10, 0.0, True)])
def test_enough_of_the_live_queries_must_still_be_answered(lost: int, least: float, passed: bool) -> None:
    former = LostQueries(queries=10, lost=lost, lost_keys=(), judged=())
    gate = kept_gate(former, named=['"q1"', '"q2"'], min_kept=least)
    assert (gate.name, gate.passed, gate.value, gate.threshold) == ("kept", passed, (10 - lost) / 10, least)
    assert f"{10 - lost} of the 10 queries of the current release" in gate.reason
    assert 'lost: "q1", "q2"' in gate.reason


def test_what_cannot_be_compared_passes_and_says_why() -> None:
    why = Incomparable("it is the first release")
    gates = [
        non_inferiority_gate(why, margin=0.02),
        overlap_gate(why, least_alike=[], min_overlap=1.0),
        top1_gate(why, max_top1_changed=0.0),
        kept_gate(why, named=[], min_kept=1.0),
    ]
    assert all(gate.passed for gate in gates)
    assert {gate.reason for gate in gates} == {"not compared: it is the first release"}
    assert [gate.threshold for gate in gates] == [-0.02, 1.0, 0.0, 1.0]


def gate(name: str, *, passed: bool) -> Gate:
    return Gate(name=name, passed=passed, value=0.0, threshold=0.0, reason="")


def test_a_gate_that_failed_is_overridden_by_its_name_and_one_that_passed_is_not_recorded() -> None:
    gates = [gate("overlap", passed=False), gate("top1", passed=True), gate("empty", passed=False)]
    marked = overridden(gates, ["overlap", "top1"])
    assert [(gate.name, gate.passed, gate.accepted, gate.lets_through) for gate in marked] == [
        ("overlap", False, True, True),
        ("top1", True, False, True),
        ("empty", False, False, False),
    ]


def test_every_gate_but_integrity_can_be_overridden() -> None:
    check_overrides([name for name in GATES if name != "integrity"])
    with pytest.raises(InputError, match="cannot be overridden"):
        check_overrides(["overlap", "integrity"])


@pytest.mark.parametrize(
    ("name", "near"), [("overlp", "overlap"), ("non-inferiority", "non_inferiority"), ("TOP1", "top1")]
)
def test_the_nearest_gate_is_named_for_one_that_is_not_there(name: str, near: str) -> None:
    with pytest.raises(InputError, match=f"no gate '{name}'") as caught:
        check_overrides([name])
    assert caught.value.remedy.startswith(f'Did you mean "{near}"?')


def test_where_no_name_is_near_all_are_listed() -> None:
    with pytest.raises(InputError) as caught:
        check_overrides(["zzz"])
    assert caught.value.remedy.startswith("Gates: integrity, bm25_audit,")


@pytest.mark.parametrize(("max_loss", "passed"), [(0.0, False), (0.015, False), (0.016, True), (1.0, True)])
def test_a_single_stage_may_be_better_by_what_is_tolerated(max_loss: float, passed: bool) -> None:
    found = BestStage("dense", "nDCG@10", 120, 0.625, 0.641, 0.016, 0.004, 0.028, 0.01)
    gate = best_stage_gate(found, judged="people", max_loss=max_loss)
    assert (gate.name, gate.passed, gate.value, gate.threshold) == ("best_stage", passed, 0.016, max_loss)
    assert gate.reason == f"{found.told}; up to {max_loss:g} may be lost"
    by_clicks = best_stage_gate(found, judged="clicks", max_loss=max_loss)
    assert by_clicks.reason == f"{gate.reason}, on queries judged by clicks"


@pytest.mark.parametrize(("judged", "reason"), [("people", "beyond chance"), (None, "nothing is judged")])
def test_where_no_stage_is_better_beyond_chance_its_gate_passes_and_says_so(
    judged: JudgedBy | None, reason: str
) -> None:
    gate = best_stage_gate(None, judged=judged, max_loss=0.0)
    assert (gate.passed, gate.value) == (True, 0.0)
    assert reason in gate.reason
