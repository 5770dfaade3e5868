from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.legs import LEGS
from nightrank.tasks.rank.learned import FARTHEST, FEATURES, GRAMS, Gate, LearnedOrder, features, log_means
from nightrank.tasks.rank.lists import DESCRIPTORS, RERANKER, Lists
from nightrank.tasks.rank.order import Entries, Weighing
from nightrank.tasks.rank.order_file import read_order

if TYPE_CHECKING:
    from nightrank.storage.release.manifest import LogMeans

NAN = np.nan


def gate(bias: float = 0.0, *, rank_share: float = 0.0, **coefficients: float) -> Gate:
    """A gate over features as they are: centre 0, deviation 1."""
    values = np.array([coefficients.get(name, 0.0) for name in FEATURES])
    return Gate(bias, values, np.zeros(len(FEATURES)), np.ones(len(FEATURES)), rank_share)


def order_of(*, grams: float = -1e3, **gates: Gate) -> LearnedOrder:
    """An order of some gates; grams count for nothing where nothing else is said."""
    return LearnedOrder({name: gates.get(name, gate()) for name in (*LEGS, RERANKER)}, grams, "own", "a fingerprint")


def two_legs(rows: list[tuple[int, float, float]], grams: list[float] | None = None) -> Lists:
    queries = np.array([row[0] for row in rows])
    scores = {"bm25": np.array([r[1] for r in rows]), "dense": np.array([r[2] for r in rows])}
    return Lists.of(queries, scores, grams=np.zeros(len(rows)) if grams is None else np.array(grams))


ROWS = [(0, 3.0, 0.1), (0, 2.0, NAN), (0, NAN, 0.9), (1, 5.0, 0.3), (1, 1.0, 0.7)]


def test_a_gate_is_a_line_over_standardised_features_cut_at_the_farthest() -> None:
    one = Gate(0.5, np.full(len(FEATURES), 2.0), np.ones(len(FEATURES)), np.full(len(FEATURES), 4.0))
    row = np.ones((1, len(FEATURES)))
    row[0, 0], row[0, 1] = 3.0, 1e6
    assert one(row).tolist() == [0.5 + 2.0 * 0.5 + 2.0 * FARTHEST]


def test_equal_gates_give_equal_parts_and_a_bias_shifts_them() -> None:
    lists = two_legs(ROWS)
    log = log_means(lists, ("bm25", "dense"))
    equal = order_of().weights(lists, ("bm25", "dense"), log=log)
    assert {name: parts.tolist() for name, parts in equal.items()} == {
        "bm25": [0.5, 0.5],
        "dense": [0.5, 0.5],
        GRAMS: [0.0, 0.0],
    }
    shifted = order_of(bm25=gate(math.log(3.0)), grams=math.log(2.0)).weights(lists, ("bm25", "dense"), log=log)
    assert shifted["bm25"].tolist() == pytest.approx([0.5, 0.5])
    assert shifted[GRAMS].tolist() == pytest.approx([1 / 3, 1 / 3])


def test_a_leg_alone_has_all_the_weight_and_keeps_its_order() -> None:
    lists = two_legs(ROWS)
    found = order_of(bm25=gate(-9.0)).first_stage(lists, ("bm25",), log=log_means(lists, ("bm25",)))
    assert found.tolist() == lists.scores["bm25"].tolist()


def test_the_first_stage_is_the_weighted_sum_of_the_legs_scores() -> None:
    lists = two_legs(ROWS)
    found = order_of(dense=gate(rank_share=1.0)).first_stage(
        lists, ("bm25", "dense"), log=log_means(lists, ("bm25", "dense"))
    )
    assert found.tolist() == pytest.approx(
        [0.5 * 1.0 + 0.5 * 11 / 12, 0.0, 0.5 * 1.0, 0.5 * 1.0 + 0.5 * 11 / 12, 0.5 * 1.0]
    )


def test_shares_of_grams_are_weighed_beside_the_legs() -> None:
    lists = two_legs(ROWS, [0.25, 1.0, 0.0, 0.5, 0.5])
    found = order_of(grams=0.0).first_stage(lists, ("bm25", "dense"), log=log_means(lists, ("bm25", "dense")))
    assert found.tolist() == pytest.approx([(1.0 + 0.0 + 0.25) / 3, 1.0 / 3, 1.0 / 3, 1.5 / 3, 1.5 / 3])


def test_features_are_the_querys_the_logs_and_what_the_log_lacks_of_the_usual_agreement() -> None:
    lists = two_legs(ROWS)
    log: LogMeans = {"bm25": (0.1, 0.2, 0.3, 0.05, 0.9), "dense": (0.0,) * 5}
    found = features(lists, "bm25", legs=("bm25", "dense"), log=log)
    assert found.shape == (2, len(FEATURES))
    named = dict(zip(FEATURES, found[0].tolist(), strict=True))
    assert named["mean_lead_5"] == 0.2
    assert named["missing_overlap"] == pytest.approx(0.25)
    assert named["missing_support"] == 0.0


def test_means_over_the_log_leave_out_queries_that_a_list_is_empty_for() -> None:
    rows = [(0, 3.0, 0.1), (0, 2.0, 0.2), (1, NAN, 0.5)]
    means = log_means(two_legs(rows), ("bm25", "dense"))
    assert means["bm25"][DESCRIPTORS.index("lead_5")] == 1.0  # of the first query alone
    assert means["dense"][DESCRIPTORS.index("lead_5")] == 1.0


@given(st.permutations(range(12)), st.integers(0, 2**32 - 1))
def test_means_over_the_log_do_not_depend_on_the_order_of_its_queries(places: list[int], seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=(12, 5, 2))

    def means(order: list[int]) -> dict[str, tuple[float, ...]]:
        rows = [(n, *scores[query, entry]) for n, query in enumerate(order) for entry in range(5)]
        return log_means(two_legs(rows), ("bm25", "dense"))

    assert means(list(range(12))) == means(places)


entries = st.lists(st.tuples(*[st.integers(-8, 8)] * 3, st.integers(0, 8)), min_size=3, max_size=12)


@given(entries)
def test_no_candidate_falls_below_another_that_is_worse_in_everything(rows: list[tuple[int, int, int, int]]) -> None:
    weighing = Weighing({"bm25": 0.5, "dense": 0.5}, 1.0, read_order(), knows_reranker=True)
    count = len(rows)
    values = np.array(rows, dtype=float)
    scores = weighing.final_scores(
        Entries(
            np.zeros(count, dtype=np.int32),
            np.ones(count),
            np.arange(1, count + 1),
            {"bm25": values[:, 0], "dense": values[:, 1]},
            values[:, 3] / 8.0,
        ),
        values[:, 2],
    )
    for one in range(count):
        for other in range(count):
            if (values[one] > values[other]).all():
                assert scores[one] >= scores[other]


def test_a_leg_that_stands_alone_counts_for_less_with_the_packaged_order() -> None:
    # Ten queries; the dense leg finds what BM25 does not, and hardly tells its entries apart.
    rows = []
    for query in range(10):
        rows += [(query, 20.0 / (1 + place), NAN) for place in range(20)]
        rows += [(query, NAN, 0.9 - place / 1000) for place in range(20)]
    lists = two_legs(rows)
    legs = ("bm25", "dense")
    weights = read_order().weights(lists, legs, log=log_means(lists, legs))
    assert weights["dense"].max() < 0.2
