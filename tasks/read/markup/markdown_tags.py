"""HTML and JSX tags in Markdown: they go, and the words between them stay, unless the element is hidden."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING

from nightrank.tasks.read.markup.html_rules import REPLACED, Unseen, names
from nightrank.tasks.read.markup.templates import shown_values

if TYPE_CHECKING:
    from nightrank.tasks.read.markup.templates import Marks

_TAG = re.compile(
    r"<(/?)([A-Za-z][\w.:-]*+)((?:[^<>\"'{}]|\"[^\"]{0,2000}\"|'[^']{0,2000}'|"
    r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\}){0,2000}\}){0,2000}\}){0,2000})>"
)
_ATTRIBUTE = re.compile(r"([\w:-]+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|\{?([^\s\"'{}]+)\}?))?")
_INLINE = names(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd mark q rp rt ruby s samp small span strike "
    "strong sub sup time tt u var wbr"
)
_BLOCKS = names(
    "address article aside blockquote body br caption center col colgroup dd details dialog div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hgroup hr html label legend li link main menu meta "
    "nav ol optgroup option p pre section select summary table tbody td tfoot th thead title tr ul"
)
_DROPPED = frozenset(
    {"script", "style", "template", "noscript", *REPLACED} - {"img", "input", "button", "picture", "embed"}
)
_EMPTY = frozenset({"img", "input", "embed", "button", "picture", "source", "track", "area", "base", "param"})
_KNOWN = _INLINE | _BLOCKS | _DROPPED | _EMPTY
_FLAGS = frozenset(
    {"hidden", "open", "disabled", "checked", "controls", "async", "defer", "reversed", "required", "readonly"}
)
_UNSEEN = Unseen()


class Tags:
    """The tags of one page."""

    def __init__(self, marks: Marks, *, is_mdx: bool) -> None:
        self._marks = marks
        self._is_mdx = is_mdx
        self._ended: dict[str, bool] = {}
        self._elements: dict[str, _Elements] = {}

    def at(self, start: int) -> tuple[str, int]:
        """What the tag there shows, and where it, or the element that it hides, ends; -1 where it is no tag."""
        tag = _TAG.match(self._marks.text, start)
        return self._shown(tag) if tag and self._is_one(*tag.groups()) else ("", -1)

    def _shown(self, tag: re.Match[str]) -> tuple[str, int]:
        is_end, written, attributes = tag.groups()
        name = written.lower()
        if not is_end and self._is_component(written):
            return "".join(f"{one} " for one in shown_values(attributes)), tag.end()
        if not is_end and not attributes.endswith("/"):
            if name in _DROPPED:
                _, end = self._marks.until(rf"</{name}\b[^<>]*>", tag.end())
                return " ", max(end, tag.end())
            if attributes and _UNSEEN(name, _attributes(attributes)):
                return "", self._end_of(name, tag.end())
            if name[0] == "h" and name[1:].isdigit() and self._is_line(name, tag):
                return "#" * int(name[1]) + " ", tag.end()
        return "" if name in _INLINE else " ", tag.end()

    def _is_component(self, written: str) -> bool:
        return written.lower() not in _KNOWN or (self._is_mdx and written[0].isupper())

    def _is_one(self, is_end: str, written: str, attributes: str) -> bool:
        """Whether what stands in angle brackets is a tag, and not a comparison, a type or a placeholder."""
        if not is_end and "=" not in attributes and not _FLAGS.issuperset(attributes.rstrip("/").lower().split()):
            return False
        if not self._is_component(written) or self._is_mdx or "-" in written or attributes.endswith("/"):
            return True
        if written not in self._ended:
            self._ended[written] = f"</{written}>" in self._marks.text
        return self._ended[written] or "=" in attributes

    def _end_of(self, name: str, start: int) -> int:
        """Where an element ends that is open; where its tag does if it is never closed."""
        if name not in self._elements:
            self._elements[name] = _Elements(self._marks.text, name)
        end = self._elements[name].end_of_open(start)
        if end < 0:  # never closed: to the end of the paragraph, as a browser closes most
            _, end = self._marks.until(r"(?=\n[ \t]*\n)", start)
            return end if end >= 0 else len(self._marks.text)
        return end

    def _is_line(self, name: str, tag: re.Match[str]) -> bool:
        """Whether a heading is all of its line."""
        text = self._marks.text
        end = text.find("\n", tag.end())
        begins = tag.start() == 0 or text[tag.start() - 1] == "\n"
        return begins and f"</{name}>" in text[tag.end() : end if end >= 0 else len(text)].lower()


class _Elements:
    """Where the elements of one name are closed in a text, found in one pass over its tags.

    Args:
        text: It.
        name: Of the elements.
    """

    def __init__(self, text: str, name: str) -> None:
        pattern = rf"<(?:/{name}\b[^<>]*|{name}\b(?:[^<>]*[^<>/])?)>"
        tags = [(tag.start(), tag.end()) for tag in re.finditer(pattern, text, re.IGNORECASE)]
        self._starts = [start for start, _ in tags]
        self._closed_at = [-1] * len(tags)  # where what is open before each tag is closed
        level, ends = 0, dict[int, int]()
        for place in range(len(tags) - 1, -1, -1):
            start, end = tags[place]
            if text.startswith("</", start):
                ends[level] = end
                self._closed_at[place] = end
                level += 1
            else:
                level -= 1
                self._closed_at[place] = ends.get(level - 1, -1)

    def end_of_open(self, at: int) -> int:
        """Where what is open at a place is closed; -1 where it never is."""
        place = bisect_left(self._starts, at)
        return self._closed_at[place] if place < len(self._starts) else -1


def _attributes(written: str) -> dict[str, str | None]:
    found = _ATTRIBUTE.findall(written)
    return {name.lower(): (double or single or bare or None) for name, double, single, bare in found}
