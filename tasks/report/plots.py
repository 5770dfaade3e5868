"""The report's plots: the ladder, the curve of reranking depth, coverage, the intervals of the comparison."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from nightrank.tasks.models.card import MEASURES
from nightrank.tasks.models.curve import plot_losses
from nightrank.tasks.report.svg import ACCENT, BAD, GOOD, INK, LINE, MUTED, SECOND, as_svg, plot_style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from markupsafe import Markup
    from matplotlib.axes import Axes

    from nightrank.storage.release.near_record import NearRecord
    from nightrank.tasks.evaluate.ladder import LadderStage
    from nightrank.tasks.report.sections import Compared, CoveragePoint

LEAST_RANGE = 0.05  # of a measure, on an axis
WIDTH, HEIGHT = 4.8, 3.1  # inches: text stays readable where the page is as narrow as a phone
STRATEGIES = {"chosen": "as chosen", "frequency": "the most frequent alone"}


def ladder_plot(stages: Sequence[LadderStage], *, measure: str) -> Markup | None:
    """What each stage is worth against what a query costs there; None where fewer than two stages were timed."""
    timed = [stage for stage in stages if stage.milliseconds and measure in stage.measures]
    if len(timed) < 2:
        return None
    with plot_style("ladder"):
        figure, axes = _figure()
        timed.sort(key=lambda stage: stage.milliseconds or 0.0)
        costs, scores = [stage.milliseconds or 0.0 for stage in timed], [stage.measures[measure] for stage in timed]
        axes.set_xscale("log")
        axes.plot(costs, scores, color=LINE, zorder=1)
        axes.plot(costs, scores, "o", color=ACCENT, zorder=2)
        axes.margins(x=0.12, y=0.2)
        _not_too_close(axes)
        _name_points(axes, costs, scores, [stage.name for stage in timed])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("milliseconds a query (logarithmic)")
        axes.set_ylabel(measure)
        return as_svg(figure, name="ladder", title=f"{measure} of each stage against milliseconds a query")


def depth_plot(depths: Sequence[tuple[int, Mapping[str, float]]], *, measure: str) -> Markup | None:
    """What the ranking is worth by how many candidates are reranked; None where that is fewer than two points."""
    points = [(depth, values[measure]) for depth, values in depths if measure in values]
    if len(points) < 2:
        return None
    with plot_style("depth"):
        figure, axes = _figure()
        axes.plot([depth for depth, _ in points], [score for _, score in points], "o-", color=ACCENT)
        axes.set_xticks([depth for depth, _ in points])
        axes.margins(y=0.2)
        _not_too_close(axes)
        axes.set_xlabel("candidates reranked a query")
        axes.set_ylabel(measure)
        return as_svg(figure, name="depth", title=f"{measure} by how many candidates are reranked")


def coverage_plot(points: Sequence[CoveragePoint], near: NearRecord | None = None) -> Markup | None:
    """The share of a later day's traffic by budget and strategy; None where there are fewer than two budgets.

    Args:
        points: Of the curves.
        near: What near answers add to the actual budget; None where they are off.
    """
    if len({point.queries for point in points}) < 2:
        return None
    with plot_style("coverage"):
        figure, axes = _figure()
        for strategy, colour, line in zip(STRATEGIES, (ACCENT, SECOND), ("o-", "s--"), strict=True):
            of_strategy = [point for point in points if point.strategy == strategy]
            budgets, shares = [point.queries for point in of_strategy], [100 * point.share for point in of_strategy]
            axes.plot(budgets, shares, line, color=colour, label=STRATEGIES[strategy])
        if near is not None and near.coverage is not None:
            share = near.coverage.exact + sum(near.coverage.near.values())
            axes.axhline(100 * share, color=GOOD, linestyle=":", label="with near answers, at the budget")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))
        axes.set_xlabel("queries answered in advance")
        axes.set_ylabel("of a later day's traffic")
        axes.legend(loc="lower right")
        return as_svg(figure, name="coverage", title="Share of a later day's traffic by queries answered in advance")


def interval_plot(rows: Sequence[Compared], *, measure: str) -> Markup | None:
    """The difference of each stage with its interval, in the order given; None where the measure was not compared."""
    compared = [row for row in rows if row.measure == measure]
    if not compared:
        return None
    colours = {"better": GOOD, "worse": BAD, "no evidence": MUTED}
    with plot_style("intervals"):
        figure, axes = _figure(height=0.9 + 0.36 * len(compared))
        axes.axvline(0.0, color=INK, linewidth=0.8)
        for place, row in enumerate(compared):
            axes.plot([row.low, row.high], [place, place], color=colours[row.verdict])
            axes.plot([row.difference], [place], "o", color=colours[row.verdict])
        axes.set_yticks(range(len(compared)), [row.name for row in compared])
        axes.set_ylim(len(compared) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _signed(value)))
        axes.set_xlabel(f"difference in {measure}, with its interval")
        return as_svg(figure, name="intervals", title=f"Difference in {measure} by stage, with intervals")


def loss_plot(losses: pa.Table, *, name: str) -> Markup | None:
    """The loss of each update of a training, and the held-out figure where it was taken; None of fewer than two."""
    if losses.num_rows < 2:
        return None
    with plot_style(name):
        figure, axes = _figure()
        plot_losses(axes, losses, held_out=f"{MEASURES[0]}, held out", colours=(LINE, ACCENT, SECOND))
        return as_svg(figure, name=name, title="Loss of each update, and what held-out queries said")


def _signed(value: float) -> str:
    """A difference on an axis; 0 has no sign, and no value of a tick is so near to it."""
    return "0" if abs(value) < 1e-9 else f"{value:+.3g}".replace("-", "\u2212")


def _figure(height: float = HEIGHT) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def _not_too_close(axes: Axes) -> None:
    """A difference of nothing must not look like one: the axis spans a least range around what is drawn."""
    low, high = axes.get_ylim()
    missing = max(0.0, LEAST_RANGE - (high - low)) / 2
    axes.set_ylim(low - missing, high + missing)


def _name_points(axes: Axes, costs: Sequence[float], scores: Sequence[float], names: Sequence[str]) -> None:
    """Write each name beside its point: above, or below where the one before stands just there."""
    tall = (max(scores) - min(scores)) or 1.0
    wide = math.log(max(costs) / min(costs)) or 1.0
    left = math.log(min(costs))
    last: tuple[float, float] | None = None
    for cost, score, name in zip(costs, scores, names, strict=True):
        x, y = (math.log(cost) - left) / wide, (score - min(scores)) / tall
        crowded = last is not None and x - last[0] < 0.3 and abs(y - last[1]) < 0.2
        last = None if crowded else (x, y)
        axes.annotate(
            name,
            (cost, score),
            xytext=(0, -8 if crowded else 8),
            textcoords="offset points",
            ha="left" if x < 0.2 else "right" if x > 0.8 else "center",
            va="top" if crowded else "bottom",
        )
