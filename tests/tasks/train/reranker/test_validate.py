"""Which weight is chosen, on what measure, and that the order is a release's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nightrank.tasks.rank.grams import gram_shares, grams_in
from nightrank.tasks.rank.learned import LearnedOrder
from nightrank.tasks.rank.order import Entries, Weighing
from nightrank.tasks.rank.order_file import read_order
from nightrank.tasks.train.reranker.validate import (
    PLAIN,
    by_weight,
    entries_of_held_out,
    evaluate_reranker,
    final_scores,
    fold_weights,
    fused_ndcg,
    ndcg,
    ndcg_of,
)
from nightrank.tasks.train.sets import Candidate, HeldOutQuery
from nightrank.tasks.train.sources import Passage

if TYPE_CHECKING:
    from numpy.typing import NDArray

PASSAGES = [Passage(name, "", f"text {name}") for name in "abcd"] + [Passage("a", "", "more of a")]
# The legs say nothing, so the first stage is the fused order. "c" answers, and "z" that is not found.
QUERY = HeldOutQuery(
    "q",
    {"c": 2, "z": 1},
    (Candidate(0, 0.3, {}), Candidate(1, 0.2, {}), Candidate(2, 0.1, {})),
)
IDEAL = 2 + 1 / math.log2(3)


def test_an_answer_that_was_not_found_still_counts() -> None:
    # Grades 2 and 1 exist, the first is found third: (2 / log2 4) / (2 + 1 / log2 3).
    assert ndcg((0, 0, 2), (2, 1)) == pytest.approx(1.0 / IDEAL)


def test_a_query_without_relevant_documents_has_the_measure_0() -> None:
    assert ndcg((0, 0), ()) == 0.0


def test_a_document_stands_where_its_best_passage_stands() -> None:
    query = HeldOutQuery("q", {"b": 1}, tuple(Candidate(place, 0.1, {}) for place in (0, 4, 1)))
    assert ndcg_of(query, PASSAGES, np.array([3.0, 2.0, 1.0])) == pytest.approx(1 / math.log2(3))


def test_weight_0_keeps_the_first_stages_order_and_weight_1_takes_the_rerankers() -> None:
    values = by_weight([QUERY], PASSAGES, [np.array([-5.0, -1.0, 3.0], dtype=np.float32)], weights=(0.0, 1.0))
    assert values[0.0].tolist() == pytest.approx([1.0 / IDEAL])
    assert values[1.0].tolist() == pytest.approx([2.0 / IDEAL])
    assert fused_ndcg([QUERY], PASSAGES, depth=3).tolist() == pytest.approx([1.0 / IDEAL])


def test_final_scores_weigh_reranker_fused_order_and_legs() -> None:
    # z of the pair scores (1, -1), of the fused ones (1, -1), of BM25 (-1, 1); the dense leg lists one: its lowest
    # for the other as well, so 0. First stage 1 - 2 * 0.5 = 0 and -1 + 2 * 0.5 = 0.
    query = HeldOutQuery("q", {}, (Candidate(0, 0.9, {"bm25": 3.0}), Candidate(1, 0.8, {"dense": 0.5, "bm25": 5.0})))
    pairs = [np.array([7.0, 2.0], dtype=np.float32)]
    entries = entries_of_held_out([query], PASSAGES, weighing=PLAIN)
    (scores,) = final_scores(entries, pairs, weighing=PLAIN, weight=0.4)
    assert scores.tolist() == pytest.approx([0.4, -0.4], abs=1e-6)
    # Without the dense leg BM25 counts twice: first stage 1 - 2, standardised -1, and the other way round.
    lexical = Weighing({"bm25": 1.0}, 0.0)
    entries = entries_of_held_out([query], PASSAGES, weighing=lexical)
    (scores,) = final_scores(entries, pairs, weighing=lexical, weight=0.4)
    assert scores.tolist() == pytest.approx([0.4 - 0.6, -0.4 + 0.6], abs=1e-6)


def test_no_query_chooses_its_own_weight() -> None:
    values: dict[float | None, NDArray[np.float64]] = {
        0.2: np.array([1.0, 0.0, 0.9, 0.1]),
        0.7: np.array([0.0, 0.6, 0.0, 0.6]),
    }
    assert fold_weights(values) == [0.7, 0.2, 0.7, 0.2]


def test_fused_order_reranker_and_weighted_order_are_measured_query_by_query() -> None:
    other = HeldOutQuery("r", {"d": 1}, (Candidate(3, 0.2, {}), Candidate(1, 0.1, {})))
    scores = [np.array([-5.0, -1.0, 3.0], dtype=np.float32), np.array([0.0, 9.0], dtype=np.float32)]
    table = evaluate_reranker([QUERY, other], PASSAGES, scores, weights=[1.0, 0.0])
    found = {
        (row["stage"], int(row["query_id"])): row["value"] for row in table.to_pylist() if row["measure"] == "nDCG@10"
    }
    second = 1 / math.log2(3)
    assert found == pytest.approx(
        {
            ("fused", 0): 1.0 / IDEAL,
            ("fused", 1): 1.0,
            ("reranker", 0): 2.0 / IDEAL,
            ("reranker", 1): second,
            ("reranked", 0): 2.0 / IDEAL,
            ("reranked", 1): 1.0,
        }
    )


LISTED = [
    HeldOutQuery(
        "text of " + "cb"[number - 1],
        {"c": 1},
        tuple(
            Candidate(place, 0.5 - place / 10, {"bm25": 9.0 - place * number, "dense": place / 3}) for place in range(4)
        ),
    )
    for number in (1, 2)
]
SCORES = [np.array([0.0, 3.0, 1.0], dtype=np.float32), np.array([2.0, 1.0, 5.0], dtype=np.float32)]


def test_where_the_learned_order_orders_held_out_queries_stand_for_the_log() -> None:
    learned = LearnedOrder.of(read_order().gates, "own", grams=0.0)
    weighing = Weighing({"bm25": 0.5, "dense": 0.5}, 0.0, learned, knows_reranker=True)
    entries = Entries(
        np.repeat([0, 1], 4),
        np.array([one.fused for query in LISTED for one in query.candidates]),
        np.tile([1, 2, 3, 4], 2),
        {leg: np.array([one.legs[leg] for query in LISTED for one in query.candidates]) for leg in ("bm25", "dense")},
        gram_shares(
            np.repeat([0, 1], 4),
            grams_in(
                [query.query for query in LISTED],
                [passage.model_text() for passage in PASSAGES],
                np.repeat([0, 1], 4),
                np.tile([0, 1, 2, 3], 2),
            ),
        ),
    )
    assert len(set(entries.grams.tolist())) > 1
    pairs = np.concatenate([np.append(own, np.float32(np.nan)) for own in SCORES])
    expected = weighing.final_scores(entries, pairs).reshape(2, 4)[:, :3]
    held_out = entries_of_held_out(LISTED, PASSAGES, weighing=weighing)
    found = final_scores(held_out, SCORES, weighing=weighing, weight=None)
    np.testing.assert_array_equal(np.stack(found), expected)
    plain = final_scores(held_out, SCORES, weighing=weighing, weight=1.0)
    assert [order.argmax() for order in plain] == [1, 2]
    assert by_weight(LISTED, PASSAGES, SCORES, weights=[None, 1.0], weighing=weighing)[1.0].tolist() == pytest.approx(
        [1 / math.log2(3), 1.0]
    )
