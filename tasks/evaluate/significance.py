"""Whether two runs differ, query by query: paired randomisation test, bootstrap interval, Holm's correction.

Both runs are measured on the same queries, so that each query is its own control. What is random comes from the
generator that the caller hands in; the same generator gives the same figures.

References:
    M. Smucker, J. Allan, B. Carterette: A Comparison of Statistical Significance Tests for Information Retrieval
    Evaluation, CIKM 2007. S. Holm: A Simple Sequentially Rejective Multiple Test Procedure, 1979.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.release.evaluation import COMPARISON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TIE = 1e-12  # a difference up to this is rounding
VALUES_HELD = 2_000_000  # resampled values in memory at one time
KEY = ["stage", "measure", "query_id"]


class Comparison(NamedTuple):
    """Two runs on the same queries.

    Attributes:
        queries: How many.
        before: Mean of the first run.
        after: Mean of the second run.
        difference: ``after - before``.
        low: Lower end of the bootstrap interval of the difference.
        high: Its upper end.
        p_value: Of the two-sided paired randomisation test: how often chance alone, which of the two runs a value
            belongs to being drawn by a coin for each query, gives a difference as large.
        wins: Queries that the second run does better.
        ties: Queries on which they differ by no more than rounding.
        losses: Queries that the second run does worse.
    """

    queries: int
    before: float
    after: float
    difference: float
    low: float
    high: float
    p_value: float
    wins: int
    ties: int
    losses: int


def compare_paired(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    *,
    generator: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> Comparison:
    """Compare two runs by the values of a measure.

    The p-value is exact where all ways of exchanging are no more than ``resamples`` (with 10,000: up to 13 queries
    that differ). One query alone proves nothing: its p-value is 1, and its interval, from which nothing can be drawn
    but itself, is a point.

    Args:
        before: float64 (n,), a value a query.
        after: float64 (n,), of the same queries in the same order.
        generator: What decides the resamples.
        confidence: Of the two-sided percentile interval.
        resamples: Of the test, and of the interval.

    Raises:
        ValueError: There is no query, or the runs have different numbers of them.

    >>> runs = np.array([0.5, 0.0, 1.0, 0.25]), np.array([0.5, 0.5, 0.0, 1.0])
    >>> found = compare_paired(*runs, generator=np.random.default_rng(0))
    >>> found.difference, found.p_value, found.wins, found.ties, found.losses
    (0.0625, 1.0, 2, 1, 1)
    """
    differences = _differences(before, after)
    low, high = _interval(
        differences, alternative="two-sided", generator=generator, confidence=confidence, resamples=resamples
    )
    return Comparison(
        queries=differences.size,
        before=float(before.mean()),
        after=float(after.mean()),
        difference=float(differences.mean()),
        low=low,
        high=high,
        p_value=_p_value(differences[differences != 0.0], generator=generator, resamples=resamples),
        wins=int((differences > 0.0).sum()),
        ties=int((differences == 0.0).sum()),
        losses=int((differences < 0.0).sum()),
    )


def lower_bound(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    *,
    generator: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> float:
    """What the mean of ``after - before`` is at least: the end of its one-sided bootstrap interval.

    Raises:
        ValueError: There is no query, or the runs have different numbers of them.

    >>> lower_bound(np.array([0.5, 0.5]), np.array([0.25, 0.25]), generator=np.random.default_rng(0))
    -0.25
    """
    return _interval(
        _differences(before, after),
        alternative="greater",
        generator=generator,
        confidence=confidence,
        resamples=resamples,
    )[0]


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of several tests, corrected for their number by Holm's step-down procedure, in the same order.

    >>> [round(p_value, 3) for p_value in holm([0.01, 0.04, 0.03, 0.005])]
    [0.03, 0.06, 0.06, 0.02]
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    corrected = np.empty_like(given)
    corrected[order] = np.maximum.accumulate(given[order] * np.arange(given.size, 0, -1))
    return [float(p_value) for p_value in np.minimum(corrected, 1.0)]


def compare_evaluations(
    before: pa.Table, after: pa.Table, *, generator: np.random.Generator, confidence: float = 0.95
) -> pa.Table:
    """Compare two evaluations, stage by stage and measure by measure, on the queries that both measured.

    Args:
        before: Schema EVALUATION.
        after: Schema EVALUATION.
        generator: What decides the resamples.
        confidence: Of the intervals.

    Returns:
        A table of schema COMPARISON: a row for each stage and measure that both have, in the order of ``after``.
        Holm's correction is over the whole table.
    """
    joined = after.join(before, KEY, join_type="inner", right_suffix="_before")
    joined = joined.sort_by([(name, "ascending") for name in KEY])  # a join keeps no order
    compared: list[tuple[dict[str, object], Comparison]] = []
    for pair in after.group_by(KEY[:2], use_threads=False).aggregate([]).to_pylist():
        values = joined.filter((pc.field("stage") == pair["stage"]) & (pc.field("measure") == pair["measure"]))
        if values.num_rows == 0:
            continue
        found = compare_paired(
            values.column("value_before").to_numpy(),
            values.column("value").to_numpy(),
            generator=generator,
            confidence=confidence,
        )
        compared.append((pair, found))
    corrected = holm([found.p_value for _, found in compared])
    rows = [
        pair | found._asdict() | {"p_holm": p_value} for (pair, found), p_value in zip(compared, corrected, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=COMPARISON)


def _differences(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """``after - before``, exactly 0 where it is a tie."""
    if before.shape != after.shape or before.ndim != 1 or before.size == 0:
        message = f"expected as many values before as after, one a query, got shapes {before.shape} and {after.shape}"
        raise ValueError(message)
    differences = after - before
    return np.where(np.abs(differences) <= TIE, 0.0, differences)


def _interval(
    differences: NDArray[np.float64],
    *,
    alternative: Literal["two-sided", "greater"],
    generator: np.random.Generator,
    confidence: float,
    resamples: int,
) -> tuple[float, float]:
    """The percentile interval: unlike BCa it exists, and costs n a resample, whatever share of the queries ties."""
    if np.ptp(differences) <= TIE:
        return float(differences.mean()), float(differences.mean())
    from scipy import stats

    found = stats.bootstrap(
        (differences,),
        np.mean,
        n_resamples=resamples,
        batch=_batch(differences.size),
        vectorized=True,
        confidence_level=confidence,
        alternative=alternative,
        method="percentile",
        rng=generator,
    ).confidence_interval
    return float(found.low), float(found.high)


def _p_value(differences: NDArray[np.float64], *, generator: np.random.Generator, resamples: int) -> float:
    """Of the sign-flip test of differences none of which is 0: a 0 has no sign, and changes no sum."""
    if differences.size < 2:
        return 1.0
    from scipy import stats

    if 2.0**differences.size <= resamples:
        exact = stats.permutation_test(
            (differences,), np.sum, permutation_type="samples", n_resamples=resamples, vectorized=True
        )
        return float(exact.pvalue)

    def signs_of_size(*, size: tuple[int, ...]) -> NDArray[np.float64]:
        return generator.integers(0, 2, size=size, dtype=np.int8).astype(np.float64) * 2.0 - 1.0

    # The same test with drawn signs; permutation_test would sort a pair of random numbers for each of them.
    sizes = np.abs(differences)
    drawn = stats.monte_carlo_test(
        np.sign(differences),
        rvs=signs_of_size,
        statistic=lambda signs, **_axis: signs @ sizes,
        vectorized=True,
        n_resamples=resamples,
        batch=_batch(differences.size),
    )
    return float(drawn.pvalue)


def _batch(count: int) -> int:
    return max(1, VALUES_HELD // count)
