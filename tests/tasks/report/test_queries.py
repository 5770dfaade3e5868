"""Which queries the report tells of, and what it says of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.tasks.report.queries import SHOWN, choose_queries, query_stories
from nightrank.tasks.report.release import ReleaseRead
from nightrank.tasks.report.sections import Loss
from tests.support.reported import FIRST, manifest_of, write_answers, write_worth

if TYPE_CHECKING:
    from pathlib import Path

A, B, C, D = (("a", "Alder"), ("b", "Beech"), ("c", "Cedar"), ("d", "Douglas fir"))


def loss(query_id: str, document_id: str, grade: int, result_rank: int | None) -> Loss:
    outcome = "lost in the cut" if result_rank is None else "found"
    return Loss(query_id, document_id, grade, outcome, 5, None, 4, 30, result_rank)


def test_the_most_lost_come_first_then_the_most_won_then_the_worst_each_once() -> None:
    before = {"fell": 0.9, "fell far": 0.9, "rose": 0.1, "rose far": 0.1, "low": 0.0, "high": 1.0}
    after = {"fell": 0.8, "fell far": 0.0, "rose": 0.2, "rose far": 0.9, "low": 0.0, "high": 1.0, "new": 0.1}

    assert choose_queries(before, after, count=3) == ["fell far", "fell", "rose far", "rose", "low", "new"]
    assert choose_queries({}, after, count=2) == ["fell far", "low"]


def test_what_a_query_was_worth_before_is_what_the_comparison_measured(tmp_path: Path) -> None:
    now, before = tmp_path / "now", tmp_path / "before"
    for folder in (now, before):
        write_answers(folder, {"q": ("trees", [A, B]), "p": ("more trees", [A])})
    write_worth(before, {"q": 1.0, "p": 0.25})
    write_worth(now, {"q": 0.5, "p": 0.25})
    releases = ReleaseRead(now, manifest_of()), ReleaseRead(before, manifest_of(FIRST))

    old = query_stories(*releases, [], measure="nDCG@10")
    write_worth(now, {"q": 0.25, "p": 0.25}, name="previous.parquet")
    again = query_stories(*releases, [], measure="nDCG@10")
    write_worth(now, {}, name="previous.parquet")
    unmeasured = query_stories(*releases, [], measure="nDCG@10")

    assert [(shown.query_id, shown.before) for shown in old.shown] == [("q", 1.0), ("p", 0.25)]
    assert [(shown.query_id, shown.before) for shown in again.shown] == [("q", 0.25), ("p", 0.25)]
    assert (again.outcomes["win"], again.outcomes["tie"]) == (1, 1)
    assert unmeasured.outcomes["new"] == 2
    assert [stories.measured_again for stories in (old, again, unmeasured)] == [False, True, True]


def test_however_many_queries_are_judged_few_are_told() -> None:
    before = {f"q{number}": 0.5 for number in range(1000)}
    after = {f"q{number}": number / 1000 for number in range(1000)}

    assert len(choose_queries(before, after)) <= 3 * SHOWN


def test_a_story_holds_both_rankings_with_grades_and_where_each_document_stood(tmp_path: Path) -> None:
    write_answers(tmp_path / "before", {"q": ("trees", [A, B, C])})
    write_answers(tmp_path / "now", {"q": ("trees", [B, D, C])})
    write_worth(tmp_path / "before", {"q": 1.0})
    write_worth(tmp_path / "now", {"q": 0.5})
    losses = [loss("q", "b", 2, 1), loss("q", "a", 1, None), loss("other", "d", 3, 2)]

    stories = query_stories(
        ReleaseRead(tmp_path / "now", manifest_of()),
        ReleaseRead(tmp_path / "before", manifest_of(FIRST)),
        losses,
        measure="nDCG@10",
    )

    [story] = stories.shown
    assert (story.text, story.outcome, story.before, story.after, story.difference) == ("trees", "loss", 1.0, 0.5, -0.5)
    assert [(now.rank, now.title, now.grade, now.other_rank) for now in story.ranking] == [
        (1, "Beech", 2, 2),
        (2, "Douglas fir", None, None),
        (3, "Cedar", None, 3),
    ]
    assert [(then.document_id, then.grade, then.other_rank) for then in story.ranking_before] == [
        ("a", 1, None),
        ("b", 2, 1),
        ("c", None, 3),
    ]
    assert [missed.document_id for missed in story.missed] == ["a"]
    assert (stories.judged, stories.outcomes) == (1, {"win": 0, "loss": 1, "tie": 0, "new": 0})


def test_a_judged_query_that_is_not_answered_is_told_without_text(tmp_path: Path) -> None:
    write_answers(tmp_path, {"q": ("trees", [A])})
    write_worth(tmp_path, {"q": 1.0, "nobody asked": 0.0})

    stories = query_stories(ReleaseRead(tmp_path, manifest_of(FIRST)), None, [], measure="nDCG@10")

    assert [(story.query_id, story.text, story.outcome) for story in stories.shown] == [
        ("nobody asked", None, "new"),
        ("q", "trees", "new"),
    ]
    assert stories.shown[0].ranking == ()
