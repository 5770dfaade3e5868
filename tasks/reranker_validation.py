"""Choosing how much a reranker counts: one weight for every collection, on held-out queries.

A weight is chosen that helps on average and harms nowhere, and rather a small one. The reranker's and the fused
scores are standardised per query, as in a release.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.training_pairs import standardised

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tasks.training_sources import ValidationQuery

WEIGHTS = tuple(round(0.05 * step, 2) for step in range(21))


def discounted_gain(grades: Sequence[int], *, depth: int = 10) -> float:
    """DCG with the grade itself as gain, as trec_eval has it.

    >>> discounted_gain([0, 3, 0, 1])  # 3 / log2(3) + 1 / log2(5)
    2.3234...
    """
    return float(sum(grade / np.log2(rank + 1) for rank, grade in enumerate(grades[:depth], start=1)))


def ndcg(grades: Sequence[int], ideal: Sequence[int], *, depth: int = 10) -> float:
    """A ranking's DCG against that of all judged documents in their best order; 0 where none is relevant."""
    best = discounted_gain(sorted(ideal, reverse=True), depth=depth)
    return discounted_gain(grades, depth=depth) / best if best > 0 else 0.0


def weighted_ndcg(queries: Sequence[ValidationQuery], scores: NDArray[np.floating], *, weight: float) -> float:
    """Mean nDCG@10 of the candidates ordered by ``weight * z(score) + (1 - weight) * z(fused)``.

    Args:
        queries: The held-out queries.
        scores: (n_pairs,) of the reranker, query by query, candidate by candidate.
        weight: Of the reranker; 0 is the fused order.
    """
    values, start = [], 0
    for query in queries:
        own = np.asarray(scores[start : start + len(query.fused)], dtype=np.float64)
        start += len(query.fused)
        final = weight * standardised(own) + (1 - weight) * standardised(np.asarray(query.fused))
        order = np.argsort(-final, kind="stable")
        values.append(ndcg([query.grades[place] for place in order], query.ideal))
    return float(np.mean(values))


def choose_weight(
    by_collection: Mapping[str, Mapping[float, float]], *, tolerance: float = 0.0, caution: float = 0.01
) -> float:
    """The smallest weight that harms no collection and is nearly as good as the best such weight.

    Held-out queries come from collections like those of training; others profit less from the reranker. So of
    weights that are about equally good the one that trusts the first stage most is taken.

    Args:
        by_collection: For each collection nDCG@10 by weight; 0.0 is the fused order and is always there.
        tolerance: How far below the fused order counts as no harm.
        caution: How far below the best mean counts as nearly as good.

    >>> choose_weight({"a": {0.0: 0.5, 0.5: 0.6, 1.0: 0.9}, "b": {0.0: 0.5, 0.5: 0.5, 1.0: 0.4}})
    0.5
    """
    weights = sorted(set.intersection(*(set(values) for values in by_collection.values())))
    means = {
        weight: float(np.mean([values[weight] for values in by_collection.values()]))
        for weight in weights
        if all(values[weight] >= values[0.0] - tolerance for values in by_collection.values())
    }
    return min(weight for weight, mean in means.items() if mean >= max(means.values()) - caution)


def score_validation(model: Any, queries: Sequence[ValidationQuery]) -> NDArray[np.float32]:  # noqa: ANN401 - untyped
    """The reranker's raw scores of every candidate, float32 (n_pairs,), query by query.

    Args:
        model: A cross-encoder of sentence-transformers that gives raw logits.
        queries: The held-out queries.
    """
    pairs = [(query.query, text) for query in queries for text in query.texts]
    scores = model.predict(pairs, batch_size=32, show_progress_bar=False, convert_to_numpy=True)
    return np.asarray(scores, dtype=np.float32)
