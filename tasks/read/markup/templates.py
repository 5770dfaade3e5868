"""Tags of the template engines that Markdown goes through: Hugo's shortcodes, Liquid, Jinja, comments of MDX.

What they would put out is not known here, so they go; the words among their arguments that readers see stay.
"""

from __future__ import annotations

import html
import re

MAX_CHARACTERS = 10_000
"""Of a tag; what is longer is none."""
_SHOWN = re.compile(
    r"(?<![\w-])(?:title|label|caption|heading|summary|content|text|subtitle|header)\s*[=:]\s*\{?(?:\"([^\"]*)\"|'([^']*)')"
)
_SHORTCODE = re.compile(r"\{\{([<%])(/\*)?(.*?)(?:\*/)?[>%]\}\}", re.DOTALL)
_LIQUID = re.compile(r"\{%[-~]?\s*+(\w++)?+((?:[^%\"'{]|%(?!\})|\"[^\"\n]*\"|'[^'\n]*'){0,4000}?)[-~]?%\}")
_VERBATIM = frozenset({"raw", "verbatim", "highlight", "code", "codeblock"})
_OUTPUT = re.compile(r"\{\{\{?(?:[^{}\n]|\n(?![ \t]*\n)){0,1000}?\}?\}\}")
_POSITIONAL = re.compile(r"(?<![=\w])\"([^\"\n]*)\"")
_WORDS = re.compile(r"[^\W\d_]+(?:[ '’-][^\W\d_]+)+[.!?]?|[A-Z][a-z]+")


class Marks:
    """Finds what ends something in a text; what was found once is not searched for again before that place."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._next: dict[str, tuple[int, int]] = {}

    def after(self, mark: str, start: int, *, within: int | None = None) -> int:
        """Where the next such mark ends; -1 where none comes, or none so soon."""
        found, end = self._next.get(mark, (-1, 0))
        if found < start and end >= 0:
            found = self.text.find(mark, start)
            end = -1 if found < 0 else found + len(mark)
            self._next[mark] = found, end
        return -1 if within is not None and end > start + within else end

    def until(self, pattern: str, start: int) -> tuple[str, int]:
        """What stands before the next place that a pattern matches, and where that ends; -1 where none comes."""
        begin, end = self._next.get(pattern, (-1, 0))
        if begin < start and end >= 0:
            found = re.compile(pattern, re.IGNORECASE).search(self.text, start)
            begin, end = found.span() if found else (-1, -1)
            self._next[pattern] = begin, end
        return ("", -1) if end < 0 else (self.text[start:begin], end)


def shown_of_template(marks: Marks, start: int) -> tuple[str, int]:
    """What a tag of a template engine shows, and where it, or the part that it hides or keeps as it is, ends.

    -1 is where nothing ends: it is no tag.
    """
    text = marks.text
    if text.startswith("{/*", start):
        return "", marks.after("*/}", start)
    if text.startswith(("{{<", "{{%"), start):
        return _shortcode(marks, start)
    if text.startswith("{%", start):
        return _liquid(marks, start)
    if text.startswith("{#", start):
        return "", marks.after("#}", start, within=MAX_CHARACTERS)
    if start and (text[start - 1].isalnum() or text[start - 1] in "\\^_"):
        return "", -1  # braces of a formula
    output = _OUTPUT.match(text, start)
    return "", output.end() if output else -1


def _shortcode(marks: Marks, start: int) -> tuple[str, int]:
    text = marks.text
    ends = [end for mark in (">}}", "%}}") if (end := marks.after(mark, start, within=MAX_CHARACTERS)) >= 0]
    found = _SHORTCODE.match(text, start, min(ends)) if ends else None
    if found is None:
        return "", -1
    if found[2]:  # one that is to be shown, not run
        return f"{{{{{found[1]}{found[3]}{found[1].replace('<', '>')}}}}}", found.end()
    name, _, arguments = found[3].strip().partition(" ")
    if name in ("comment", "highlight"):
        inner, end = marks.until(rf"\{{\{{[<%]\s*/{name}\s*[>%]\}}\}}", found.end())
        if end >= 0:
            return "" if name == "comment" else inner, end
    shown = shown_values(arguments)
    shown += [one for one in _POSITIONAL.findall(arguments) if _WORDS.fullmatch(one)]
    return "".join(f"{one} " for one in shown), found.end()


def _liquid(marks: Marks, start: int) -> tuple[str, int]:
    found = _LIQUID.match(marks.text, start)
    if found is None:
        return "", -1
    name = found[1] or ""
    if name == "comment" or name in _VERBATIM:
        inner, end = marks.until(rf"\{{%[-~]?\s*end{name}\s*[-~]?%\}}", found.end())
        if end >= 0:
            return "" if name == "comment" else inner, end
    return "".join(f"{one} " for one in shown_values(found[2])), found.end()


def shown_values(arguments: str) -> list[str]:
    """The values of named arguments or attributes that readers see, such as a caption.

    >>> shown_values('src="/img/a.png" title="Parcel" label="On Windows"')
    ['Parcel', 'On Windows']
    """
    return [html.unescape(one or other) for one, other in _SHOWN.findall(arguments) if one or other]
