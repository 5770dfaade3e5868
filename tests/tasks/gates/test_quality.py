from __future__ import annotations

import math

import numpy as np
import pytest

from nightrank.storage.records import Judgment
from nightrank.storage.release.compare import RankingPair
from nightrank.tasks.gates.quality import JudgedRankings, judged_rankings, judged_share, quality_change
from nightrank.tasks.gates.rules import Incomparable, QualityChange, non_inferiority_gate

IDS = {"key-1": ["q1"], "key-2": ["q2", "q2-again"], "key-3": ["q3"]}
JUDGMENTS = [Judgment("q1", "a", 1), Judgment("q2", "b", 1), Judgment("q2-again", "c", 1), Judgment("q9", "z", 1)]
SECOND = 1 / math.log2(3)  # the gain of a relevant document at rank 2


def change(
    *pairs: RankingPair,
    judgments: list[Judgment] = JUDGMENTS,
    measure: str = "nDCG@10",
    ignore_identical_ids: bool = False,
) -> QualityChange | Incomparable:
    return quality_change(
        judged_rankings((pairs, IDS)),
        judgments,
        measure=measure,
        confidence=0.95,
        ignore_identical_ids=ignore_identical_ids,
        generator=np.random.default_rng(0),
    )


def test_both_releases_are_measured_with_the_same_judgments_and_losses_are_named() -> None:
    found = change(RankingPair("key-1", ["a"], ["a", "x"]), RankingPair("key-2", ["b", "c"], ["c"]))
    assert isinstance(found, QualityChange)
    assert (found.measure, found.queries) == ("nDCG@10", 3)
    assert found.before == pytest.approx((1 + 1 + SECOND) / 3)
    assert found.after == pytest.approx((1 + 0 + 1) / 3)
    assert found.worst == ('"q2" (-1.000)',)
    assert found.low < found.after - found.before < 0


def test_a_query_that_the_new_release_lacks_scores_0_and_one_that_is_new_hides_no_loss() -> None:
    judgments = [judgment for judgment in JUDGMENTS if judgment.query_id != "q2-again"]
    pairs = [RankingPair("key-1", ["a"], []), RankingPair("key-2", None, ["b"]), RankingPair("key-4", ["d"], None)]
    found = quality_change(
        judged_rankings((pairs[:2], {"key-1": ["q1"], "key-2": ["q2"]}), (pairs[2:], {"key-4": ["q4"]})),
        [*judgments, Judgment("q4", "d", 1)],
        measure="nDCG@10",
        confidence=0.95,
        ignore_identical_ids=False,
        generator=np.random.default_rng(0),
    )
    assert isinstance(found, QualityChange)
    assert found.queries == 2
    assert found.before == pytest.approx(1.0)
    assert found.after == pytest.approx(0.0)
    assert found.worst == ('"q1" (-1.000)', '"q4" (-1.000)')


def test_a_judged_query_goes_by_its_text_of_today_and_else_by_the_id_that_it_had() -> None:
    today = [RankingPair("key-1", ["a"], ["b"]), RankingPair("key-2", None, ["c"])]
    former = [RankingPair("key-1", ["a"], ["b"]), RankingPair("key-4", ["d"], ["c"]), RankingPair("key-5", ["e"], None)]
    found = judged_rankings(
        (today, {"key-1": ["q1"], "key-2": ["q2"]}),
        (former, {"key-1": ["q2"], "key-4": ["q1", "q2", "q4"], "key-5": ["q5"]}),
    )
    assert found.before == {"q1": ["a"], "q2": ["a"], "q4": ["d"], "q5": ["e"]}
    assert found.after == {"q1": ["b"], "q2": ["c"], "q4": ["c"]}


def test_rankings_that_stay_are_no_loss_at_any_confidence() -> None:
    found = change(RankingPair("key-1", ["x", "a"], ["x", "a"]), RankingPair("key-2", ["b"], ["b"]))
    assert isinstance(found, QualityChange)
    assert (found.low, found.worst) == (0.0, ())


def test_a_win_and_an_equal_loss_are_no_difference_to_the_last_bit() -> None:
    judgments = [Judgment(f"q{number}", "a", 1) for number in range(10)]
    rankings = {f"q{number}": ["a"] for number in range(10)}
    found = quality_change(
        JudgedRankings({**rankings, "q3": ["x", "a"]}, {**rankings, "q7": ["x", "a"]}),
        judgments,
        measure="nDCG@10",
        confidence=0.95,
        ignore_identical_ids=False,
        generator=np.random.default_rng(0),
    )
    assert isinstance(found, QualityChange)
    assert found.difference == 0.0
    assert found.low == pytest.approx((SECOND - 1) / 5)  # two of the ten drawn are the one that lost
    assert non_inferiority_gate(found, margin=0.02).passed


def test_another_measure_may_be_asked_for() -> None:
    found = change(RankingPair("key-1", ["a"], ["x", "a"]), measure="RR@10")
    assert isinstance(found, QualityChange)
    assert (found.before, found.after) == (1.0, 0.5)


def test_the_querys_own_document_is_left_out_where_that_is_asked_for() -> None:
    pair = RankingPair("key-1", ["q1", "a"], ["a"])
    assert [getattr(change(pair, ignore_identical_ids=ignore), "before", None) for ignore in (False, True)] == [
        pytest.approx(SECOND),
        1.0,
    ]


def test_without_judgments_or_queries_in_common_there_is_nothing_to_compare() -> None:
    assert change(RankingPair("key-1", ["a"], ["a"]), judgments=[]) == Incomparable("nothing is judged")
    found = change(RankingPair("key-1", None, ["a"]))
    assert isinstance(found, Incomparable)
    assert "holds none of the judged queries" in found.reason


def test_the_share_of_judged_results_counts_every_judged_query() -> None:
    pairs = [RankingPair("key-1", ["z"], ["a", "x"]), RankingPair("key-2", None, ["b"])]

    def share(judgments: list[Judgment]) -> float:
        return judged_share(judged_rankings((pairs, IDS)).after, judgments, ignore_identical_ids=False)

    # Judged@10 of q1 is 1/2, of q2 1, of q2-again 0 (only b is there), of q9 (not in the release) 0
    assert share(JUDGMENTS) == pytest.approx(1.5 / 4)
    assert share([]) == 0.0
