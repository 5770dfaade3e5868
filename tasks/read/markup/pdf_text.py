"""What of a PDF's lines and properties is text: running heads, page numbers and hyphens at ends of lines are not."""

from __future__ import annotations

import re
from collections import Counter

EDGE_LINES = 2
"""Lines at the top and at the bottom of a page that may be running heads."""
MIN_SHARE = 0.3
"""Of the pages, on which a line is a running head; left and right pages may have different ones."""
MIN_PAGES, MIN_COUNTED_PAGES, MIN_COUNTED_SHARE = 2, 5, 0.6
"""Pages that a running head is on, and those with words and a number that counts the pages: steps are counted, too."""

_MADE_UP = re.compile(
    r"\s*(?:untitled(?:[ -]?\d+)?|no title|title|document ?\d*|presentation ?\d*|book ?\d+|slide ?\d+|"
    r"(?:powerpoint|word|excel)[ -]presentation|microsoft (?:word|powerpoint|excel)(?: - .*)?|"
    r"(?:layout|print|scan)[ _-]?\d*|"
    r"[^\s].{0,200}\.(?:docx?|pptx?|xlsx?|od[tps]|rtf|indd|qxd|tex|dvi|pages|key|pdf|pub|html?))\s*",
    re.IGNORECASE,
)
_PAGE_NUMBER = re.compile(
    r"(?:\W*+(?:page|p\.|pag\.|página|pagina|seite|s\.|side|sida|стр\.)\s*+#|(?>\W*#))"
    r"(?:\s*+(?:of|/|von|de|di|sur|van|-)\s*+#)?\W*+"
)
_NUMBER = re.compile(r"\d+")
_ROMAN = re.compile(r"[ivxlc]+", re.IGNORECASE)
_HYPHENATED = re.compile(r"(?<![^\W\d_])([^\W\d_]++)[-\u00ad\u2010]\n[ \t]*+([^\W\d_]++)")


def real_title(title: str) -> str:
    """A title that a person gave; empty for what programs put there, such as a file's name.

    >>> real_title("Microsoft Word - draft_v3_FINAL.docx"), real_title("Annual report 2024")
    ('', 'Annual report 2024')
    """
    return "" if _MADE_UP.fullmatch(title) else title


def joined_pages(pages: list[str]) -> str:
    """The text of all pages, one after another, without what repeats at their edges; words that lines cut are whole."""
    text = "\n\n".join(_without_running_heads(pages))
    words = Counter(re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", text.lower()))

    def whole(found: re.Match[str]) -> str:
        first, second = found.groups()
        if not second[0].islower():
            return f"{first}-{second}"
        compound = f"{first}-{second}".lower()
        return f"{first}-{second}" if words[compound] and not words[(first + second).lower()] else first + second

    return _HYPHENATED.sub(whole, text)


def _without_running_heads(pages: list[str]) -> list[str]:
    """The pages; a running head stays where it stands first, numbers of pages nowhere."""
    lines = [page.split("\n") for page in pages]
    edges = [_edges(page) for page in lines]
    seen = Counter(
        key
        for number, page in enumerate(lines)
        for key in {key for at in edges[number] for key in _keys(page[at], number)}
    )
    told: set[str] = set()

    def stays(line: str, number: int) -> bool:
        for key in _keys(line, number):
            is_number, is_counted = _PAGE_NUMBER.fullmatch(key[0]) is not None, key[1] is not None
            many = is_counted and not is_number
            if seen[key] < max(
                MIN_COUNTED_PAGES if many else MIN_PAGES, (MIN_COUNTED_SHARE if many else MIN_SHARE) * len(pages)
            ):
                continue
            if is_counted or key[0] in told:
                return False
            told.add(key[0])
        return True

    return [
        "\n".join(line for at, line in enumerate(page) if at not in edges[number] or stays(line, number))
        for number, page in enumerate(lines)
    ]


def _edges(page: list[str]) -> set[int]:
    """Which lines of a page stand at its top or its bottom."""
    written = [at for at, line in enumerate(page) if line.strip()]
    return {*written[:EDGE_LINES], *written[-EDGE_LINES:]}


def _keys(line: str, page: int) -> list[tuple[str, int | None]]:
    """What a line has in common with lines of other pages: its words, and by how much its numbers lead the page's."""
    text = " ".join(line.lower().split())
    if _ROMAN.fullmatch(text):
        return [("#", 0)]
    numbers = {int(number) for number in _NUMBER.findall(text) if len(number) < 6}
    without = _NUMBER.sub("#", text) if numbers else ""
    return [*((without, number - page) for number in sorted(numbers)), *([(text, None)] if text else [])]
