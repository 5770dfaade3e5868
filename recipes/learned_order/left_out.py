"""What the learned order is worth on collections that its fit did not see, beside each single stage.

    python -m recipes.learned_order.left_out --data DIR --output DIR [--reranker MODEL] [--sparse MODEL] [--folds N]

Families of collections are left out fold by fold. Printed is nDCG@10 in the mean over collections, English and others
apart, for long lists and short ones, with the reranker and without, of two legs and of three: the best single stage of
each collection (a leg, min-max or reciprocal rank fusion in equal parts), the reranker alone, and the learned order;
and what the third leg adds to it, with a 95% interval by bootstrap over collections.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path  # noqa: TC003 - cyclopts reads it
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
from cyclopts import App

from nightrank.storage.legs import LEGS, LegName
from nightrank.tasks.evaluate.significance import compare_paired
from nightrank.tasks.rank.fusion import minmax_within, reciprocal_rank
from nightrank.tasks.rank.grams import gram_shares
from nightrank.tasks.rank.lists import ranks_by_score
from nightrank.tasks.rank.order import Entries, Weighing
from recipes.learned_order.collections import RRF_K, fused_ranks, ranks_of
from recipes.learned_order.fit import fit
from recipes.learned_order.recipe import ASKED, COLLECTIONS, DEPTHS, FITTING, RERANKED
from recipes.learned_order.scored import scored_collections
from recipes.legs import SETTINGS
from recipes.packaged_reranker.recipe import NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nightrank.tasks.rank.learned import LearnedOrder
    from recipes.learned_order.collections import Scored

app = App(name="recipes.learned_order.left_out", help="Measure the learned order on collections left out.")

TWO: tuple[LegName, ...] = ("bm25", "dense")
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
    scored = scored_collections(COLLECTIONS, data, output, reranker=reranker, sparse=sparse)
    of = {collection.name: collection for collection in COLLECTIONS}
    families = sorted({of[name].group for name in scored})
    rows: list[tuple[Group, str, dict[str, float]]] = []
    for fold in range(folds):
        left_out = set(families[fold::folds])
        order = fit([one for name, one in scored.items() if of[name].group not in left_out], FITTING, reranker=reranker)
        for name in [name for name in scored if of[name].group in left_out]:
            kind = "English" if of[name].language == "en" else "others"
            asked = (False, True) if np.isfinite(scored[name].pair_scores).any() else (False,)
            for depth, with_reranker, legs in product(DEPTHS, asked, (TWO, LEGS)):
                stages = measured(scored[name].cut(depth), order, legs, with_reranker=with_reranker)
                rows.append((Group(kind, depth, with_reranker, legs), name, stages))
    values = {group: {name: found for key, name, found in rows if key == group} for group, _, _ in rows}
    for group, found in sorted(values.items()):
        print(told(group, found, values[group._replace(legs=TWO)]))  # noqa: T201 (a program's output)


class Group(NamedTuple):
    """What is told in one line: the kind of the collections, and how their lists were ordered."""

    kind: str
    depth: int
    with_reranker: bool
    legs: tuple[LegName, ...]


def told(group: Group, found: Mapping[str, Mapping[str, float]], of_two: Mapping[str, Mapping[str, float]]) -> str:
    """A line of the outcome.

    Args:
        group: What it is of.
        found: nDCG@10 by stage, by collection.
        of_two: The same of two legs.
    """
    stages = dict.fromkeys(stage for one in found.values() for stage in one)
    means = {stage: float(np.mean([one[stage] for one in found.values()])) for stage in stages}
    below = sum(one[LEARNED] < one[BEST] for one in found.values())
    shown = ", ".join(f"{stage} {value:.4f}" for stage, value in means.items())
    reranker = "with" if group.with_reranker else "without"
    lists = f"{group.kind}, lists of {group.depth}, {reranker} reranker, {' + '.join(group.legs)}"
    line = f"{lists}: {shown}; below the best stage in {below} of {len(found)}"
    if group.legs == TWO:
        return line
    two, three = (np.array([one[name][LEARNED] for name in found]) for one in (of_two, found))
    gain = compare_paired(two, three, generator=np.random.default_rng(0))
    return f"{line}; over two legs {gain.difference:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"


def measured(
    scored: Scored, order: LearnedOrder, legs: tuple[LegName, ...], *, with_reranker: bool
) -> dict[str, float]:
    """nDCG@10 of each stage over some legs, by name.

    Args:
        scored: A collection.
        order: The learned order.
        legs: That are on.
        with_reranker: Whether it is there; then the queries count of which it was asked.
    """
    listed = np.any([~np.isnan(scored.legs[leg]) for leg in legs], axis=0)
    counts = scored.answer_counts
    if with_reranker:
        listed &= scored.queries < ASKED
        counts = counts[:ASKED]
    queries, relevant = scored.queries[listed], scored.relevant[listed]
    of_legs = {leg: scored.legs[leg][listed].astype(np.float64) for leg in legs}
    ranks = {leg: ranks_of(queries, of_legs[leg]) for leg in legs}
    fused = fused_ranks(queries, ranks, legs)
    kept = fused <= SETTINGS.retrieval.candidate_depth
    rrf = np.sum([reciprocal_rank(ranks[leg], k=RRF_K) for leg in legs], axis=0)
    pairs = np.full(queries.size, np.nan, dtype=np.float32)
    if with_reranker:
        asked = fused <= RERANKED
        pairs[asked] = scored.pair_scores[listed][asked]
        kept &= ~np.isnan(pairs)
    grams = gram_shares(queries, scored.grams.filter(pa.array(listed)))
    entries = Entries(queries=queries, fused_scores=rrf, fused_ranks=fused, legs=of_legs, grams=grams)
    weighing = Weighing(dict.fromkeys(legs, 1.0 / len(legs)), 0.0, order, with_reranker)
    learned = np.where(kept, weighing.final_scores(entries, pairs), -np.inf)
    fused_evenly = np.zeros(queries.size)
    for scores in of_legs.values():
        there = ~np.isnan(scores)
        fused_evenly[there] += minmax_within(queries[there], scores[there]) / len(legs)
    stages: dict[str, NDArray[np.float64]] = {"minmax": fused_evenly, "rrf": rrf}
    stages |= {leg: np.where(np.isnan(own), -np.inf, own) for leg, own in of_legs.items()}
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
