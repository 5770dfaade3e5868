"""Choosing how much a reranker counts: one weight for every collection, on held-out queries.

The weight is the one that helps most where the reranker helps least. The reranker's and the fused scores are
standardised per query, as in a release.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.hard_negatives import standardised

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


def choose_weight(by_collection: Mapping[str, Mapping[float, float]], *, noise: float = 0.001) -> float:
    """The weight whose smallest gain over the fused order is the largest; of about equal ones the best mean's.

    Held-out queries come from collections like those of training; others profit less. So it is the collection
    that the reranker helps least that decides first.

    Args:
        by_collection: For each collection nDCG@10 by weight; 0.0 is the fused order and is always there.
        noise: Smallest gains that lie closer together than this are about equal.

    >>> choose_weight({"a": {0.0: 0.5, 0.5: 0.6, 1.0: 0.9}, "b": {0.0: 0.5, 0.5: 0.52, 1.0: 0.4}})
    0.5
    """
    weights = sorted(set.intersection(*(set(values) for values in by_collection.values())))
    gains = {weight: [values[weight] - values[0.0] for values in by_collection.values()] for weight in weights}
    best = max(min(gain) for gain in gains.values())
    return max((w for w in weights if min(gains[w]) >= best - noise), key=lambda weight: sum(gains[weight]))


def score_validation(model: Any, queries: Sequence[ValidationQuery]) -> NDArray[np.float32]:  # noqa: ANN401 - untyped
    """The reranker's raw scores of every candidate, float32 (n_pairs,), query by query.

    Args:
        model: A cross-encoder of sentence-transformers that gives raw logits.
        queries: The held-out queries.
    """
    pairs = [(query.query, text) for query in queries for text in query.texts]
    scores = model.predict(pairs, batch_size=32, show_progress_bar=False, convert_to_numpy=True)
    return np.asarray(scores, dtype=np.float32)
