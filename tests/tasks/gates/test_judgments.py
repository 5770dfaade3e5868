from __future__ import annotations

import pytest

from nightrank.storage.records import Judgment
from nightrank.tasks.gates.judgments import JudgmentCounts, judgments_gate, still_meant
from nightrank.tasks.gates.rules import Incomparable

LIVE = [Judgment(f"q{number}", f"d{number}", 1) for number in range(120)]


def test_a_file_of_judgments_that_was_cut_off_is_refused_and_the_reason_says_by_how_much() -> None:
    gate = judgments_gate(LIVE[:10], LIVE, most=None, days=30, max_lost=0.2)
    assert (gate.name, gate.passed, gate.threshold) == ("judgments", False, 0.2)
    assert gate.value == pytest.approx(110 / 120)
    assert gate.reason == (
        "120 judged queries live, 10 of them now: 91.7% are gone, up to 20.0% may; see whether [judgments].qrels was "
        "cut off"
    )


@pytest.mark.parametrize(
    ("now", "passed", "says"),
    [
        (LIVE, True, "120 judged queries live, 120 of them now"),
        ([*LIVE, Judgment("q0", "other", 1)], True, "120 of them now"),
        (LIVE[:96], True, "20.0% are gone, up to 20.0% may"),
        (LIVE[:95], False, "20.8% are gone"),
        ([], False, "100.0% are gone"),
    ],
)
def test_what_is_lost_most_decides(now: list[Judgment], passed: bool, says: str) -> None:
    gate = judgments_gate(now, LIVE, most=None, days=30, max_lost=0.2)
    assert gate.passed is passed
    assert says in gate.reason


def test_other_queries_and_documents_do_not_make_up_for_those_that_were_lost() -> None:
    others = [Judgment(f"other-{number}", "d", 1) for number in range(500)]
    assert not judgments_gate([*LIVE[:60], *others], LIVE, most=None, days=30, max_lost=0.2).passed
    elsewhere = [Judgment(judgment.query_id, "another document", 1) for judgment in LIVE]
    gate = judgments_gate(elsewhere, LIVE, most=None, days=30, max_lost=0.2)
    assert (gate.passed, gate.value) == (False, 1.0)
    assert "120 judgments live, 0 of them now" in gate.reason


def test_a_grade_that_falls_to_0_is_a_loss_of_what_was_relevant() -> None:
    regraded = [Judgment(judgment.query_id, judgment.document_id, 0) for judgment in LIVE[:60]]
    gate = judgments_gate([*regraded, *LIVE[60:]], LIVE, most=None, days=30, max_lost=0.2)
    assert (gate.passed, gate.value) == (False, 0.5)


def test_many_small_losses_add_up_against_the_most_that_there_were() -> None:
    gate = judgments_gate(LIVE[:90], LIVE[:100], most=JudgmentCounts(120, 120, 120), days=30, max_lost=0.2)
    assert (gate.passed, gate.value) == (False, 0.25)
    assert "120 judged queries within the last 30 days, 90 now: 25.0% are gone" in gate.reason


def test_where_nothing_was_judged_or_kept_it_passes() -> None:
    assert judgments_gate([], [], most=None, days=None, max_lost=0.2).reason == "not compared: nothing was judged"
    first = Incomparable("it is the first release")
    assert judgments_gate(LIVE, first, most=None, days=30, max_lost=0.2).passed
    assert judgments_gate([], LIVE, most=None, days=30, max_lost=1.0).passed  # switched off


def test_judgments_of_another_kind_are_not_held_against_each_other() -> None:
    by_clicks = [Judgment("q1", "a", 1, "clicks")]
    gate = judgments_gate(by_clicks, LIVE, most=JudgmentCounts(90, 900, 90), days=30, max_lost=0.0)
    assert gate.passed
    assert gate.reason == "not compared: the live release was measured on judged queries"
    assert still_meant(LIVE, by_clicks, answered={"q1"}, documents={"a"}) == []
    assert still_meant(by_clicks, LIVE, answered={"q1"}, documents={"a"}) == []
    assert still_meant(LIVE[:2], by_clicks, answered={"q1"}, documents={"d1"}) == LIVE[1:2]  # people's
    gate = judgments_gate(LIVE, by_clicks, most=None, days=None, max_lost=0.0)
    assert gate.reason == "not compared: the live release was measured on queries judged by clicks"


def test_judgments_of_the_live_release_count_unless_they_went_with_what_they_are_about() -> None:
    live = [Judgment("asked", "there", 1), Judgment("asked", "gone", 1), Judgment("given up", "there", 1)]
    meant = still_meant(live, [], answered={"asked"}, documents={"there"})
    assert meant == live[:1]
    judged_still = [Judgment("asked", "gone", 2), Judgment("given up", "other", 1)]
    assert still_meant(live, judged_still, answered={"asked"}, documents={"there"}) == live


def test_the_most_of_each_is_taken() -> None:
    assert JudgmentCounts.most([JudgmentCounts(1, 5, 2), JudgmentCounts(3, 4, 2)]) == JudgmentCounts(3, 5, 2)
    assert JudgmentCounts.most([]) is None
