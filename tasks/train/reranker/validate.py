"""What a reranker is worth on held-out queries, and how much it is to count.

The order is a release's: the same formula, over the candidates of the same first stage. A weight is chosen for the
collection that the reranker helps least, because held-out queries come from collections like those of training, and
others profit less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.records import Judgment
from nightrank.storage.release.evaluation import EVALUATION
from nightrank.tasks.evaluate.measures import evaluate_run
from nightrank.tasks.rank.order import LegScores, first_stage_scores, weighted_scores
from nightrank.tasks.trec.runs import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName
    from nightrank.tasks.train.sets import HeldOutQuery
    from nightrank.tasks.train.sources import Passage

    Scores = Sequence[NDArray[np.float32]]

WEIGHTS = tuple(round(0.05 * step, 2) for step in range(21))
MEASURES = ("nDCG@10", "RR@10")
STAGES = ("fused", "reranker", "reranked")
EQUAL_PARTS: Mapping[LegName, float] = {"bm25": 0.5, "dense": 0.5}
FOLDS = 2  # every so manieth query is of one fold; its weight is the best one of the others


def final_scores(
    query: HeldOutQuery,
    scores: NDArray[np.floating],
    *,
    weight: float,
    leg_weights: Mapping[LegName, float] = EQUAL_PARTS,
) -> NDArray[np.float32]:
    """The final scores of a query's first candidates, as a release has them.

    Args:
        query: With the legs' scores of its candidates.
        scores: float (n,), the reranker's, of the first n candidates.
        weight: Of the reranker.
        leg_weights: Of the legs in the first stage; they sum to 1.

    Returns:
        float32 (n,).
    """
    candidates = query.candidates[: len(scores)]
    group, asked = np.zeros(len(scores), dtype=np.int64), np.ones(len(scores), dtype=bool)
    fused = np.array([entry.fused for entry in candidates])
    legs = [
        LegScores(np.array([entry.legs.get(leg, np.nan) for entry in candidates]), of_leg)
        for leg, of_leg in leg_weights.items()
    ]
    first_stage = first_stage_scores(group, fused, legs=legs, asked=asked)
    return weighted_scores(group, first_stage, np.arange(1, len(scores) + 1), scores, weight=weight)


def ndcg(grades: Sequence[int], ideal: Sequence[int], *, depth: int = 10) -> float:
    """A ranking's DCG, with the grade itself as gain, against that of all judged documents in their best order.

    0 where nothing is relevant.

    >>> round(ndcg([0, 3, 0, 1], [3, 1]), 4)  # (3 / log2(3) + 1 / log2(5)) / (3 + 1 / log2(3))
    0.6399
    """

    def gain(values: Sequence[int]) -> float:
        return float(sum(value / np.log2(rank + 1) for rank, value in enumerate(values[:depth], start=1)))

    best = gain(sorted(ideal, reverse=True))
    return gain(grades) / best if best > 0 else 0.0


def ndcg_of(query: HeldOutQuery, passages: Sequence[Passage], scores: NDArray[np.floating]) -> float:
    """nDCG@10 of a query's documents in the order of their candidates' scores, each where its best candidate stands.

    Args:
        query: The held-out one.
        passages: What its candidates' places point into.
        scores: float (n,), of its first n candidates.
    """
    order = np.argsort(-scores, kind="stable").tolist()
    documents = dict.fromkeys(passages[query.candidates[place].place].document_id for place in order)
    return ndcg([query.relevant.get(document, 0) for document in documents], list(query.relevant.values()))


def by_weight(
    queries: Sequence[HeldOutQuery],
    passages: Sequence[Passage],
    scores: Scores,
    *,
    weights: Sequence[float] = WEIGHTS,
    leg_weights: Mapping[LegName, float] = EQUAL_PARTS,
) -> dict[float, NDArray[np.float64]]:
    """nDCG@10 of each query, float64 (n_queries,), for each weight."""
    return {
        weight: np.array(
            [
                ndcg_of(query, passages, final_scores(query, own, weight=weight, leg_weights=leg_weights))
                for query, own in zip(queries, scores, strict=True)
            ]
        )
        for weight in weights
    }


def mean_ndcg(queries: Sequence[HeldOutQuery], passages: Sequence[Passage], scores: Scores) -> float:
    """Mean nDCG@10 of the queries in the order of their first candidates' scores."""
    return float(np.mean([ndcg_of(query, passages, own) for query, own in zip(queries, scores, strict=True)]))


def fused_ndcg(queries: Sequence[HeldOutQuery], passages: Sequence[Passage], *, depth: int) -> NDArray[np.float64]:
    """nDCG@10 of each query in the fused order of its first candidates, float64 (n_queries,)."""
    return np.array([ndcg_of(query, passages, _falling(query, depth)) for query in queries])


def choose_weight(
    by_collection: Mapping[str, Mapping[float, float]], fused: Mapping[str, float], *, noise: float = 0.001
) -> float:
    """The weight whose smallest gain over the fused order is the largest; of about equal ones the best mean's.

    Args:
        by_collection: For each collection nDCG@10 by weight.
        fused: For each collection that of the fused order.
        noise: Smallest gains that lie closer together than this are about equal.

    >>> choose_weight({"a": {0.5: 0.6, 1.0: 0.9}, "b": {0.5: 0.52, 1.0: 0.4}}, {"a": 0.5, "b": 0.5})
    0.5
    """
    weights = sorted(set.intersection(*(set(values) for values in by_collection.values())))
    gains = {weight: [values[weight] - fused[name] for name, values in by_collection.items()] for weight in weights}
    best = max(min(gain) for gain in gains.values())
    return max((w for w in weights if min(gains[w]) >= best - noise), key=lambda weight: sum(gains[weight]))


def fold_weights(values: Mapping[float, NDArray[np.float64]]) -> NDArray[np.float64]:
    """A weight for each query that was chosen without it, so that figures at chosen weights flatter nobody.

    Args:
        values: nDCG@10 of each query, float64 (n_queries,), for each weight.

    Returns:
        float64 (n_queries,).

    >>> fold_weights({0.0: np.array([1.0, 0.0, 1.0, 0.0]), 1.0: np.array([0.0, 1.0, 0.0, 1.0])}).tolist()
    [1.0, 0.0, 1.0, 0.0]
    """
    weights = sorted(values)
    table = np.stack([values[weight] for weight in weights])
    fold = np.arange(table.shape[1]) % FOLDS
    chosen = np.empty(table.shape[1])
    for number in range(FOLDS):
        others = table[:, fold != number] if (fold != number).any() else table
        chosen[fold == number] = weights[int(others.mean(axis=1).argmax())]
    return chosen


def evaluate_reranker(
    queries: Sequence[HeldOutQuery],
    passages: Sequence[Passage],
    scores: Scores,
    *,
    weights: NDArray[np.floating],
    leg_weights: Mapping[LegName, float] = EQUAL_PARTS,
) -> pa.Table:
    """Measure the fused order, the reranker alone and the weighted order of the candidates that were scored.

    Args:
        queries: The held-out ones; a query is named by its number.
        passages: What candidates' places point into.
        scores: float32 (n,) of each query's first n candidates.
        weights: float (n_queries,), of the reranker.
        leg_weights: Of the legs in the first stage; they sum to 1.

    Returns:
        A table of schema EVALUATION.
    """
    judgments = [
        Judgment(_query_id(number), document_id, grade)
        for number, query in enumerate(queries)
        for document_id, grade in query.relevant.items()
    ]
    orders = {
        "fused": [_falling(query, len(own)) for query, own in zip(queries, scores, strict=True)],
        "reranker": list(scores),
        "reranked": [
            final_scores(query, own, weight=weight, leg_weights=leg_weights)
            for query, own, weight in zip(queries, scores, weights.tolist(), strict=True)
        ],
    }
    rows = [
        {"stage": stage, "query_id": query_id, "measure": measure, "value": value}
        for stage in STAGES
        for query_id, measure, value in evaluate_run(_run(queries, passages, orders[stage]), judgments, MEASURES)
    ]
    return pa.Table.from_pylist(rows, schema=EVALUATION)


def _falling(query: HeldOutQuery, depth: int) -> NDArray[np.float32]:
    return -np.arange(min(depth, len(query.candidates)), dtype=np.float32)


def _run(
    queries: Sequence[HeldOutQuery], passages: Sequence[Passage], orders: Sequence[NDArray[np.floating]]
) -> Iterator[Entry]:
    for number, (query, scores) in enumerate(zip(queries, orders, strict=True)):
        order = np.argsort(-scores, kind="stable").tolist()
        documents = dict.fromkeys(passages[query.candidates[place].place].document_id for place in order)
        for rank, document_id in enumerate(documents):
            yield Entry(_query_id(number), document_id, -float(rank))


def _query_id(number: int) -> str:
    return f"{number:07d}"
