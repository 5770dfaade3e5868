"""What a dual encoder is worth on held-out queries."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nightrank.tasks.train.embedder.examine import Examination, examine, mean_of
from nightrank.tasks.train.sets import Candidate, HeldOutQuery, TrainingSet
from nightrank.tasks.train.sources import Passage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Angles in degrees: a query's passage is the better, the closer it is to the query.
PASSAGES = {"0": "near", "10": "far", "20": "near", "30": "other"}


def embed(angles: Sequence[str]) -> NDArray[np.float32]:
    radians = np.radians(np.array([float(angle) for angle in angles]))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def examination(relevant: Sequence[dict[str, int]], queries: Sequence[str]) -> Examination:
    return Examination(queries, relevant, list(PASSAGES), list(PASSAGES.values()))


def test_a_document_stands_where_its_best_passage_stands() -> None:
    # From 20 degrees: near at once (its passage at 20), then far and other, at 10 and 30, as far away as each other.
    asked = examination([{"near": 1}, {"far": 1}], ["20", "12"])

    measured = examine(asked, embed_queries=embed, embed_passages=embed)

    values = {(row["query_id"], row["measure"]): row["value"] for row in measured.to_pylist()}
    assert values["0000000", "nDCG@10"] == 1.0
    assert values["0000001", "RR@10"] == 1.0
    assert mean_of(measured, "R@100") == 1.0


def test_the_measures_are_those_of_hand() -> None:
    asked = examination([{"other": 3, "near": 1}], ["0"])  # the order: near, far, other

    measured = examine(asked, embed_queries=embed, embed_passages=embed)

    ideal = 3 + 1 / log2(3)
    assert mean_of(measured, "nDCG@10") == pytest.approx((1 + 3 / log2(4)) / ideal)
    assert mean_of(measured, "RR@10") == 1.0


def test_a_smaller_examination_keeps_what_answers_its_queries() -> None:
    asked = Examination(
        [str(number) for number in range(20)],
        [{f"d{number}": 1} for number in range(20)],
        [str(number) for number in range(40)],
        [f"d{number % 20}" for number in range(40)],
    )

    smaller = asked.smaller(queries=5, passages=14, generator=np.random.default_rng(0))

    assert (len(smaller.queries), len(smaller.passages)) == (5, 14)
    for query, relevant in zip(smaller.queries, smaller.relevant, strict=True):
        assert relevant == {f"d{query}": 1}
        assert smaller.document_ids.count(f"d{query}") == 2
    assert len(asked.smaller(queries=5, passages=1, generator=np.random.default_rng(0)).passages) == 10


def test_held_out_queries_are_asked_over_the_passages_that_are_evaluated() -> None:
    passages = [Passage("a", "A", "x"), Passage("b", "", "y"), Passage("c", "", "z")]
    held_out = [HeldOutQuery("q", {"b": 2}, (Candidate(0, 1.0, {}),))]

    asked = Examination.held_out(TrainingSet(passages, [], held_out, frozenset({1}), (0, 1)), held_out)

    assert asked == Examination(["q"], [{"b": 2}], ["A\nx", "y"], ["a", "b"])
