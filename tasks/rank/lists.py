"""What lists say of their own worth before anybody judged them: how clear each is, and how far they agree.

A leg that knows the collection's language names a clear first entry, and others support what it names; a leg that does
not know it stands alone. Each function below is of the entries of many queries at once, a row an entry, and gives one
number a query, which depends on no other query. Scores are scaled within a query's list, so that no leg's own scale
decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from nightrank.tasks.rank.fusion import minmax_within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

RERANKER = "reranker"  # its list, beside those of the legs: the candidates that it has scored
DESCRIPTORS = ("lead_2", "lead_5", "flatness", "overlap", "support")  # what is said of a list, from 0 to 1 each
TOP = 10  # entries of a list that are looked at: what people see
FIRST = 3  # entries of a list whose support by the others is looked at
RANK_DAMPING = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """Several lists over the same entries, by name; made by ``of``.

    Attributes:
        queries: int (n,), of each entry, from 0, ascending.
        count: Queries.
        scores: float64 (n,) by list, from 0 to 1 within a query's list; 0 where it does not have the entry.
        ranks: int64 (n,) by list, from 1; 0 where it does not have the entry.
        grams: float64 (n,), the share of the query's letters that the entry has, as ``tasks.rank.grams`` gives it.
    """

    queries: NDArray[np.integer]
    count: int
    scores: Mapping[str, NDArray[np.float64]]
    ranks: Mapping[str, NDArray[np.int64]]
    grams: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        queries: NDArray[np.integer],
        scores: Mapping[str, NDArray[np.floating]],
        *,
        grams: NDArray[np.float64],
    ) -> Self:
        """The lists behind entries.

        Args:
            queries: int (n,), from 0, ascending.
            scores: float (n,) by list, NaN where it does not have the entry.
            grams: float64 (n,), from 0 to 1.
        """
        scaled: dict[str, NDArray[np.float64]] = {}
        ranks: dict[str, NDArray[np.int64]] = {}
        for name, values in scores.items():
            listed = ~np.isnan(values)
            scaled[name], ranks[name] = np.zeros(queries.size), np.zeros(queries.size, dtype=np.int64)
            scaled[name][listed] = minmax_within(queries[listed], values[listed].astype(np.float64))
            ranks[name][listed] = ranks_by_score(queries[listed], values[listed])
        return cls(queries, int(queries.max(initial=-1)) + 1, scaled, ranks, grams)

    def entry_scores(self, name: str, *, rank_share: float) -> NDArray[np.float64]:
        """What a list makes of each entry: its score with a share of its rank, both from 0 to 1.

        Args:
            name: Of the list.
            rank_share: Of the rank; 0 is the score alone.

        Returns:
            float64 (n,), 0 where the list does not have the entry.
        """
        return (1.0 - rank_share) * self.scores[name] + rank_share * damped_ranks(self.ranks[name])

    def descriptors(self, name: str, *, others: tuple[str, ...]) -> NDArray[np.float64]:
        """What is said of a list for each query: float64 (count, len(DESCRIPTORS)).

        Args:
            name: Of the list.
            others: Lists that it is held against, in the mean; with none it agrees with everything.
        """
        ranks = self.ranks[name]
        best = best_scores(self.queries, self.scores[name], ranks, count=self.count)
        agreed, supported = np.ones(self.count), np.ones(self.count)
        if others:
            agreed = np.mean([overlap(self.queries, ranks, self.ranks[o], count=self.count) for o in others], axis=0)
            supported = np.mean(
                [support(self.queries, ranks, self.scores[o], count=self.count) for o in others], axis=0
            )
        return np.stack([lead(best, 2), lead(best, 5), flatness(best), agreed, supported], axis=1)


def ranks_by_score(queries: NDArray[np.integer], scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """Ranks from 1 within each query by falling score; equal scores in the order of the entries.

    >>> ranks_by_score(np.array([0, 0, 0, 1]), np.array([-1.0, 3.0, 3.0, 0.5])).tolist()
    [3, 1, 2, 1]
    """
    order = np.lexsort((-scores, queries))  # stable
    sorted_queries = queries[order]
    ranks = np.empty(queries.size, dtype=np.int64)
    ranks[order] = np.arange(queries.size) - np.searchsorted(sorted_queries, sorted_queries) + 1
    return ranks


def damped_ranks(ranks: NDArray[np.integer]) -> NDArray[np.float64]:
    """1 for the first, falling as reciprocal ranks do; 0 for rank 0, which stands for "not listed".

    >>> damped_ranks(np.array([1, 12, 0])).tolist()
    [1.0, 0.5, 0.0]
    """
    return np.where(ranks > 0, (1.0 + RANK_DAMPING) / (ranks + RANK_DAMPING), 0.0)


def best_scores(
    queries: NDArray[np.integer], scores: NDArray[np.float64], ranks: NDArray[np.integer], *, count: int
) -> NDArray[np.float64]:
    """The scores of a list's first entries by rank: float64 (count, TOP), 0 beyond the end of a list.

    >>> best_scores(np.array([0, 0]), np.array([0.25, 1.0]), np.array([2, 1]), count=1)[0, :3].tolist()
    [1.0, 0.25, 0.0]
    """
    best = np.zeros((count, TOP))
    shown = (ranks > 0) & (ranks <= TOP)
    best[queries[shown], ranks[shown] - 1] = scores[shown]
    return best


def lead(best: NDArray[np.float64], rank: int) -> NDArray[np.float64]:
    """How far the first entry is ahead of the one at some rank: float64 (count,).

    >>> lead(np.array([[1.0, 0.75, 0.5]]), 2).tolist()
    [0.25]
    """
    return best[:, 0] - best[:, rank - 1]


def flatness(best: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean score of the entries below the first: float64 (count,); near 1 where a list hardly tells them apart.

    >>> flatness(np.array([[1.0, 0.75, 0.25]])).tolist()
    [0.5]
    """
    return np.asarray(best[:, 1:].mean(axis=1))


def overlap(
    queries: NDArray[np.integer], ranks: NDArray[np.integer], others: NDArray[np.integer], *, count: int
) -> NDArray[np.float64]:
    """The share of a list's first ``TOP`` entries that are among another's: float64 (count,).

    >>> overlap(np.array([0, 0, 0]), np.array([1, 2, 3]), np.array([9, 0, 11]), count=1).tolist()
    [0.1]
    """
    both = (ranks > 0) & (ranks <= TOP) & (others > 0) & (others <= TOP)
    return np.bincount(queries[both], minlength=count) / TOP


def support(
    queries: NDArray[np.integer], ranks: NDArray[np.integer], others: NDArray[np.float64], *, count: int
) -> NDArray[np.float64]:
    """What another list makes of a list's first ``FIRST`` entries, in the mean: float64 (count,).

    Args:
        queries: int (n,).
        ranks: int (n,), the list's.
        others: float64 (n,), the other's scores from 0 to 1, 0 where it does not have an entry.
        count: Queries.

    >>> support(np.array([0, 0, 0]), np.array([1, 2, 4]), np.array([1.0, 0.5, 1.0]), count=1).tolist()
    [0.5]
    """
    supported = np.zeros((count, FIRST))
    first = (ranks > 0) & (ranks <= FIRST)
    supported[queries[first], ranks[first] - 1] = others[first]
    return np.asarray(supported.mean(axis=1))
