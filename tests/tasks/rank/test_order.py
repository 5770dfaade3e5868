from __future__ import annotations

import math
from statistics import fmean, pstdev
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.records import FUSED
from nightrank.storage.wide import rows_at
from nightrank.tasks.rank.grams import GRAM_BITS
from nightrank.tasks.rank.learned import LearnedOrder
from nightrank.tasks.rank.order import (
    LegScores,
    Weighing,
    best_of_each,
    entries_of,
    final_order,
    first_stage_scores,
    name_candidates,
    rank_candidates,
    weighted_scores,
)
from nightrank.tasks.rank.order_file import read_order
from nightrank.tasks.rank.results import cut_results
from nightrank.tasks.settings.ranking import ResultsSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import SearchStrategy

    from nightrank.storage.legs import LegName

NAN = math.nan
# The candidates of one query in fused order: fused score and pair score, NaN where the reranker was not asked.
Candidates = list[tuple[float, float]]


def weigh(lists: Sequence[Candidates], *, weight: float) -> list[list[float]]:
    """``weighted_scores`` of the candidates of several queries."""
    sizes = [len(candidates) for candidates in lists]
    every = [candidate for candidates in lists for candidate in candidates]
    scores = weighted_scores(
        np.repeat(np.arange(len(lists), dtype=np.int32), sizes),
        np.array([fused for fused, _ in every], dtype=np.float32),
        np.array([rank for size in sizes for rank in range(1, size + 1)], dtype=np.int32),
        np.array([pair for _, pair in every], dtype=np.float32),
        weight=weight,
    )
    assert scores.dtype == np.float32
    return [part.tolist() for part in np.split(scores, np.cumsum(sizes)[:-1])] if lists else []


def order(candidates: Candidates, *, weight: float) -> list[int]:
    """Places in the fused order, by final rank; ties by place."""
    (scores,) = weigh([candidates], weight=weight)
    return sorted(range(len(candidates)), key=lambda place: (-scores[place], place))


def standardised(values: list[float]) -> list[float]:
    deviation = pstdev(values) if len(values) > 1 else 0.0
    return [(value - fmean(values)) / deviation if deviation else 0.0 for value in values]


def by_loop(candidates: Candidates, *, weight: float) -> list[float]:
    asked = [place for place, (_, pair) in enumerate(candidates) if not math.isnan(pair)]
    scores = [fused for fused, _ in candidates]
    if not asked:
        return scores
    fused = standardised([candidates[place][0] for place in asked])
    pairs = standardised([candidates[place][1] for place in asked])
    for place, from_reranker, from_first_stage in zip(asked, pairs, fused, strict=True):
        scores[place] = weight * from_reranker + (1 - weight) * from_first_stage
    lowest, deepest = min(scores[place] for place in asked), asked[-1]
    for place in range(len(candidates)):
        if place not in asked:
            scores[place] = lowest - (place - deepest)
    return scores


def candidates(pair_scores: SearchStrategy[float]) -> SearchStrategy[Candidates]:
    """Up to 8 candidates, the first few of them reranked."""
    fused = st.lists(st.integers(-8, 8).map(lambda value: value / 4), max_size=8).map(lambda found: sorted(found)[::-1])

    def with_pairs(scores: list[float]) -> SearchStrategy[Candidates]:
        return st.integers(0, len(scores)).flatmap(
            lambda depth: st.lists(pair_scores, min_size=depth, max_size=depth).map(
                lambda pairs: list(zip(scores, pairs + [NAN] * (len(scores) - depth), strict=True))
            )
        )

    return fused.flatmap(with_pairs)


PAIR_SCORES = st.integers(-20, 20).map(lambda value: value / 4)


@given(st.lists(candidates(PAIR_SCORES), max_size=3), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_weighing_columns_is_what_a_plain_loop_gives(lists: list[Candidates], weight: float) -> None:
    for found, one in zip(weigh(lists, weight=weight), lists, strict=True):
        np.testing.assert_allclose(found, by_loop(one, weight=weight), rtol=1e-5, atol=1e-5)


@given(candidates(PAIR_SCORES))
def test_weight_zero_keeps_the_fused_order(one: Candidates) -> None:
    assert order(one, weight=0.0) == list(range(len(one)))


@given(candidates(PAIR_SCORES))
def test_weight_one_is_the_rerankers_order_and_the_rest_below_in_the_fused_order(one: Candidates) -> None:
    asked = [place for place, (_, pair) in enumerate(one) if not math.isnan(pair)]
    expected = sorted(asked, key=lambda place: (-one[place][1], place)) + list(range(len(asked), len(one)))
    assert order(one, weight=1.0) == expected


@given(candidates(PAIR_SCORES), st.sampled_from([0.0, 0.5, 1.0]), st.integers(1, 9), st.integers(-5, 5))
def test_neither_the_scale_nor_the_offset_of_the_reranker_decides(
    one: Candidates, weight: float, scale: int, offset: int
) -> None:
    moved = [(fused, pair * scale + offset) for fused, pair in one]
    np.testing.assert_allclose(weigh([one], weight=weight), weigh([moved], weight=weight), rtol=1e-5, atol=1e-5)


LISTS = st.lists(
    st.lists(
        st.tuples(st.integers(0, 8), *[st.none() | st.integers(-8, 8)] * 3),
        min_size=1,
        max_size=6,
    ),
    max_size=3,
)


@given(LISTS, st.sampled_from([(1.0, 0.0, 0.0), (0.5, 0.5, 0.0), (0.25, 0.25, 0.5)]))
def test_the_first_stage_is_fused_score_and_leg_scores_of_twice_its_weight_as_a_plain_loop_gives(
    lists: list[list[tuple[int, int | None, int | None, int | None]]], weights: tuple[float, float, float]
) -> None:
    expected: list[float] = []
    for one in lists:
        columns = [[entry[place] for entry in one] for place in range(4)]
        filled = []
        for column in columns:
            listed = [value for value in column if value is not None]
            lowest = min(listed) if listed else 0
            filled.append(standardised([float(lowest if value is None else value) for value in column]))
        for fused_score, *of_legs in zip(*filled, strict=True):
            expected.append(fused_score + 2 * sum(weight * leg for weight, leg in zip(weights, of_legs, strict=True)))
    every = [[NAN if value is None else float(value) for value in entry] for one in lists for entry in one]
    fused, *of_every_leg = np.array(every, dtype=np.float32).reshape(-1, 4).T
    queries = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
    legs = [LegScores(leg, weight) for leg, weight in zip(of_every_leg, weights, strict=True)]
    found = first_stage_scores(queries, fused, legs=legs, asked=np.ones(len(every), dtype=bool))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_candidates_that_are_not_reranked_keep_their_fused_scores_and_do_not_move_the_others() -> None:
    asked = np.array([True, True, False])
    leg = LegScores(np.array([1.0, 3.0, 99.0]), 1.0)
    fused = np.array([0.9, 0.8, 0.7])
    found = first_stage_scores(np.zeros(3, dtype=int), fused, legs=[leg], asked=asked)
    assert found.tolist() == pytest.approx([1 - 2, -1 + 2, 0.7])


def test_a_query_of_which_nothing_was_reranked_keeps_its_fused_scores_beside_one_that_was() -> None:
    reranked, plain = [(0.75, -1.0), (0.5, 1.0)], [(0.75, NAN), (0.5, NAN)]
    assert weigh([reranked, plain], weight=1.0) == [[-1.0, 1.0], [0.75, 0.5]]
    assert weigh([plain], weight=1.0) == [[0.75, 0.5]]
    assert weigh([plain, reranked], weight=0.0) == [[0.75, 0.5], [1.0, -1.0]]


def test_one_reranked_candidate_stands_above_those_that_were_not() -> None:
    assert weigh([[(0.9, -7.0), (0.8, NAN), (0.7, NAN)]], weight=0.5) == [[0.0, -1.0, -2.0]]


def test_no_candidates_have_no_scores() -> None:
    nothing = np.zeros(0, dtype=np.float32)
    assert weighted_scores(nothing.astype(int), nothing, nothing.astype(int), nothing, weight=0.5).size == 0


def test_final_ranks_count_within_each_query() -> None:
    queries = np.array([1, 0, 0, 1])
    order_, ranks = rank_candidates(queries, np.array([0, 2, 2, 1], dtype=np.float32), np.array([1, 9, 3, 4]))
    assert order_.tolist() == [2, 1, 3, 0]
    assert ranks.tolist() == [1, 2, 1, 2]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=15).map(
        lambda found: sorted(found, key=lambda entry: entry[0])
    ),
    st.integers(1, 4),
)
def test_a_document_comes_once_a_query_where_its_best_entry_stands(entries: list[tuple[int, int]], depth: int) -> None:
    queries = [query for query, _ in entries]
    expected = []
    for query in range(3):
        seen: list[int] = []
        for place, (other, unit) in enumerate(entries):
            if other == query and unit not in seen and len(seen) < depth:
                seen.append(unit)
                expected.append(place)
    kept = best_of_each(
        np.array(queries, dtype=int),
        np.array([unit for _, unit in entries], dtype=int),
        depth=depth,
    )
    assert kept.tolist() == expected


def two_entries() -> pa.Table:
    """Two chunks that both legs like the same, schema FUSED."""
    rows = [dict.fromkeys(FUSED.names, 1) | {"query_number": 0, "chunk_number": number} for number in range(2)]
    return pa.Table.from_pylist(rows, schema=FUSED)


def test_of_entries_that_legs_like_the_same_the_one_with_more_grams_comes_first() -> None:
    keys = {name: ["k", "k"] for name in ("query_key", "chunk_id", "chunk_hash", "document_id")}
    candidates = pa.table({**keys, "grams": pa.array([b"\x60", b"\xe0"], GRAM_BITS)})
    learned = LearnedOrder.of(read_order().gates, "none", grams=0.0)
    unasked = np.full(2, np.nan, dtype=np.float32)
    halves: dict[LegName, float] = {"bm25": 0.5, "dense": 0.5}
    ordered = final_order(candidates, two_entries(), unasked, weighing=Weighing(halves, 0.0, learned))
    assert ordered.column("chunk_number").to_pylist() == [1, 0]
    assert ordered.column("grams").to_pylist() == [b"\xe0", b"\x60"]

    plain = final_order(candidates.drop_columns(["grams"]), two_entries(), unasked, weighing=Weighing(halves, 0.0))
    assert plain.column("chunk_number").to_pylist() == [0, 1]
    assert plain.column("grams").null_count == 2


def test_candidates_of_older_releases_have_no_grams() -> None:
    assert entries_of(two_entries()).grams.tolist() == [0.0, 0.0]


@pytest.mark.slow  # seconds, and some 7 GB of memory
def test_candidates_may_name_more_than_offsets_of_32_bits_reach() -> None:
    queries = 1_050  # of two candidates each, whose ids have a mebibyte: 2 GiB are 2,048
    entries = 2 * queries
    number = np.arange(entries, dtype=np.int32)
    fused = pa.table(
        {
            "query_number": number // 2,
            "chunk_number": number % 2,
            "bm25_score": (number % 2).astype(np.float32),
            "bm25_rank": 2 - number % 2,
            **{f"{leg}_score": pa.nulls(entries, pa.float32()) for leg in ("dense", "sparse")},
            **{f"{leg}_rank": pa.nulls(entries, pa.int32()) for leg in ("dense", "sparse")},
            "fused_score": (number % 2).astype(np.float32),
            "fused_rank": 2 - number % 2,
        }
    ).select(FUSED.names)
    ids = ["a" * 1_048_576, "b" * 1_048_576]
    chunks = pa.table({"chunk_id": ["a#0", "b#0"], "chunk_hash": ["1", "2"], "document_id": ids})
    asked = pa.table({"query_key": [f"q{query}" for query in range(queries)]})
    named = name_candidates(fused, asked, rows_at(chunks, number % 2))
    assert named.column("document_id").nbytes > 1 << 31
    unscored = np.full(entries, np.nan, dtype=np.float32)
    ordered = final_order(named, fused.cast(FUSED), unscored, weighing=Weighing({"bm25": 1.0}, 0.0))
    del named
    assert ordered.column("chunk_id").to_pylist() == ["b#0", "a#0"] * queries
    results = cut_results(ordered, candidate_depth=10, settings=ResultsSettings(depth=1), vectors=None)
    assert results.select(["query_key", "chunk_id"]).to_pylist() == [
        {"query_key": f"q{query}", "chunk_id": "b#0"} for query in range(queries)
    ]
