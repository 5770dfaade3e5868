"""When a lower precision of the reranker pays: by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from benchmarks.precisions import Asked, Collection, Row, row_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.rerank.cross_encoder import Reranker

PASSAGES = [f"{number}" for number in range(12)]
# Two queries; what answers the first is the passage 0, and the passage 1 the second.
ASKED = [Asked("one", list(range(12)), {0: 1}), Asked("two", list(range(12)), {1: 1})]


def scorer(precision: str, scores: dict[tuple[str, str], float]) -> Reranker:
    """Passage n has the score -n, unless another is given."""

    def score(queries: Sequence[str], texts: Sequence[str], _lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        pairs = zip(queries, texts, strict=True)
        return np.array([scores.get(pair, -float(pair[1])) for pair in pairs], dtype=np.float32)

    return cast("Reranker", SimpleNamespace(score=score, plan=SimpleNamespace(precision=precision)))


def test_the_ten_best_are_compared_as_a_set_and_in_order_and_ndcg_by_the_judgments() -> None:
    collection = Collection("made up", PASSAGES, ASKED)
    exact = scorer("float32", {})
    swapped = scorer("bfloat16", {("one", "0"): -1.5, ("two", "10"): -8.5})
    row = row_of(collection, exact, swapped)
    assert (row.collection, row.precision, row.queries) == ("made up", "bfloat16", 2)
    assert (row.same, row.same_order) == (0.5, 0.0)  # of the second query 10 has come for 9
    second = 1 / np.log2(3)
    assert list(row.ndcg) == pytest.approx([(1 + second) / 2, (second + second) / 2])
    assert row.largest == 1.5


@pytest.mark.parametrize(
    ("faster", "same", "ndcg", "pays"),
    [(1.5, 0.99, 0.5009, True), (1.0, 1.0, 0.5, False), (1.5, 0.98, 0.5, False), (1.5, 1.0, 0.4985, False)],
)
def test_a_precision_pays_where_it_is_faster_and_moves_next_to_nothing(
    faster: float, same: float, ndcg: float, pays: bool
) -> None:
    row = Row("made up", "bfloat16", 100, 50.0, faster, same, 0.9, (0.5, round(ndcg, 4)), 0.1)
    assert row.pays is pays
