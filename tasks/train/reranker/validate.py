"""What a reranker is worth on held-out queries, and how much it is to count.

The order is a release's: the same formulas, over the candidates of the same first stage; the held-out queries stand
for the log.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.records import Judgment
from nightrank.storage.release.evaluation import EVALUATION
from nightrank.tasks.evaluate.measures import evaluate_run
from nightrank.tasks.rank.grams import gram_shares, grams_in
from nightrank.tasks.rank.order import Entries, Weighing
from nightrank.tasks.trec.runs import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.train.sets import HeldOutQuery
    from nightrank.tasks.train.sources import Passage

    Scores = Sequence[NDArray[np.float32]]

WEIGHTS = tuple(round(0.05 * step, 2) for step in range(21))
MEASURES = ("nDCG@10", "RR@10")
STAGES = ("fused", "reranker", "reranked")
PLAIN = Weighing({"bm25": 0.5, "dense": 0.5}, weight=0.0)  # both legs in equal parts, by plain weights
FOLDS = 2  # every so manieth query is of one fold; its weight is the best one of the others


def entries_of_held_out(queries: Sequence[HeldOutQuery], passages: Sequence[Passage], *, weighing: Weighing) -> Entries:
    """What the first stage says of the candidates of held-out queries, and what these have of the queries' words.

    Args:
        queries: With the legs' scores of their candidates.
        passages: What candidates' places point into.
        weighing: Of the final order.
    """
    sizes = [len(query.candidates) for query in queries]
    candidates = [entry for query in queries for entry in query.candidates]
    of_query = np.repeat(np.arange(len(sizes)), sizes)
    grams = np.zeros(len(candidates))
    if weighing.learned is not None:
        places = np.array([entry.place for entry in candidates], dtype=np.int64)
        own, of_text = np.unique(places, return_inverse=True)
        texts = [passages[place].model_text() for place in own.tolist()]
        grams = gram_shares(of_query, grams_in([query.query for query in queries], texts, of_query, of_text))
    return Entries(
        queries=of_query,
        fused_scores=np.array([entry.fused for entry in candidates]),
        fused_ranks=np.concatenate([np.arange(1, size + 1) for size in sizes]) if sizes else np.zeros(0, np.int64),
        legs={
            leg: np.array([entry.legs.get(leg, np.nan) for entry in candidates], dtype=np.float64)
            for leg in weighing.leg_weights
        },
        grams=grams,
    )


def final_scores(
    entries: Entries, scores: Scores, *, weighing: Weighing, weight: float | None
) -> list[NDArray[np.float32]]:
    """The final scores of each query's first candidates, as a release of these queries has them.

    Args:
        entries: Of all candidates of the queries.
        scores: float (n,), the reranker's, of a query's first n candidates.
        weighing: Of the final order: legs, and the learned order where that orders.
        weight: Of the reranker; None where the learned order, which knows it, weighs it.

    Returns:
        float32 (n,) each.
    """
    sizes = np.bincount(entries.queries, minlength=len(scores))
    pair_scores = np.full(entries.queries.size, np.nan, dtype=np.float32)
    asked = np.array([len(own) for own in scores])[entries.queries]
    pair_scores[entries.fused_ranks <= asked] = np.concatenate(scores)
    own = replace(weighing, knows_reranker=weight is None, weight=0.0 if weight is None else weight)
    found = np.split(own.final_scores(entries, pair_scores), np.cumsum(sizes)[:-1])
    return [whole[: len(first)] for whole, first in zip(found, scores, strict=True)]


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
    weights: Sequence[float | None] = WEIGHTS,
    weighing: Weighing = PLAIN,
) -> dict[float | None, NDArray[np.float64]]:
    """nDCG@10 of each query, float64 (n_queries,), for each weight; None is what the learned order gives."""
    values: dict[float | None, NDArray[np.float64]] = {}
    entries = entries_of_held_out(queries, passages, weighing=weighing)
    for weight in weights:
        orders = final_scores(entries, scores, weighing=weighing, weight=weight)
        found = [ndcg_of(query, passages, own) for query, own in zip(queries, orders, strict=True)]
        values[weight] = np.array(found)
    return values


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


def fold_weights(values: Mapping[float | None, NDArray[np.float64]]) -> list[float | None]:
    """A weight for each query that was chosen without it, so that figures at chosen weights flatter nobody.

    Args:
        values: nDCG@10 of each query, float64 (n_queries,), for each weight; of equally good ones the first is chosen.

    >>> fold_weights({0.0: np.array([1.0, 0.0, 1.0, 0.0]), None: np.array([0.0, 1.0, 0.0, 1.0])})
    [None, 0.0, None, 0.0]
    """
    weights, table = list(values), np.stack(list(values.values()))
    fold = np.arange(table.shape[1]) % FOLDS
    others = [table[:, fold != number] if (fold != number).any() else table for number in range(FOLDS)]
    chosen = [weights[int(part.mean(axis=1).argmax())] for part in others]
    return [chosen[number] for number in fold.tolist()]


def evaluate_reranker(
    queries: Sequence[HeldOutQuery],
    passages: Sequence[Passage],
    scores: Scores,
    *,
    weights: Sequence[float | None],
    weighing: Weighing = PLAIN,
) -> pa.Table:
    """Measure the fused order, the reranker alone and the weighted order of the candidates that were scored.

    Args:
        queries: The held-out ones; a query is named by its number.
        passages: What candidates' places point into.
        scores: float32 (n,) of each query's first n candidates.
        weights: Of the reranker, for each query; None where the learned order weighs it.
        weighing: Of the final order: legs, and the learned order where that orders.

    Returns:
        A table of schema EVALUATION.
    """
    judgments = [
        Judgment(_query_id(number), document_id, grade)
        for number, query in enumerate(queries)
        for document_id, grade in query.relevant.items()
    ]
    entries = entries_of_held_out(queries, passages, weighing=weighing)
    by_choice = {one: final_scores(entries, scores, weighing=weighing, weight=one) for one in dict.fromkeys(weights)}
    orders = {
        "fused": [_falling(query, len(own)) for query, own in zip(queries, scores, strict=True)],
        "reranker": list(scores),
        "reranked": [by_choice[weight][place] for place, weight in enumerate(weights)],
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
