"""Pages of HTML as replies: style and script stand in the page, and its policy lets in nothing but these."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

from nightrank.flows.serve.http.reply import Reply
from nightrank.tasks.html import html_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Template

HTML = "text/html; charset=utf-8"
PACKAGE = "nightrank.flows"
STYLE = "serve/page/page.css"  # what all pages share


def page_reply(
    name: str,
    shown: object,
    *,
    style: str = "",
    script: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """A page.

    Args:
        name: Of its template, below ``nightrank.flows``.
        shown: What is on it.
        style: File of what its style has beside what all share, likewise.
        script: File of its script, likewise.
        status: Of HTTP.
        headers: Beside the usual ones.
    """
    template, styles, scripts = _parts(name, style, script)
    html = template.render(shown=shown, style=styles, script=scripts)
    policy = (
        f"default-src 'none'; style-src 'sha256-{_digest(styles)}'; script-src 'sha256-{_digest(scripts)}'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return Reply(status, html.encode(), HTML, {"Content-Security-Policy": policy, **(headers or {})})


@cache
def _parts(name: str, style: str, script: str) -> tuple[Template, Markup, Markup]:
    """The template, the style and the script."""
    environment = html_environment(PACKAGE, "")
    assert environment.loader is not None
    styles = [environment.loader.get_source(environment, file)[0] for file in (STYLE, style) if file]
    source, _, _ = environment.loader.get_source(environment, script)
    return environment.get_template(name), Markup("\n".join(styles)), Markup(source)  # noqa: S704 (package data)


@cache
def _digest(source: Markup) -> str:
    """By which a policy names what may stand in the page."""
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
