"""Rank-biased overlap: how alike two rankings are, the top weighing most.

Webber, Moffat and Zobel 2010, "A Similarity Measure for Indefinite Rankings", ACM TOIS 28(4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def rank_biased_overlap(left: Sequence[str], right: Sequence[str], *, persistence: float) -> float:
    """The extrapolated overlap RBO_ext of two rankings (their equation 32, for rankings of different lengths).

    What lies behind the end of a ranking is taken to agree as far as what was seen, so that a ranking and its own
    beginning are as alike as can be.

    Args:
        left: Document ids, best first, each once.
        right: Likewise, of any length.
        persistence: Their p, over 0 and under 1: with what probability a reader goes on to the next rank. At 0.9
            the first ten ranks have 86 % of the weight.

    Returns:
        From 0 (nothing in common) to 1 (the same); 1 for two empty rankings, 0 where only one is empty.

    >>> rank_biased_overlap(["a", "b"], ["b", "a"], persistence=0.9)  # 0 of the first agree, then 2 of 2
    0.9
    >>> rank_biased_overlap(["a"], ["a", "b", "c"], persistence=0.9)
    1.0
    """
    short, long = sorted((left, right), key=len)
    if not short:
        return 0.0 if long else 1.0
    p, s, l = persistence, len(short), len(long)  # noqa: E741 (the paper's letters)
    common = _common_by_depth(short, long)
    total = sum(common[d] / d * p**d for d in range(1, l + 1))
    total += sum(common[s] * (d - s) / (s * d) * p**d for d in range(s + 1, l + 1))
    overlap = (1 - p) / p * total + ((common[l] - common[s]) / l + common[s] / s) * p**l
    return round(overlap, 12)  # a sum of rounded terms may pass 1 in its last digit


def _common_by_depth(short: Sequence[str], long: Sequence[str]) -> list[int]:
    """X of the paper: how many ids the first d of both have in common, by d, from 0 to the longer length."""
    common = [0]
    seen: tuple[set[str], set[str]] = (set(), set())
    for depth in range(len(long)):
        for ids, ranking in zip(seen, (short, long), strict=True):
            ids.update(ranking[depth : depth + 1])
        common.append(len(seen[0] & seen[1]))
    return common
