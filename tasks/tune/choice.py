"""How a variant is chosen by judged queries without being fooled by them: one rule, and folds to hold it to account.

The best of many variants on the queries that chose it looks better than it is. So the settings as they are stay unless
the best beats them by more than one standard error of the difference (after the one-standard-error rule of L. Breiman
et al., Classification and Regression Trees, 1984, for which the settings as they are take the place of the simplest
model), and what choosing is worth is told by queries that took no part in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

ROUNDING = 1e-9  # means that differ by no more are equal


def folds_of(units: Sequence[str], *, folds: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Cut into folds of about equal size: int (n,), the fold of each entry, from 0.

    Args:
        units: What must not be torn apart (n,): entries of one unit share a fold.
        folds: How many; no more than there are units.
        generator: Draws them.
    """
    distinct, of_entry = np.unique(np.array(units, dtype=object).astype(str), return_inverse=True)
    of_unit = np.empty(distinct.size, dtype=np.intp)
    of_unit[generator.permutation(distinct.size)] = np.arange(distinct.size) % folds
    return of_unit[of_entry]


def splits(fold_of: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """For each fold, which entries choose and which are held out: bool (n,), bool (n,)."""
    for fold in range(int(fold_of.max(initial=-1)) + 1):
        held_out = fold_of == fold
        yield ~held_out, held_out


def choose(values: NDArray[np.float64], *, present: int) -> int:
    """The variant that some queries choose.

    Args:
        values: float64 (n_variants, n_queries). Of equally good variants the first is the best.
        present: The one that stays unless the best beats it by more than one standard error of the mean difference.

    Returns:
        Its row.

    >>> choose(np.array([[0.5, 0.5, 0.5], [0.9, 0.8, 0.7], [0.9, 0.1, 0.6]]), present=0)
    1
    >>> choose(np.array([[0.5, 0.5, 0.5], [0.9, 0.1, 0.6]]), present=0)  # better by 0.03, which is noise
    0
    """
    if values.shape[1] < 2:
        return present
    means = values.mean(axis=1)
    best = int(np.argmax(means >= means.max() - ROUNDING))
    gains = values[best] - values[present]
    error = gains.std(ddof=1) / np.sqrt(gains.size)
    return best if gains.mean() > error + ROUNDING else present
