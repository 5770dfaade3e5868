"""How often each document was shown at each rank for a query, and how often it was opened there: all that models ask.

Impressions of a log become such counts, so that memory grows with what was shown and not with who looked.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class ClickCounts:
    """Cells of query, document and rank, each once.

    Attributes:
        pairs: (query, document) of each pair (n_pairs,).
        pair_of: int64 (n,), the pair of each cell.
        ranks: int64 (n,), from 0.
        shown: float64 (n,), impressions.
        clicked: float64 (n,), those of them with a click on the document.
    """

    pairs: Sequence[tuple[str, str]]
    pair_of: NDArray[np.int64]
    ranks: NDArray[np.int64]
    shown: NDArray[np.float64]
    clicked: NDArray[np.float64]

    @property
    def depth(self) -> int:
        """Ranks that anything was shown at."""
        return int(self.ranks.max(initial=-1)) + 1

    def by_pair(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of cells (n,) added up by pair: float64 (n_pairs,)."""
        return np.bincount(self.pair_of, weights=values, minlength=len(self.pairs)).astype(np.float64)

    def by_rank(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of cells (n,) added up by rank: float64 (depth,)."""
        return np.bincount(self.ranks, weights=values, minlength=self.depth).astype(np.float64)

    @property
    def moved(self) -> int:
        """Pairs that were shown at more than one rank: they alone tell what a rank is worth."""
        return int((self.by_pair(np.ones(self.ranks.size)) > 1).sum())

    def without(self, documents: Collection[str]) -> ClickCounts:
        """Without some documents, such as those that were taken down; the others stay at their ranks."""
        left = [number for number, (_, document) in enumerate(self.pairs) if document not in documents]
        if len(left) == len(self.pairs):
            return self
        numbers = np.full(len(self.pairs), -1, dtype=np.int64)
        numbers[left] = np.arange(len(left))
        kept = numbers[self.pair_of] >= 0
        return ClickCounts(
            pairs=[self.pairs[number] for number in left],
            pair_of=numbers[self.pair_of][kept],
            ranks=self.ranks[kept],
            shown=self.shown[kept],
            clicked=self.clicked[kept],
        )


@dataclass(slots=True)
class ClickCounter:
    """Counts impressions one by one."""

    _cells: defaultdict[tuple[str, str, int], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))

    def add(self, query: str, shown: Sequence[str], clicked: Collection[int]) -> None:
        """Count an impression.

        Args:
            query: What was asked.
            shown: Ids of the documents, best first; one that comes again counts where it comes first.
            clicked: Ranks of those that were opened, from 0.
        """
        firsts: dict[str, int] = {}
        for rank, document in enumerate(shown):
            firsts.setdefault(document, rank)
        for document, rank in firsts.items():
            cell = self._cells[query, document, rank]
            cell[0] += 1
            cell[1] += rank in clicked

    def counts(self, *, queries: Collection[str] | None = None) -> ClickCounts:
        """What was counted, in the order of queries, documents and ranks.

        Args:
            queries: Those that count; None: all.
        """
        cells = sorted((cell, counts) for cell, counts in self._cells.items() if queries is None or cell[0] in queries)
        pairs = list(dict.fromkeys((query, document) for (query, document, _), _ in cells))
        numbers = {pair: number for number, pair in enumerate(pairs)}
        return ClickCounts(
            pairs=pairs,
            pair_of=np.array([numbers[query, document] for (query, document, _), _ in cells], dtype=np.int64),
            ranks=np.array([rank for (_, _, rank), _ in cells], dtype=np.int64),
            shown=np.array([shown for _, (shown, _) in cells], dtype=np.float64),
            clicked=np.array([clicked for _, (_, clicked) in cells], dtype=np.float64),
        )
