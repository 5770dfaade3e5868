from __future__ import annotations

import numpy as np
import pytest

from nightrank.tasks.judgments.clicks.counts import ClickCounter, ClickCounts
from nightrank.tasks.judgments.clicks.judge import judged_by_clicks
from nightrank.tasks.judgments.clicks.models import LEAST_MOVED, clicks_over_expected, position_based
from nightrank.tasks.judgments.clicks.rules import ClickRules

LOOKS = np.array([1.0, 0.6, 0.3, 0.15])


def clicked_by(likings: dict[tuple[str, str], float], *, times: int, turned: bool) -> ClickCounts:
    """The counts that a position-based user leaves in the mean, documents of a query at each rank in turn or at one."""
    pairs = list(likings)
    cells = []
    for number, (query, _) in enumerate(pairs):
        own = [place for place, pair in enumerate(pairs) if pair[0] == query].index(number)
        cells += [(number, rank) for rank in range(LOOKS.size) if turned or rank == own]
    pair_of, ranks = (np.array(column, dtype=np.int64) for column in zip(*cells, strict=True))
    shown = np.full(pair_of.size, float(times))
    clicked = shown * LOOKS[ranks] * np.array([likings[pairs[number]] for number in pair_of])
    return ClickCounts(pairs, pair_of, ranks, shown, clicked)


@pytest.fixture
def likings() -> dict[tuple[str, str], float]:
    """What stands first is liked least."""
    values = np.linspace(0.1, 0.8, 4)
    return {(f"q{query}", f"d{place}"): float(values[place]) for query in range(40) for place in range(4)}


def test_propensities_and_likings_are_found_where_documents_moved(likings: dict[tuple[str, str], float]) -> None:
    found = position_based(clicked_by(likings, times=1000, turned=True))
    assert found.estimated
    assert found.propensities == pytest.approx(LOOKS, abs=0.01)
    assert found.values == pytest.approx(list(likings.values()), abs=0.02)


def test_where_nothing_moved_a_propensity_is_assumed_and_told(likings: dict[tuple[str, str], float]) -> None:
    counts = clicked_by(likings, times=1000, turned=False)
    found = position_based(counts)
    assert (counts.moved, found.estimated) == (0, False)
    assert found.propensities.tolist() == [1.0, 1 / 2, 1 / 3, 1 / 4]
    known = position_based(counts, propensities=LOOKS.tolist())
    assert known.values == pytest.approx(list(likings.values()), abs=0.02)


def test_propensities_that_are_given_go_on_with_the_last(likings: dict[tuple[str, str], float]) -> None:
    assert position_based(clicked_by(likings, times=9, turned=True), propensities=[1.0, 0.5]).propensities.tolist() == [
        1.0,
        0.5,
        0.5,
        0.5,
    ]


def test_one_click_of_one_look_is_drawn_to_the_mean() -> None:
    counter = ClickCounter()
    counter.add("q", ["lucky"], {0})
    for _ in range(200):
        counter.add("q2", ["tried"], {0} if _ % 5 == 0 else set())
    found = position_based(counter.counts(), propensities=[1.0])
    lucky, tried = found.values.tolist()
    assert tried == pytest.approx(0.2, abs=0.01)
    assert 0.2 < lucky < 0.7


def test_expected_clicks_are_those_of_the_rank() -> None:
    counter = ClickCounter()
    for _ in range(100):
        counter.add("q1", ["a", "b"], {0, 1} if _ < 20 else {0} if _ < 60 else set())
        counter.add("q2", ["c", "d"], {1} if _ < 20 else set())
    values = dict(zip(counter.counts().pairs, clicks_over_expected(counter.counts()).values.tolist(), strict=True))
    assert values["q1", "b"] == values["q2", "d"]  # both are opened as often as anything at their rank
    assert values["q1", "a"] > values["q1", "b"] > values["q2", "c"]


def test_a_document_that_comes_again_in_a_list_counts_where_it_comes_first() -> None:
    counter = ClickCounter()
    counter.add("q", ["a", "b", "a"], {2})
    counts = counter.counts()
    assert (counts.shown.tolist(), counts.clicked.tolist(), counts.ranks.tolist()) == ([1.0, 1.0], [0.0, 0.0], [0, 1])


def test_grades_need_support_and_a_query_that_somebody_clicked(likings: dict[tuple[str, str], float]) -> None:
    counts = clicked_by(likings, times=1000, turned=True)
    found = judged_by_clicks(counts, ClickRules())
    assert {one.grade for one in found.judgments} == {1, 3, 6, 8}
    assert {one.judged_by for one in found.judgments} == {"clicks"}
    assert (found.queries, found.moved, found.estimated) == (40, 160, True)
    assert judged_by_clicks(counts, ClickRules(least_looks=10_000.0)).judgments == ()
    counter = ClickCounter()
    for _ in range(1000):
        counter.add("nobody clicks", ["a", "b"], set())
    assert judged_by_clicks(counter.counts(), ClickRules()).judgments == ()
    assert judged_by_clicks(ClickCounter().counts(), ClickRules()).judgments == ()


def test_the_least_that_must_move_is_more_than_a_few() -> None:
    counter = ClickCounter()
    for number in range(LEAST_MOVED - 1):
        counter.add(f"q{number}", ["a"], {0})
        counter.add(f"q{number}", ["b", "a"], set())
    assert not position_based(counter.counts()).estimated
