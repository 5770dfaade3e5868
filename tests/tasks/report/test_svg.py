"""Plots that follow the page: colours, ids, determinism."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from matplotlib.figure import Figure

from nightrank.tasks.evaluate.ladder import LadderStage
from nightrank.tasks.report.plots import coverage_plot, depth_plot, interval_plot, ladder_plot
from nightrank.tasks.report.sections import Compared, CoveragePoint
from nightrank.tasks.report.svg import as_svg, plot_style

if TYPE_CHECKING:
    from collections.abc import Callable

    from markupsafe import Markup

LADDER = [LadderStage("bm25", "BM25", {"M": 0.4}, 1.0), LadderStage("fused", "<hybrid>", {"M": 0.5}, 9.0)]
POINTS = [
    CoveragePoint("chosen", 10, 5, 0.2),
    CoveragePoint("chosen", 20, 9, 0.3),
    CoveragePoint("frequency", 10, 5, 0.1),
]
ROWS = [Compared("bm25", "BM25", "M", 9, 0.5, 0.4, -0.1, -0.2, -0.05, 0.001, 0.01, 1, 1, 7)]
PLOTS = {
    "ladder": lambda: ladder_plot(LADDER, measure="M"),
    "depth": lambda: depth_plot([(10, {"M": 0.5}), (20, {"M": 0.6})], measure="M"),
    "coverage": lambda: coverage_plot(POINTS),
    "intervals": lambda: interval_plot(ROWS, measure="M"),
}


@pytest.mark.parametrize("name", PLOTS)
def test_every_colour_of_a_plot_is_a_variable_of_the_page_and_nothing_is_fetched(name: str) -> None:
    svg = drawn(PLOTS[name])

    assert not re.search(r"(fill|stroke)[^;\"]*#[0-9a-fA-F]{3,8}", svg)
    assert "var(--" in svg
    assert "http" not in svg
    ids = set(re.findall(r'\bid="([^"]*)"', svg))
    assert all(one.startswith(f"{name}-") for one in ids)
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', svg)) <= ids


@pytest.mark.parametrize("name", PLOTS)
def test_the_same_figures_give_the_same_bytes(name: str) -> None:
    assert drawn(PLOTS[name]) == drawn(PLOTS[name])


def test_a_name_in_a_plot_is_text_and_no_markup() -> None:
    svg = drawn(PLOTS["ladder"])

    assert "&lt;hybrid&gt;" in svg
    assert "<hybrid" not in svg


def test_a_plot_in_a_colour_that_follows_no_page_is_refused() -> None:
    with plot_style("odd"):
        figure = Figure()
        figure.subplots().plot([0, 1], [0, 1], color="#aa0011")

        with pytest.raises(ValueError, match="#aa0011"):
            as_svg(figure, name="odd", title="Odd")


def test_one_point_is_no_curve() -> None:
    assert ladder_plot(LADDER[:1], measure="M") is None
    assert ladder_plot([LadderStage("bm25", "BM25", {"M": 0.4}, None), LADDER[1]], measure="M") is None
    assert depth_plot([(10, {"M": 0.5})], measure="M") is None
    assert coverage_plot(POINTS[:1]) is None
    assert interval_plot(ROWS, measure="another") is None


def drawn(plot: Callable[[], Markup | None]) -> str:
    svg = plot()
    assert svg is not None
    return str(svg)
