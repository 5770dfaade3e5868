"""HTML put right before it is parsed, where a browser's rules would lose a page to one slip of its author.

A title, a text field or a script that is never closed takes the rest of the page with it, and so do XHTML's empty
elements where they are read as HTML. Elements open in one another by the thousand would take parsers a minute.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_LEVELS = 200
"""Elements that may be open at once; tags beyond are left out, and their text stays."""
MAX_FORMATTING = 8
"""Elements of fonts that may be: those that are never closed are repeated in every paragraph that follows."""
MAX_OTHERS = 1000
"""Elements without a meaning that may be; with more, all their tags are left out."""

_VOID = "area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr"
_EMPTY = re.compile(rf"<((?!(?:{_VOID})\b)[a-z][\w:-]*+)((?:[^<>\"'/]|/(?!>)|\"[^\"]*\"|'[^']*')*+)/>", re.IGNORECASE)
_EMPTY_RAW = re.compile(r"<(script|style|title|textarea|iframe|noscript)\b([^<>]*)/>", re.IGNORECASE)
_RAW = {
    # What holds text without tags, and where one that is never closed is taken to end.
    "title": re.compile(r"<|\n"),
    "textarea": re.compile(r"<"),
    "iframe": re.compile(r"<"),
    "xmp": re.compile(r"</?(?:body|html|main)\b", re.IGNORECASE),
    "script": re.compile(r"</head\b|</?body\b|<main\b|</html\b", re.IGNORECASE),
    "style": re.compile(r"</head\b|</?body\b|<main\b|</html\b", re.IGNORECASE),
}
_TEMPLATE = re.compile(r"<(/?)template\b([^<>]*)>", re.IGNORECASE)
_FORMATTING = "b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u"
_BLOCKS = (
    "a|abbr|article|aside|blockquote|center|cite|dd|del|details|dfn|div|dl|fieldset|figure|footer|form|h[1-6]|header|"
    "ins|kbd|label|main|mark|menu|nav|object|ol|pre|q|samp|section|span|sub|summary|sup|svg|g|table|tbody|template|ul|"
    "var"
)
_NESTING = re.compile(rf"<(/?)(?:({_FORMATTING})|{_BLOCKS})\b[^<>]*>", re.IGNORECASE)
# Of elements that have nothing to say here: a parser keeps each open that is not closed, `<x/>` too.
_OTHERS = re.compile(
    rf"<(/?)(?!(?:{_FORMATTING}|{_BLOCKS}|{_VOID}|html|head|body|frameset|frame|p|li|dt|tr|td|th|thead|tfoot|caption|"
    r"colgroup|option|optgroup|select|rt|rp|ruby|title|textarea|iframe|xmp|script|style|noscript|button|hr)[\s/>])"
    r"[a-z][^<>]*>",
    re.IGNORECASE,
)


def prepared(source: str, *, is_xml: bool) -> str:
    """The page with everything closed that would swallow what follows, and no deeper than parsers bear.

    Args:
        source: The page.
        is_xml: Whether it is XHTML by its name; one that begins with an XML declaration is as well.

    >>> prepared("<title>Guide<body>Text", is_xml=False)
    '<title>Guide</title><body>Text'
    """
    if is_xml or source.lstrip()[:5] == "<?xml":
        source = _EMPTY.sub(r"<\1\2></\1>", between(source, "<![CDATA[", "]]>", html.escape))
    else:
        source = _EMPTY_RAW.sub(r"<\1\2></\1>", source)
    for tag, end in _RAW.items():
        source = _closed(source, tag, end)
    return _flattened(_without_open_templates(source))


def between(source: str, opening: str, closing: str, replace: Callable[[str], str]) -> str:
    """The source with what stands between two marks replaced, marks included; in time that grows with it alone.

    What is opened and never closed stays.

    >>> between("a /* b */ c /* d", "/*", "*/", lambda _: "")
    'a  c /* d'
    """
    kept: list[str] = []
    at = 0
    while (start := source.find(opening, at)) >= 0:
        end = source.find(closing, start + len(opening))
        if end < 0:
            break
        kept += source[at:start], replace(source[start + len(opening) : end])
        at = end + len(closing)
    return "".join((*kept, source[at:]))


def _closed(source: str, tag: str, end: re.Pattern[str]) -> str:
    openings = list(re.finditer(rf"<{tag}\b[^<>]*>", source, re.IGNORECASE))
    opening = openings[-1] if openings else None
    if opening is None or re.compile(rf"</{tag}\b", re.IGNORECASE).search(source, opening.end()):
        return source
    found = end.search(source, opening.end())
    at = found.start() if found else len(source)
    if found is None and tag in ("script", "style"):
        return source
    return f"{source[:at]}</{tag}>{source[at:]}"


def _without_open_templates(source: str) -> str:
    """Templates are not rendered but as the shadow of an element; a tag that is never closed begins none."""
    last_end = max((tag.end() for tag in _TEMPLATE.finditer(source) if tag[1]), default=0)

    def kept(tag: re.Match[str]) -> str:
        is_open = not tag[1] and (tag.start() >= last_end or "shadowrootmode" in tag[2].lower())
        return " " if is_open else tag[0]

    return _TEMPLATE.sub(kept, source) if "<template" in source.lower() else source


def _flattened(source: str) -> str:
    if _deepest(tag[1] for tag in _OTHERS.finditer(source)) > MAX_OTHERS:
        source = _OTHERS.sub("", source)
    if (
        _deepest(tag[1] for tag in _NESTING.finditer(source) if not tag[2]) <= MAX_LEVELS
        and _deepest(tag[1] for tag in _NESTING.finditer(source) if tag[2]) <= MAX_FORMATTING
    ):
        return source
    levels = {False: 0, True: 0}

    def kept(tag: re.Match[str]) -> str:
        is_font = bool(tag[2])
        most = MAX_FORMATTING if is_font else MAX_LEVELS
        levels[is_font] = max(0, levels[is_font] - 1) if tag[1] else levels[is_font] + 1
        if levels[is_font] < most + (not tag[1]):
            return tag[0]
        return "" if is_font else " "

    return _NESTING.sub(kept, source)


def _deepest(ends: Iterable[str]) -> int:
    """How many elements are open at once at most, by their tags: empty for one that opens."""
    level = deepest = 0
    for end in ends:
        level = max(0, level - 1) if end else level + 1
        deepest = max(deepest, level)
    return deepest
