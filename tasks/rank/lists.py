"""What the legs' lists say of each query before anybody judged it: how clear each leg is, and how far they agree.

A leg that knows the collection's language names a clear first entry, and others support what it names; a leg that does
not know it stands alone. Each function below is of the entries of many queries at once, one row an entry, and gives one
number a query; none depends on what other queries there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from nightrank.tasks.rank.fusion import minmax_within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName

TOP = 10  # entries of a leg that are looked at: what people see
FIRST = 3  # entries of a leg whose support by the others is looked at
RANK_DAMPING = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class LegLists:
    """The lists of all legs that are on; made by ``of``.

    Attributes:
        queries: int (n,), of each entry, from 0.
        count: Queries.
        scores: float64 (n,) by leg, from 0 to 1 within a query's list; 0 where the leg does not list the entry.
        ranks: int (n,) by leg, from 1; 0 where the leg does not list the entry.
    """

    queries: NDArray[np.integer]
    count: int
    scores: Mapping[LegName, NDArray[np.float64]]
    ranks: Mapping[LegName, NDArray[np.integer]]

    @classmethod
    def of(
        cls,
        queries: NDArray[np.integer],
        scores: Mapping[LegName, NDArray[np.floating]],
        *,
        count: int | None = None,
    ) -> Self:
        """The lists behind entries.

        Args:
            queries: int (n,), from 0, ascending.
            scores: float (n,) by leg, as the leg gave them, NaN where it does not list the entry.
            count: Queries; None: up to the last that has an entry.
        """
        count = int(queries.max(initial=-1)) + 1 if count is None else count
        scaled: dict[LegName, NDArray[np.float64]] = {}
        ranks: dict[LegName, NDArray[np.integer]] = {}
        for leg, values in scores.items():
            listed = ~np.isnan(values)
            scaled[leg], ranks[leg] = np.zeros(queries.size), np.zeros(queries.size, dtype=np.int64)
            scaled[leg][listed] = minmax_within(queries[listed], values[listed])
            ranks[leg][listed] = ranks_by_score(queries[listed], values[listed])
        return cls(queries, count, scaled, ranks)

    def entry_scores(self, leg: LegName, *, rank_share: float) -> NDArray[np.float64]:
        """What a leg makes of each entry: its score with a share of its rank, both from 0 to 1.

        Args:
            leg: Which.
            rank_share: Of the rank; 0 is the score alone.

        Returns:
            float64 (n,), 0 where the leg does not list the entry.
        """
        return (1.0 - rank_share) * self.scores[leg] + rank_share * damped_ranks(self.ranks[leg])

    def descriptors(self, leg: LegName) -> NDArray[np.float64]:
        """What the lists say of a leg for each query: float64 (count, len(LEG_DESCRIPTORS)), from 0 to 1 each."""
        best = best_scores(self.queries, self.scores[leg], self.ranks[leg], count=self.count)
        others = [other for other in self.scores if other != leg]
        agreement = [
            (
                overlap(self.queries, self.ranks[leg], self.ranks[other], count=self.count),
                support(self.queries, self.ranks[leg], self.scores[other], count=self.count),
            )
            for other in others
        ]
        columns = [lead(best, 2), lead(best, 5), flatness(best)]
        columns += [sum(parts) / len(others) for parts in zip(*agreement, strict=True)] if others else [
            np.ones(self.count)
        ] * 2
        return np.stack(columns, axis=1)


LEG_DESCRIPTORS = ("lead_2", "lead_5", "flatness", "overlap", "support")


def ranks_by_score(queries: NDArray[np.integer], scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """Ranks from 1 within each query by falling score; equal scores in the order of the entries.

    >>> ranks_by_score(np.array([0, 0, 0, 1]), np.array([-1.0, 3.0, 3.0, 0.5])).tolist()
    [3, 1, 2, 1]
    """
    order = np.lexsort((-scores, queries))  # stable
    starts = np.searchsorted(queries[order], queries[order])
    ranks = np.empty(queries.size, dtype=np.int64)
    ranks[order] = np.arange(queries.size) - starts + 1
    return ranks


def damped_ranks(ranks: NDArray[np.integer]) -> NDArray[np.float64]:
    """1 for the first, falling as reciprocal ranks do; 0 for rank 0, which stands for "not listed".

    >>> damped_ranks(np.array([1, 2, 12, 0])).tolist()
    [1.0, 0.9166666666666666, 0.5, 0.0]
    """
    return np.where(ranks > 0, (1.0 + RANK_DAMPING) / (ranks + RANK_DAMPING), 0.0)


def best_scores(
    queries: NDArray[np.integer], scores: NDArray[np.float64], ranks: NDArray[np.integer], *, count: int
) -> NDArray[np.float64]:
    """The scores of a leg's first entries by rank: float64 (count, TOP), 0 beyond the end of a list.

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
    """The mean score of the entries below the first: float64 (count,); near 1 where the leg hardly tells them apart.

    >>> flatness(np.array([[1.0, 0.75, 0.25]])).tolist()
    [0.5]
    """
    return np.asarray(best[:, 1:].mean(axis=1))


def overlap(
    queries: NDArray[np.integer], ranks: NDArray[np.integer], others: NDArray[np.integer], *, count: int
) -> NDArray[np.float64]:
    """The share of a leg's first ``TOP`` entries that are among another's: float64 (count,).

    >>> overlap(np.array([0, 0, 0]), np.array([1, 2, 3]), np.array([9, 0, 11]), count=1).tolist()
    [0.1]
    """
    both = (ranks > 0) & (ranks <= TOP) & (others > 0) & (others <= TOP)
    return np.bincount(queries[both], minlength=count) / TOP


def support(
    queries: NDArray[np.integer], ranks: NDArray[np.integer], others: NDArray[np.float64], *, count: int
) -> NDArray[np.float64]:
    """What another leg makes of a leg's first ``FIRST`` entries, in the mean: float64 (count,).

    Args:
        queries: int (n,).
        ranks: int (n,), the leg's.
        others: float64 (n,), the other's scores from 0 to 1, 0 where it does not list an entry.
        count: Queries.

    >>> support(np.array([0, 0, 0]), np.array([1, 2, 4]), np.array([1.0, 0.5, 1.0]), count=1).tolist()
    [0.5]
    """
    first = (ranks > 0) & (ranks <= FIRST)
    return np.bincount(queries[first], weights=others[first], minlength=count) / FIRST
