"""The report as one HTML file that needs no network: everything in it is escaped, its scripts are named by hash."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from nightrank.storage.files.text import plain_text
from nightrank.tasks.html import html_environment
from nightrank.tasks.names import STAGE_NAMES
from nightrank.tasks.report.facts import Missing
from nightrank.tasks.report.plots import STRATEGIES, coverage_plot, depth_plot, interval_plot, ladder_plot, loss_plot
from nightrank.tasks.report.sections import SIGNIFICANT

if TYPE_CHECKING:
    from datetime import datetime

    from jinja2 import Environment

    from nightrank.tasks.report.facts import Report

GAPS_SHOWN = 50
LONG = 200  # characters of a text that are shown
MINUS = "\u2212"


def render_page(report: Report) -> str:
    """The page of a report: a function of its facts alone."""
    environment = html_environment("nightrank.tasks.report", "template")
    environment.tests["missing"] = lambda value: isinstance(value, Missing)
    environment.filters |= {
        "number": number,
        "signed": signed,
        "count": count,
        "gate_value": gate_value,
        "probability": probability,
        "seconds": seconds,
        "moment": moment,
        "cut": cut,
        "with_code": with_code,
    }
    script = _asset(environment, "report.js")
    page = environment.get_template("report.html.jinja").render(
        report=report,
        plots=_plots(report),
        style=_asset(environment, "report.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        stage_names=STAGE_NAMES,
        strategies=STRATEGIES,
        significant=SIGNIFICANT,
        gaps_shown=GAPS_SHOWN,
    )
    return page.lstrip()


def cut(text: str, length: int = LONG) -> str:
    r"""A text, shortened to a length with an ellipsis.

    >>> cut("abcdef", 4), cut("abcd", 4)
    ('abc\u2026', 'abcd')
    """
    return text if len(text) <= length else text[: length - 1] + "\u2026"


def with_code(text: str) -> Markup:
    """A sentence of ours, in which what stands between backquotes is code.

    >>> with_code("Set `depth` < 3.")
    Markup('Set <code>depth</code> &lt; 3.')
    """
    escaped = str(escape(plain_text(text, lines=True)))
    return Markup(re.sub(r"`([^`<>]+)`", r"<code>\1</code>", escaped))  # noqa: S704 (escaped before)


def number(value: float, digits: int = 3) -> str:
    r"""A number with fixed digits and a true minus.

    >>> number(0.5), number(-0.25, 1), number(math.inf)
    ('0.500', '\u22120.2', '\u221e')
    """
    if math.isinf(value):
        return "\u221e" if value > 0 else f"{MINUS}\u221e"
    return f"{value:.{digits}f}".replace("-", MINUS)


def signed(value: float, digits: int = 3) -> str:
    r"""A difference with its sign; 0 has none.

    >>> signed(0.0125), signed(-2240.0, 0), signed(0.0)
    ('+0.013', '\u22122,240', '0.000')
    """
    shown = f"{value:+,.{digits}f}"
    return shown[1:] if round(value, digits) == 0 else shown.replace("-", MINUS)


def count(value: float) -> str:
    """A whole number with its thousands apart.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{value:,.0f}".replace("-", MINUS)


def gate_value(value: float) -> str:
    r"""What a gate measured, or its threshold: three digits that count, whatever the size.

    >>> gate_value(4.95e-8), gate_value(-0.01234), gate_value(200.0), gate_value(math.inf)
    ('4.95e−8', '−0.0123', '200', '∞')
    """
    if math.isinf(value):
        return number(value)
    shown = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return shown.replace("e-0", "e-").replace("-", MINUS)


def probability(value: float) -> str:
    """A p-value.

    >>> probability(0.0234), probability(0.0001)
    ('0.023', '< 0.001')
    """
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def seconds(value: float) -> str:
    """A time, in the largest units that it fills.

    >>> seconds(0.0123), seconds(8.25), seconds(75.0), seconds(7380.0)
    ('12 ms', '8.2 s', '1 min 15 s', '2 h 3 min')
    """
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def moment(value: datetime) -> str:
    """A time for people, in the zone that it is given in."""
    return f"{value:%A}, {value.day} {value:%B %Y, %H:%M} {value:%Z}".rstrip()


def _plots(report: Report) -> dict[str, Markup | None]:
    measure = report.measure
    plots: dict[str, Markup | None] = dict.fromkeys(("ladder", "depths", "coverage", "comparison"))
    if measure is not None and not isinstance(report.ladder, Missing):
        plots["ladder"] = ladder_plot(report.ladder.stages, measure=measure)
    if measure is not None and not isinstance(report.depths, Missing):
        plots["depths"] = depth_plot(report.depths, measure=measure)
    if not isinstance(report.coverage, Missing):
        plots["coverage"] = coverage_plot(report.coverage, report.near)
    if measure is not None and not isinstance(report.comparison, Missing):
        plots["comparison"] = interval_plot(report.comparison, measure=measure)
    for model in () if isinstance(report.trained, Missing) else report.trained:
        name = f"losses-{model.card.kind}"
        plots[name] = None if model.losses is None else loss_plot(model.losses, name=name)
    return plots


def _asset(environment: Environment, name: str) -> Markup:
    """A file of the package as it is: ours alone, so that it needs no escaping."""
    assert environment.loader is not None
    source, _, _ = environment.loader.get_source(environment, name)
    return Markup(source)  # noqa: S704 (package data)
