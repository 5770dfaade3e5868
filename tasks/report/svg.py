"""A matplotlib figure as SVG that lives in a page: it follows the page's colours, light or dark, and its font.

Figures are drawn in stand-in colours that occur nowhere else; here each becomes the page's variable of that name.
"""

from __future__ import annotations

import io
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import matplotlib as mpl
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

INK = "#010203"
MUTED = "#040506"
LINE = "#070809"
ACCENT = "#0a0b0c"
SECOND = "#0d0e0f"
GOOD = "#101112"
BAD = "#131415"
PAPER = "#161718"
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    ACCENT: "--accent",
    SECOND: "--second",
    GOOD: "--good",
    BAD: "--bad",
    PAPER: "--paper",
}

_COLOUR = re.compile(r"#[0-9a-f]{6}\b(?=[;\"' ])")
_ROOT = re.compile(r"<svg\b[^>]*>")
_BOX = re.compile(r'viewBox="[^"]*"')


@contextmanager
def plot_style(name: str) -> Iterator[None]:
    """Matplotlib's settings for one plot, restored afterwards.

    Args:
        name: Of the plot; ids within its SVG follow from it and from what is drawn alone.
    """
    with mpl.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": name,
            "text.parse_math": False,
            "font.family": "DejaVu Sans",
            "font.size": 9.5,
            "text.color": INK,
            "axes.labelcolor": MUTED,
            "axes.edgecolor": LINE,
            "axes.facecolor": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.labelpad": 7.0,  # the page's font may be wider than the one that is measured here
            "grid.color": LINE,
            "grid.linewidth": 0.6,
            "xtick.color": LINE,
            "ytick.color": LINE,
            "xtick.labelcolor": MUTED,
            "ytick.labelcolor": MUTED,
            "figure.facecolor": "none",
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "lines.markersize": 6.0,
        }
    ):
        yield


def as_svg(figure: Figure, *, name: str, title: str) -> Markup:
    """The figure as an ``svg`` element to be put into a page.

    Args:
        figure: Drawn under ``plot_style`` in this module's colours alone.
        name: Of the plot; it keeps the ids of several plots on one page apart.
        title: What it shows, for those who cannot see it.

    Raises:
        ValueError: Something is drawn in another colour.
    """
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = written.getvalue()
    root = _ROOT.search(svg)
    box = None if root is None else _BOX.search(root.group())
    assert root is not None
    assert box is not None
    body = re.sub(r"<metadata>.*?</metadata>", "", svg[root.end() :], flags=re.DOTALL)
    body = _COLOUR.sub(_variable, body)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'href="#', f'href="#{name}-', body)
    body = body.replace("url(#", f"url(#{name}-")
    opening = f'<svg class="plot" role="img" aria-label="{escape(title)}" {box.group()}><title>{escape(title)}</title>'
    return Markup(opening + body)  # noqa: S704 (matplotlib escapes what it writes, the title is escaped here)


def _variable(colour: re.Match[str]) -> str:
    variable = VARIABLES.get(colour.group())
    if variable is None:
        message = f"a plot is drawn in {colour.group()}, which follows no page"
        raise ValueError(message)
    return f"var({variable})"
