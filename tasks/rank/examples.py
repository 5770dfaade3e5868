"""What the learned order's fit sees of judged queries: their best candidates, as arrays of one shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from nightrank.tasks.rank.fusion import standardise_within
from nightrank.tasks.rank.learned import features
from nightrank.tasks.rank.lists import RERANKER, Lists, damped_ranks, ranks_by_score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName
    from nightrank.storage.release.manifest import LogMeans

    Floats = NDArray[np.float64]

CANDIDATES = 60  # of a query that the fit looks at


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Queries whose relevant candidates are known, under some legs, with or without the reranker.

    Attributes:
        legs: That are on.
        features: float64 (n_queries, n_lists, len(FEATURES)), of the legs, then of the reranker where there is one.
        scores: float64 (n_queries, CANDIDATES, n_legs), 0 where a leg does not list a candidate.
        ranks: float64, likewise, damped.
        grams: float64 (n_queries, CANDIDATES), shares of grams.
        pairs: float64 (n_queries, CANDIDATES), standardised; 0 without the reranker.
        there: bool (n_queries, CANDIDATES), whether there is such a candidate.
        target: float64, likewise: what is relevant, by its share of the query's grades.
        weights: float64 (n_queries,), of each query in the loss.
    """

    legs: tuple[LegName, ...]
    features: Floats
    scores: Floats
    ranks: Floats
    grams: Floats
    pairs: Floats
    there: NDArray[np.bool_]
    target: Floats
    weights: Floats

    @property
    def with_reranker(self) -> bool:
        """Whether it is there."""
        return bool(self.features.shape[1] > len(self.legs))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the lists that there are."""
        return (*self.legs, RERANKER) if self.with_reranker else self.legs

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The queries of several, all under the same legs, and with the reranker or without."""
        arrays = (np.concatenate([one.arrays[place] for one in parts]) for place in range(len(parts[0].arrays)))
        return cls(parts[0].legs, *arrays)

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """Everything that has a row a query, the weights last."""
        of_candidates = (self.scores, self.ranks, self.grams, self.pairs, self.there, self.target)
        return (self.features, *of_candidates, self.weights)

    def weighted(self, weights: Floats) -> Self:
        """The queries that have a weight, with it.

        Args:
            weights: float64 (n_queries,).
        """
        told = weights > 0
        return type(self)(self.legs, *(array[told] for array in (*self.arrays[:-1], weights)))


def examples_of(
    lists: Lists,
    gains: NDArray[np.floating],
    pair_scores: NDArray[np.floating] | None,
    *,
    legs: Sequence[LegName],
    kept: NDArray[np.bool_],
    log: LogMeans,
) -> Examples:
    """What the fit sees of queries: of each the best candidates by legs and reranker in equal parts.

    A query none of whose candidates is relevant teaches nothing: its weight is 0, that of any other 1.

    Args:
        lists: Of the legs, and of the reranker where there is one.
        gains: float (n,), the grade of each entry; 0 where it is not relevant.
        pair_scores: float (n,); None without the reranker.
        legs: That are on.
        kept: bool (n,), the entries that are candidates; with a reranker those that it has scored.
        log: What lists say in the mean over the log.
    """
    queries = lists.queries[kept]
    best = np.sum([lists.scores[leg][kept] for leg in legs], axis=0)
    standard = np.zeros(queries.size) if pair_scores is None else standardise_within(queries, pair_scores[kept])
    places = ranks_by_score(queries, best + standard / len(legs)) - 1
    shown = places < CANDIDATES
    rows, at = np.flatnonzero(kept)[shown], (queries[shown], places[shown])

    def spread(values: NDArray[Any], kind: type = float) -> NDArray[Any]:
        table: NDArray[Any] = np.zeros((lists.count, CANDIDATES), dtype=kind)
        table[at] = values
        return table

    grades = spread(gains[rows])
    whole = grades.sum(axis=1, keepdims=True)
    names = (*legs, *([] if pair_scores is None else [RERANKER]))
    return Examples(
        legs=tuple(legs),
        features=np.stack([features(lists, name, legs=legs, log=log) for name in names], axis=1),
        scores=np.stack([spread(lists.scores[leg][rows]) for leg in legs], axis=-1),
        ranks=np.stack([spread(damped_ranks(lists.ranks[leg])[rows]) for leg in legs], axis=-1),
        grams=spread(lists.grams[rows]),
        pairs=spread(standard[shown]),
        there=spread(np.ones(rows.size), bool),
        target=np.divide(grades, whole, out=np.zeros_like(grades), where=whole > 0),
        weights=(whole[:, 0] > 0).astype(np.float64),
    )
