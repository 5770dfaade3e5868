from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.records import Judgment
from nightrank.storage.release.compare import RankingPair
from nightrank.storage.release.gate_records import PAST_RANKINGS
from nightrank.tasks.gates.drift import (
    QualityDrift,
    overlap_drift_gate,
    quality_drift,
    quality_drift_gate,
    ranking_drifts,
    top1_drift_gate,
)
from nightrank.tasks.gates.judgments import JudgmentCounts
from nightrank.tasks.gates.past import Past, PastRelease
from nightrank.tasks.gates.quality import judged_rankings, quality_change
from nightrank.tasks.gates.ranking_changes import ranking_changes
from nightrank.tasks.gates.rules import Incomparable, non_inferiority_gate, overlap_gate, top1_gate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nightrank.storage.release.manifest import Gate

START = datetime(2026, 1, 1, 2, tzinfo=UTC)
NIGHTS = 60
Rankings = dict[str, list[str]]


def kept(release_id: str, rankings: Mapping[str, Sequence[str]], *, digest: str = "same") -> pa.Table:
    rows = [
        {
            "release_id": release_id,
            "query_key": f"key of {query_id}",
            "query_ids": [query_id],
            "value": None,
            "document_ids": list(ranking),
            "content_digests": [digest] * len(ranking),
        }
        for query_id, ranking in rankings.items()
    ]
    return pa.Table.from_pylist(rows, schema=PAST_RANKINGS)


def by_id(rankings: Rankings) -> Rankings:
    return {key.removeprefix("key of "): of for key, of in rankings.items()}


def published(past: Past, number: int, rankings: Rankings, *, mean: float | None = None) -> Past:
    release = PastRelease(
        f"night {number:02}", START + timedelta(days=number), "nDCG@10", mean, JudgmentCounts(1, 1, 1), 1, 1
    )
    return past.followed_by(release, kept(release.release_id, rankings))


def drift_of(
    past: Past, rankings: Rankings, judgments: list[Judgment], *, removed: str = ""
) -> QualityDrift | Incomparable:
    found = (*rankings.values(), *past.rankings.column("document_ids").to_pylist())
    return quality_drift(
        past,
        rankings,
        judgments,
        documents={document_id for ranking in found for document_id in ranking} - {removed},
        measure="nDCG@10",
        confidence=0.95,
        ignore_identical_ids=False,
        generator=np.random.default_rng(0),
    )


def quality_gates(past: Past, live: Rankings, rankings: Rankings, judgments: list[Judgment]) -> tuple[Gate, Gate]:
    """What the night before says, and the last 30 days."""
    pairs = [RankingPair(key, live[key], rankings[key]) for key in live]
    change = quality_change(
        judged_rankings((pairs, {key: [key] for key in live})),
        judgments,
        measure="nDCG@10",
        confidence=0.95,
        ignore_identical_ids=False,
        generator=np.random.default_rng(0),
    )
    drift = quality_drift_gate(drift_of(past, rankings, judgments), days=30, max_drift=0.03)
    return non_inferiority_gate(change, margin=0.02), drift


def nights_until_stopped(queries: int, spoil: Callable[[Rankings, int], None]) -> tuple[int, Gate]:
    """The first of 60 nights that the drift gate stops, where the night before never does."""
    judgments = [Judgment(f"q{number}", f"d{number}", 1) for number in range(queries)]
    live: Rankings = {f"q{number}": [f"d{number}", "x", "y"] for number in range(queries)}
    past = published(Past(), 0, live)
    for number in range(1, NIGHTS + 1):
        tonight = {key: list(ranking) for key, ranking in live.items()}
        spoil(tonight, number)
        now = START + timedelta(days=number)
        before, drift = quality_gates(past.within(30, now=now), live, tonight, judgments)
        assert before.passed
        if not drift.passed:
            return number, drift
        past, live = published(past.within(30, now=now), number, tonight), tonight
    pytest.fail("60 nights passed")


def one_more_loses_everything(rankings: Rankings, number: int) -> None:
    rankings[f"q{number}"] = ["x", "y"]


def eight_more_lose_everything(rankings: Rankings, number: int) -> None:
    for place in range(8):
        rankings[f"q{8 * number + place}"] = ["x", "y"]


def one_more_falls_to_rank_3(rankings: Rankings, number: int) -> None:
    rankings[f"q{number}"] = ["x", "y", f"d{number}"]


def sixty_more_fall_to_rank_3(rankings: Rankings, number: int) -> None:
    for place in range(60):
        name = 60 * number + place
        rankings[f"q{name}"] = ["x", "y", f"d{name}"]


@pytest.mark.parametrize(
    ("queries", "spoil", "night"),
    [
        (2000, sixty_more_fall_to_rank_3, 3),  # .015 a night, which a night may lose: .03 after two, .3 after twenty
        (300, one_more_loses_everything, 10),  # .0033 a night
        (1000, eight_more_lose_everything, 4),  # .008 a night
        (120, one_more_falls_to_rank_3, 8),  # .0042 a night
    ],
)
def test_sixty_nights_of_small_losses_are_stopped_early(
    queries: int, spoil: Callable[[Rankings, int], None], night: int
) -> None:
    stopped, gate = nights_until_stopped(queries, spoil)
    assert stopped == night
    assert "in night 00, the best of the last 30 days" in gate.reason
    assert "up to 0.03 may be lost over that time; lost most: " in gate.reason


def test_the_best_release_is_the_one_that_today_is_worst_against_by_todays_judgments() -> None:
    good, poor = {"q1": ["a"], "q2": ["b"]}, {"q1": ["x"], "q2": ["x", "b"]}
    past = published(published(Past(), 1, poor, mean=0.9), 2, good, mean=0.1)
    found = drift_of(past, {"q1": ["a"], "q2": ["x", "b"]}, [Judgment("q1", "a", 1), Judgment("q2", "b", 1)])
    assert isinstance(found, QualityDrift)
    assert (found.release_id, found.before, found.queries) == ("night 02", 1.0, 2)
    assert found.after == pytest.approx((1 + 1 / np.log2(3)) / 2)
    assert found.worst == ('"q2" (-0.369)',)


def test_a_judged_query_that_is_no_longer_answered_scores_0_and_one_that_is_judged_no_more_is_left_out() -> None:
    past = published(Past(), 1, {"q1": ["a"], "q2": ["b"], "q3": ["c"]})
    found = drift_of(past, {"q1": ["a"]}, [Judgment("q1", "a", 1), Judgment("q2", "b", 1)])
    assert isinstance(found, QualityDrift)
    assert (found.queries, found.before, found.after) == (2, 1.0, 0.5)
    assert drift_of(past, {}, [Judgment("q9", "a", 1)]) == Incomparable(
        "no judged query of a release of the last days is judged today"
    )


def test_documents_that_were_removed_are_no_drift() -> None:
    past = published(Past(), 1, {"q1": ["a"], "q2": ["gone", "b"], "q3": ["gone"]})
    judgments = [Judgment("q1", "a", 1), Judgment("q2", "gone", 2), Judgment("q2", "b", 1), Judgment("q3", "gone", 1)]
    found = drift_of(past, {"q1": ["a"], "q2": ["x", "b"], "q3": []}, judgments, removed="gone")
    assert isinstance(found, QualityDrift)
    assert (found.queries, found.before) == (2, 1.0)
    assert found.worst == ('"q2" (-0.369)',)


def test_a_loss_that_may_be_chance_is_told_and_let_through() -> None:
    drift = QualityDrift("r", "nDCG@10", 6, 1.0, 0.9, certain=False, worst=('"q1" (-0.600)',))
    gate = quality_drift_gate(drift, days=30, max_drift=0.03)
    assert gate.passed
    assert "so few queries lost that it may be chance" in gate.reason
    refused = quality_drift_gate(drift._replace(certain=True), days=30, max_drift=0.03)
    assert not refused.passed
    assert quality_drift_gate(drift._replace(certain=True), days=30, max_drift=1.0).passed  # switched off


def test_rankings_that_move_a_little_each_night_are_stopped_though_each_is_like_the_last() -> None:
    """Of 100 queries two more get another first document each night, and all that follow in another order."""
    live: Rankings = {f"key of q{number}": list("abcdefghij") for number in range(100)}
    digests = dict.fromkeys("abcdefghij", "same")
    past = published(Past(), 0, by_id(live))
    for number in range(1, NIGHTS + 1):
        tonight = dict(live)
        for place in (2 * number - 2, 2 * number - 1):
            tonight[f"key of q{place % 100}"] = list("jihgfedcba")
        now = START + timedelta(days=number)
        pairs = [RankingPair(key, live[key], tonight[key]) for key in live]
        changes = ranking_changes(pairs, judged=frozenset(), persistence=0.9)
        assert overlap_gate(changes, least_alike=[], min_overlap=0.6).passed
        assert top1_gate(changes, max_top1_changed=0.5).passed
        drifts = ranking_drifts(past.within(30, now=now), tonight, digests, persistence=0.9)
        top1 = top1_drift_gate(drifts, days=30, max_top1_changed=0.5)
        overlap = overlap_drift_gate(drifts, days=30, min_overlap=0.6)
        if not top1.passed:
            break
        past = published(past.within(30, now=now), number, by_id(tonight))
        live = tonight
    assert number == 26
    assert "52 of 100 queries have another first document than in night 00 (52.0%)" in top1.reason
    assert overlap.value < 0.75


def test_documents_that_came_went_or_were_edited_are_no_drift() -> None:
    past = published(Past(), 0, {"q": ["a", "b", "c", "d"]})
    now = {"key of q": ["new", "b", "newer", "d", "a"]}
    [drift] = ranking_drifts(past, now, {"b": "same", "d": "same", "a": "edited"}, persistence=0.9)
    assert (drift.overlap, drift.top1_changed) == (1.0, 0)


def test_a_document_that_is_the_same_and_no_longer_found_counts_as_another_one() -> None:
    past = published(Past(), 0, {"q": ["a", "b"]})
    digests = {"a": "same", "b": "same"}
    [first] = ranking_drifts(past, {"key of q": ["b"]}, digests, persistence=0.9)
    [second] = ranking_drifts(past, {"key of q": ["a"]}, digests, persistence=0.9)
    assert (first.top1_changed, second.top1_changed) == (1, 0)
    assert first.overlap < second.overlap < 1.0
    [none] = ranking_drifts(past, {"key of q": []}, digests, persistence=0.9)
    assert (none.overlap, none.top1_changed) == (0.0, 1)


def test_a_release_that_too_little_is_left_of_is_not_compared_with() -> None:
    past = published(Past(), 0, {"q1": ["a"], "q2": ["b"], "q3": ["c"]})
    now = {f"key of q{number}": ["x"] for number in (1, 2, 3)}
    assert ranking_drifts(past, now, {"a": "same"}, persistence=0.9) == []
    assert len(ranking_drifts(past, now, {"a": "same", "b": "same"}, persistence=0.9)) == 1
    gate = overlap_drift_gate([], days=30, min_overlap=0.6)
    assert (gate.passed, gate.reason.startswith("not compared: no release of the last 30 days")) == (True, True)
    assert top1_drift_gate([], days=None, max_top1_changed=0.5).reason == "not compared: no days are asked for"
