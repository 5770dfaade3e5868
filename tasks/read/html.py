"""The title and the text of an HTML page, by the standard library's parser.

What a reader sees is kept, one line a block. It is no renderer: styles are not applied, and scripts never run.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

DROPPED = frozenset({"script", "style", "nav", "template", "svg"})
SECTIONS = {"article", "aside", "body", "footer", "head", "header", "hgroup", "html", "main", "section", "title"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
LISTS = {"dd", "dl", "dt", "li", "menu", "ol", "ul"}
TABLES = {"caption", "table", "tbody", "tfoot", "thead", "tr"}
FORMS = {"fieldset", "form", "legend", "optgroup", "option", "select", "textarea"}
FLOW = {"address", "blockquote", "br", "details", "dialog", "div", "figcaption", "figure", "hr", "p", "pre", "summary"}
BLOCKS = frozenset(SECTIONS | HEADINGS | LISTS | TABLES | FORMS | FLOW)
CELLS = frozenset({"td", "th"})
BREAK = ("", True)
SPACE = re.compile(r"[ \t\n\r\f]+")
TRAILING_SPACE = re.compile(r" +(?=\n)")


def parse_html(source: str) -> tuple[str, str]:
    r"""The title and the text of a page.

    The title is that of ``<title>``, otherwise the first ``<h1>``; empty without either. The text holds everything
    outside ``<title>`` but ``script``, ``style``, ``nav``, ``template`` and ``svg``, headings included. Blocks are
    separated by line breaks, white space is single spaces, and ``<pre>`` is kept but for trailing spaces.

    >>> parse_html("<title>Guide</title><nav>Home</nav><h1>Start</h1><p>Run   it.<br>Twice.")
    ('Guide', 'Start\nRun it.\nTwice.')
    """
    page = _Page()
    page.feed(source)
    page.close()
    text = TRAILING_SPACE.sub("", "".join(_joined(page.pieces)))
    return _one_line(page.title) or _one_line(page.heading), text.strip()


class _Page(HTMLParser):
    """Collects pieces of text, and whether each is kept, white space and all; an empty one is a line break."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title: list[str] = []
        self.heading: list[str] = []
        self.pieces: list[tuple[str, bool]] = []
        self._dropped = ""  # the outermost dropped element that is open
        self._dropped_levels = 0  # how many of its kind are open
        self._open_preformatted = 0
        self._place = ""  # title, or the first h1
        self._seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag in DROPPED and not self._dropped:
            self._dropped = tag
        if self._dropped:
            self._dropped_levels += tag == self._dropped
            return
        self._separate(tag)
        if tag in ("title", "h1") and tag not in self._seen:
            self._seen.add(tag)
            self._place = tag
        elif tag == "pre":
            self._open_preformatted += 1

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if not self._dropped and tag not in DROPPED:
            self._separate(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._dropped:
            self._dropped_levels -= tag == self._dropped
            if not self._dropped_levels:
                self._dropped = ""
            return
        self._separate(tag)
        if tag == self._place:
            self._place = ""
        elif tag == "pre":
            self._open_preformatted = max(0, self._open_preformatted - 1)

    def handle_data(self, data: str) -> None:
        if self._dropped:
            return
        if self._place == "title":
            self.title.append(data)
            return
        if self._place == "h1":
            self.heading.append(data)
        self.pieces.append((data, self._open_preformatted > 0))

    def parse_marked_section(self, i: int, report: bool = True) -> int:  # noqa: ARG002
        """Take ``<![...`` as the comment that browsers see; the library's own fails on unknown names."""
        return self.parse_bogus_comment(i)

    def _separate(self, tag: str) -> None:
        if tag in BLOCKS:
            self.pieces.append(BREAK)
        elif tag in CELLS:
            self.pieces.append((" ", False))


def _joined(pieces: Iterable[tuple[str, bool]]) -> Iterable[str]:
    last = "\n"
    for text, is_kept in pieces:
        piece = text if is_kept else SPACE.sub(" ", text)
        if (text, is_kept) == BREAK:
            piece = "" if last == "\n" else "\n"
        elif not is_kept and last in (" ", "\n"):
            piece = piece.lstrip(" ")
        if piece:
            last = piece[-1]
            yield piece


def _one_line(pieces: Iterable[str]) -> str:
    return " ".join("".join(pieces).split())
