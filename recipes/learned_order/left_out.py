"""What the learned order is worth on collections that its fit did not see, beside each single stage.

    python -m recipes.learned_order.left_out --data DIR --output DIR [--reranker MODEL] [--sparse MODEL] [--folds N]

Families of collections are left out fold by fold. Printed is nDCG@10 in the mean over collections, English and others
apart, for long lists and short ones, with the reranker and without: the best single stage of each collection (BM25, the
dual encoder, min-max or reciprocal rank fusion in equal parts), the reranker alone, and the learned order.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path  # noqa: TC003 - cyclopts reads it
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from cyclopts import App

from nightrank.tasks.rank.fusion import minmax_within, reciprocal_rank
from nightrank.tasks.rank.grams import gram_shares
from nightrank.tasks.rank.lists import ranks_by_score
from nightrank.tasks.rank.order import Entries, Weighing
from recipes.learned_order.__main__ import scored_collections
from recipes.learned_order.collections import RRF_K, fused_ranks, ranks_of
from recipes.learned_order.fit import fit
from recipes.learned_order.recipe import ASKED, COLLECTIONS, DEPTHS, FITTING, RERANKED
from recipes.legs import SETTINGS
from recipes.packaged_reranker.recipe import NAME

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName
    from nightrank.tasks.rank.learned import LearnedOrder
    from recipes.learned_order.collections import Scored

app = App(name="recipes.learned_order.left_out", help="Measure the learned order on collections left out.")

LEGS: tuple[LegName, ...] = ("bm25", "dense")
BEST, ALONE, LEARNED = "best stage", "reranker", "learned"


@app.default
def main(*, data: Path, output: Path, reranker: str = NAME, sparse: str = "splade-tiny", folds: int = 5) -> None:
    """Measure.

    Args:
        data: The folder with ``scifact`` and ``training``.
        output: Where scored collections are; what is there already is used.
        reranker: Whose scores are weighed.
        sparse: The sparse encoder.
        folds: Into which families are parted.
    """
    scored = scored_collections(list(COLLECTIONS), data, output, reranker=reranker, sparse=sparse)
    of = {collection.name: collection for collection in COLLECTIONS}
    families = sorted({of[name].group for name in scored})
    rows: list[tuple[str, int, bool, dict[str, float]]] = []
    for fold in range(folds):
        left_out = set(families[fold::folds])
        order = fit([one for name, one in scored.items() if of[name].group not in left_out], FITTING, reranker=reranker)
        for name in [name for name in scored if of[name].group in left_out]:
            kind = "English" if of[name].language == "en" else "others"
            asked = (False, True) if np.isfinite(scored[name].pair_scores).any() else (False,)
            for depth, with_reranker in product(DEPTHS, asked):
                found = measured(scored[name].cut(depth), order, with_reranker=with_reranker)
                rows.append((kind, depth, with_reranker, found))
    for kind, depth, with_reranker in product(("English", "others"), DEPTHS, (False, True)):
        own = [found for *key, found in rows if key == [kind, depth, with_reranker]]
        means = {name: float(np.mean([one[name] for one in own])) for name in own[0]}
        below = sum(one[LEARNED] < one[BEST] for one in own)
        shown = ", ".join(f"{name} {value:.4f}" for name, value in means.items())
        lists = f"{kind}, lists of {depth}, {'with' if with_reranker else 'without'} reranker"
        print(f"{lists}: {shown}; below the best stage in {below} of {len(own)}")  # noqa: T201 (a program's output)


def measured(scored: Scored, order: LearnedOrder, *, with_reranker: bool) -> dict[str, float]:
    """nDCG@10 of each stage over BM25 and the dual encoder, by name.

    Args:
        scored: A collection.
        order: The learned order.
        with_reranker: Whether it is there; then the queries count of which it was asked.
    """
    listed = np.any([~np.isnan(scored.legs[leg]) for leg in LEGS], axis=0)
    counts = scored.answer_counts
    if with_reranker:
        listed &= scored.queries < ASKED
        counts = counts[:ASKED]
    queries, relevant = scored.queries[listed], scored.relevant[listed]
    legs = {leg: scored.legs[leg][listed].astype(np.float64) for leg in LEGS}
    ranks = {leg: ranks_of(queries, legs[leg]) for leg in LEGS}
    fused = fused_ranks(queries, ranks, LEGS)
    kept = fused <= SETTINGS.retrieval.candidate_depth
    rrf = np.sum([reciprocal_rank(ranks[leg], k=RRF_K) for leg in LEGS], axis=0)
    pairs = np.full(queries.size, np.nan, dtype=np.float32)
    if with_reranker:
        asked = fused <= RERANKED
        pairs[asked] = scored.pair_scores[listed][asked]
        kept &= ~np.isnan(pairs)
    grams = gram_shares(queries, scored.grams.filter(pa.array(listed)))
    entries = Entries(queries=queries, fused_scores=rrf, fused_ranks=fused, legs=legs, grams=grams)
    weighing = Weighing(dict.fromkeys(LEGS, 0.5), 0.0, order, with_reranker)
    learned = np.where(kept, weighing.final_scores(entries, pairs), -np.inf)
    halves = np.zeros(queries.size)
    for scores in legs.values():
        there = ~np.isnan(scores)
        halves[there] += minmax_within(queries[there], scores[there]) / len(LEGS)
    stages: dict[str, NDArray[np.float64]] = {"halves": halves, "rrf": rrf}
    stages |= {leg: np.where(np.isnan(own), -np.inf, own) for leg, own in legs.items()}
    values = {name: ndcg(queries, own, relevant, counts) for name, own in stages.items()}
    found = {BEST: max(values.values())}
    if with_reranker:
        found[ALONE] = ndcg(queries, np.where(np.isnan(pairs), -np.inf, pairs), relevant, counts)
    return found | {LEARNED: ndcg(queries, learned, relevant, counts)}


def ndcg(
    queries: NDArray[np.integer], scores: NDArray[np.floating], relevant: NDArray[np.bool_], counts: NDArray[np.int32]
) -> float:
    """nDCG@10 in the mean over queries, all relevant passages alike.

    Args:
        queries: int (n,), from 0, ascending.
        scores: float (n,), -inf where an entry is not listed.
        relevant: bool (n,).
        counts: int (n_queries,), relevant passages of each query, found or not.

    >>> ndcg(np.array([0, 0]), np.array([2.0, 1.0]), np.array([False, True]), np.array([1]))
    0.6309297535714575
    """
    ranks = ranks_by_score(queries, scores)
    gains = np.where(relevant & (ranks <= 10) & np.isfinite(scores), 1.0 / np.log2(ranks + 1.0), 0.0)
    best = np.cumsum(1.0 / np.log2(np.arange(2, 12)))[np.minimum(counts, 10) - 1]
    return float((np.bincount(queries, weights=gains, minlength=counts.size) / best).mean())


if __name__ == "__main__":
    app()
