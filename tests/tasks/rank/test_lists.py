"""What lists say of themselves, one feature a test, by hand or by a loop over one query at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.tasks.rank.lists import (
    DESCRIPTORS,
    TOP,
    Lists,
    best_scores,
    damped_ranks,
    flatness,
    lead,
    overlap,
    ranks_by_score,
    support,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAN = np.nan
# One query, five entries: bm25 lists four, dense three.
QUERIES = np.zeros(5, dtype=np.int32)
BM25 = np.array([8.0, 4.0, NAN, 0.0, 2.0])
DENSE = np.array([NAN, 0.5, 0.9, 0.1, NAN])


def lists_of(queries: NDArray[np.integer], scores: dict[str, NDArray[np.floating]]) -> Lists:
    """Lists whose entries have no grams."""
    return Lists.of(queries, scores, grams=np.zeros(queries.size))


def test_scores_go_from_nothing_to_one_within_a_list_and_ranks_tell_who_is_listed() -> None:
    lists = lists_of(QUERIES, {"bm25": BM25, "dense": DENSE})
    assert lists.scores["bm25"].tolist() == [1.0, 0.5, 0.0, 0.0, 0.25]
    assert lists.ranks["bm25"].tolist() == [1, 2, 0, 4, 3]
    assert lists.scores["dense"].tolist() == pytest.approx([0.0, 0.5, 1.0, 0.0, 0.0])
    assert lists.ranks["dense"].tolist() == [0, 2, 1, 3, 0]


def test_a_share_of_the_rank_is_mixed_into_the_score() -> None:
    lists = lists_of(QUERIES, {"bm25": BM25})
    mixed = lists.entry_scores("bm25", rank_share=0.25)
    assert mixed[0] == 1.0
    assert mixed[1] == pytest.approx(0.75 * 0.5 + 0.25 * 11 / 12)
    assert mixed[2] == 0.0


def test_equal_scores_are_ranked_as_they_come() -> None:
    assert ranks_by_score(np.array([0, 0, 0]), np.array([1.0, 2.0, 2.0])).tolist() == [3, 1, 2]


def test_damped_ranks_fall_slowly_and_nothing_listed_is_nothing() -> None:
    assert damped_ranks(np.array([0, 1, 10, 100])).tolist() == pytest.approx([0.0, 1.0, 11 / 20, 11 / 110])


def test_the_lead_is_how_far_the_first_is_ahead() -> None:
    best = best_scores(QUERIES, np.array([1.0, 0.5, 0.0, 0.0, 0.25]), np.array([1, 2, 0, 4, 3]), count=1)
    assert lead(best, 2).tolist() == [0.5]
    assert lead(best, 5).tolist() == [1.0]  # a list that ends before has nothing there


def test_flatness_is_the_mean_below_the_first() -> None:
    best = best_scores(QUERIES, np.array([1.0, 0.5, 0.0, 0.0, 0.25]), np.array([1, 2, 0, 4, 3]), count=1)
    assert flatness(best).tolist() == pytest.approx([0.75 / (TOP - 1)])


def test_overlap_counts_what_is_among_the_first_of_both() -> None:
    ranks, others = np.array([1, 2, 0, 4, 11]), np.array([0, 2, 1, 3, 1])
    assert overlap(QUERIES, ranks, others, count=1).tolist() == [0.2]


def test_support_is_what_the_other_makes_of_the_first_three() -> None:
    ranks, others = np.array([1, 2, 0, 4, 3]), np.array([0.0, 0.6, 1.0, 1.0, 0.3])
    assert support(QUERIES, ranks, others, count=1).tolist() == pytest.approx([0.3])


def test_without_another_list_one_agrees_with_everything() -> None:
    found = lists_of(QUERIES, {"bm25": BM25}).descriptors("bm25", others=())
    assert dict(zip(DESCRIPTORS, found[0].tolist(), strict=True))["overlap"] == 1.0


entries = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.one_of(st.none(), st.integers(-8, 8)),
        st.one_of(st.none(), st.integers(-8, 8)),
    ),
    min_size=1,
    max_size=30,
)


@given(entries)
def test_a_querys_descriptors_depend_on_no_other_query_and_on_no_order_of_the_entries(
    rows: list[tuple[int, int | None, int | None]],
) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    queries = np.array([row[0] for row in rows])
    # Scores are made distinct: which of two equal ones comes first is the order of the entries.
    scores = {
        name: np.array([NAN if row[k] is None else float(row[k] or 0) + place / 64 for place, row in enumerate(rows)])
        for k, name in ((1, "bm25"), (2, "dense"))
    }
    whole = lists_of(queries, scores)
    for query in np.unique(queries):
        mine = np.flatnonzero(queries == query)[::-1]
        alone = lists_of(np.zeros(mine.size, dtype=int), {name: values[mine] for name, values in scores.items()})
        for name, other in (("bm25", "dense"), ("dense", "bm25")):
            found = alone.descriptors(name, others=(other,))[0]
            assert found.tobytes() == whole.descriptors(name, others=(other,))[query].tobytes()
            assert (found >= 0).all()
            assert (found <= 1).all()


@given(entries, st.floats(0.1, 50.0), st.floats(-5.0, 5.0))
def test_a_legs_own_scale_decides_nothing(
    rows: list[tuple[int, int | None, int | None]], factor: float, shift: float
) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    queries = np.array([row[0] for row in rows])
    bm25, dense = (np.array([NAN if row[k] is None else float(row[k] or 0) for row in rows]) for k in (1, 2))
    found = lists_of(queries, {"bm25": bm25, "dense": dense}).descriptors("bm25", others=("dense",))
    scaled = lists_of(queries, {"bm25": factor * bm25 + shift, "dense": dense}).descriptors("bm25", others=("dense",))
    np.testing.assert_allclose(found, scaled, atol=1e-9)
