from __future__ import annotations

import pytest

from nightrank.storage.release.compare import RankingPair
from nightrank.tasks.gates.ranking_changes import RankingChanges, lost_queries, ranking_changes


def changes(*pairs: tuple[str, str | None, str], judged: str = "", unanswerable: str = "") -> RankingChanges:
    """Of rankings whose documents are letters."""
    as_lists = (RankingPair(key, None if before is None else [*before], [*after]) for key, before, after in pairs)
    return ranking_changes(as_lists, judged={*judged}, persistence=0.9, unanswerable={*unanswerable})


def test_the_overlap_is_the_mean_over_the_queries_that_both_releases_answer() -> None:
    found = changes(
        ("p", "ab", "ab"),  # 1
        ("q", "ab", "ba"),  # 0.9
        ("r", "ab", "xy"),  # 0
        ("s", None, "ab"),
        ("u", "", "ab"),
        ("v", "ab", ""),
    )
    assert found.compared == 3
    assert found.overlap == pytest.approx((1 + 0.9 + 0) / 3)
    assert found.least_alike == ("r", "q")
    assert found.top1_changed == 2


def test_queries_of_the_new_release_without_a_result_are_counted_and_named() -> None:
    found = changes(("p", "a", ""), ("q", None, ""), ("s", "a", "a"), ("t", "a", ""), ("u", "a", ""))
    assert (found.queries, found.empty, found.empty_keys) == (5, 4, ("p", "q", "t"))


def test_a_query_whose_filter_lets_nothing_through_is_not_missing_a_result() -> None:
    found = changes(("p", "a", ""), ("q", None, ""), ("s", "a", "a"), unanswerable="qs")
    assert (found.queries, found.empty, found.empty_keys) == (3, 1, ("p",))


def test_the_least_alike_come_first_and_are_three_at_most() -> None:
    found = changes(("p", "abc", "abx"), ("q", "ab", "ba"), ("r", "a", "x"), ("s", "abcd", "abcx"), ("t", "b", "b"))
    assert found.least_alike == ("r", "p", "s")


def test_the_rankings_of_judged_queries_are_kept() -> None:
    found = changes(("p", "a", "b"), ("q", None, ""), ("s", "a", "a"), judged="pqr")
    assert found.judged == (RankingPair("p", ["a"], ["b"]), RankingPair("q", None, []))


def test_where_nothing_is_compared_nothing_has_changed() -> None:
    found = changes(("p", None, "a"))
    assert (found.compared, found.overlap, found.top1_changed, found.least_alike) == (0, 1.0, 0, ())


def test_former_queries_that_nothing_answers_any_more_are_counted_and_named() -> None:
    rankings = [("p", "a", None), ("q", "a", ""), ("r", "a", "b"), ("s", "", None), ("t", "a", None), ("u", "a", None)]
    pairs = [RankingPair(key, [*before], None if after is None else [*after]) for key, before, after in rankings]
    found = lost_queries(pairs, judged={"q", "t"})
    assert (found.queries, found.lost, found.lost_keys) == (6, 4, ("p", "s", "t"))
    assert found.judged == (RankingPair("q", ["a"], []), RankingPair("t", ["a"], None))
