"""From what several people said of a pair to one grade: the median, and of two in the middle the mean, rounded down.

So where two differ by one the lower counts, as a doubt about a document counts against it; 1 and 3 are 2, 0 and 3 are
1. Whoever wants another rule finds what each said in the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.records import Judgment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nightrank.tasks.judge.agreement import Pair


def settled(by_judge: Mapping[str, Mapping[Pair, int]]) -> list[Judgment]:
    """One judgment of each pair that anybody graded, by query id and document id.

    Args:
        by_judge: Grades by pair, by the judge's name.
    """
    grades: dict[Pair, list[int]] = {}
    for of_judge in by_judge.values():
        for pair, grade in of_judge.items():
            grades.setdefault(pair, []).append(grade)
    return [Judgment(*pair, median(grades[pair])) for pair in sorted(grades)]


def median(grades: Sequence[int]) -> int:
    """The grade that stands for several.

    >>> [median(grades) for grades in ([2], [1, 2], [0, 3], [3, 1], [0, 3, 3])]
    [2, 1, 1, 2, 3]
    """
    ordered, middle = sorted(grades), len(grades) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2
