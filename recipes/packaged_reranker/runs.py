"""Runs of 13 words: texts that share one say the same, whatever else stands around it.

Nothing else tells reliably that a passage of one source was copied into another, under another title and cut elsewhere.
"""

from __future__ import annotations

import itertools
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WORDS = 13
_WORD = re.compile(r"\w+")
_MULTIPLIER = np.uint64(6364136223846793005)  # of Knuth's generator: no two orders of the same words have one hash


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """The runs of some texts, end to end.

    Attributes:
        hashes: uint64 (n_runs,).
        texts: int64 (n_runs,), which text each is of, ascending.
        count: Texts.
    """

    hashes: NDArray[np.uint64]
    texts: NDArray[np.int64]
    count: int

    def of(self, chosen: NDArray[np.bool_]) -> NDArray[np.uint64]:
        """The distinct runs of some of the texts, ascending.

        Args:
            chosen: bool (count,).
        """
        return np.unique(self.hashes[chosen[self.texts]])

    def meet(self, barred: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which texts have one of some runs, bool (count,).

        Args:
            barred: uint64 (n,), ascending.
        """
        found = np.zeros(self.count, dtype=np.bool_)
        if self.hashes.size and barred.size:
            places = np.minimum(np.searchsorted(barred, self.hashes), barred.size - 1)
            found[self.texts[barred[places] == self.hashes]] = True
        return found

    def of_each(self) -> list[frozenset[int]]:
        """The runs of each text."""
        bounds = np.searchsorted(self.texts, np.arange(self.count + 1))
        return [frozenset(self.hashes[a:b].tolist()) for a, b in itertools.pairwise(bounds)]


def runs_of(texts: Sequence[str]) -> Runs:
    """The runs of 13 words of some texts; a shorter text has none.

    >>> long = "one two three four five six seven eight nine ten eleven twelve thirteen"
    >>> runs = runs_of([long, "Fourteen: " + long.upper() + "!", "one two three"])
    >>> runs.texts.tolist(), bool(runs.hashes[0] == runs.hashes[2])
    ([0, 1, 1], True)
    """
    numbers: dict[str, int] = {}
    each = [
        [numbers.setdefault(word, zlib.crc32(word.encode()) * 2654435761 + 1) for word in _WORD.findall(text.lower())]
        for text in texts
    ]
    codes = np.array([code for one in each for code in one], dtype=np.uint64)
    of = np.repeat(np.arange(len(texts)), [len(one) for one in each])
    if codes.size < WORDS:
        return Runs(np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64), len(texts))
    hashes = np.zeros(codes.size - WORDS + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for word in range(WORDS):
            hashes = hashes * _MULTIPLIER + codes[word : word + hashes.size]
    whole = of[: hashes.size] == of[WORDS - 1 :]
    return Runs(hashes[whole], of[: hashes.size][whole], len(texts))
