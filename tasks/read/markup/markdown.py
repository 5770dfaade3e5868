"""The text of a Markdown page as its readers see it, whichever of the usual tools publishes it.

What is written for a tool goes: comments, imports, shortcodes, tags, targets of links, attributes. The words that they
show stay, such as a caption or a label. Code is kept as it stands, and so is everything else: headings, lists, tables
and emphasis are Markdown still. It is one pass from token to token, in time that grows with the text alone.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from nightrank.tasks.read.markup.markdown_tags import Tags
from nightrank.tasks.read.markup.templates import Marks, shown_of_template

if TYPE_CHECKING:
    from collections.abc import Callable

# Every token begins with one of few characters, or with one of a few more in its line: others are passed over at once.
_BEGINNING = re.compile(r"[`<!\[\]{%&\\]|\n(?=[ \t>~:?=ie`!\[])")
_TOKENS = r"""(?:(?=[`<!\[\]{%&\\])|^(?=[ \t>~:?=ie`!\[]))(?:
     (?P<fence>^[ \t>]*(?:`{3,}[^`\n]*|~{3,}[^\n]*)$)
    |(?P<indented>^(?:[ ]{4}|\t)[ \t]*\S)
    |(?P<definition>^[ ]{0,3}\[[^\[\]\n^][^\[\]\n]{0,200}\]:[ \t]*\S[^\n]*\n?)
    |(?P<container>^[ \t>]*:{3,}[^\n]*)
    |(?P<admonition>^[ \t]*(?:(?:!!!|\?\?\?\+?)[ \t]+[\w-][\w -]*(?:[ \t]+"[^"\n]*")?|===[!+]?[ \t]+"[^"\n]*")[ \t]*$)
    |(?P<module>^(?:import|export)\b)
    |(?P<contents>^[ \t]*\[(?:TOC|\[toc\]|\[_TOC_\])\][ \t]*$)
    |(?P<attributes>\{(?::[^{}\n]*|[#.][\w:.\#=" -]*)\})
    |(?P<escape>\\[^\w\s])
    |(?P<code>`+)
    |(?P<comment><!--)
    |(?P<hidden>%%)
    |(?P<template>\{[%\#{]|\{/\*)
    |(?P<wiki>!?\[\[[^\[\]\n]+\]\])
    |(?P<opening>!?\[)
    |(?P<closing>\])
    |(?P<tag></?[A-Za-z])
    |(?P<entity>&(?:\#\d{1,7}|\#[xX][0-9a-fA-F]{1,6}|[A-Za-z]\w{1,31});)
"""
_TOKEN = re.compile(_TOKENS + ")", re.VERBOSE | re.MULTILINE)
_TOKEN_OF_MDX = re.compile(_TOKENS + r"|(?P<expression>\{))", re.VERBOSE | re.MULTILINE)
_IN_BRACES = r"[^{}\n]|\n(?![ \t]*\n)"
_EXPRESSION = re.compile(rf"\{{((?:{_IN_BRACES}|\{{(?:{_IN_BRACES}|\{{(?:{_IN_BRACES})*\}})*\}}){{0,2000}})\}}")
_DEFINED = re.compile(r"^ {0,3}\[([^\[\]\n^][^\[\]\n]{0,200})\]:[ \t]*\S", re.MULTILINE)
_TARGET = re.compile(
    r"""\([ \t]*\n?[ \t]*(?:<[^<>\n]*>|[^\s()<>]*(?:\([^\s()]*\)[^\s()]*)*)"""
    r"""(?:\s+(?:"[^"]*"|'[^']*'|\([^()]*\)))?\s*\)(?:\{[^{}\n]*\})?"""
)
_REFERENCE = re.compile(r"\[([^\[\]\n]*)\]")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_UNINDENTED = re.compile(r"^[^\s].*", re.MULTILINE)
_HOLDS_INDENTED = re.compile(r"(?:[-*+]|\d{1,9}[.)])\s|!!!|\?\?\?|===|:{3,}|\[\^|<")
_IMPORT = re.compile(
    r"import\s++(?:(?:type\s++)?(?:[\w$]++\s*+,?\s*+)?"
    r"(?:\*\s++as\s++[\w$]++\s*+|\{[\w\s,$*]{0,2000}\}\s*+)?from\s++)?"
    r"([\"'])[^\"'\n]+\1;?[ \t]*(?:\n|$)"
)
_EXPORT = re.compile(
    r"export\s+(?:(?:const|let|var)\s+[\w$\[{][^=\n]*=|default\s+(?:function|class|async|[({]|[\w$.(){}]+;?[ \t]*$)"
    r"|(?:async\s+)?function\b[^\n]*\(|class\s+\w+[^\n]*\{|[{*])",
    re.MULTILINE,
)
_CONTAINER = re.compile(r"[ \t>]*:{3,}[ \t]*\{?[\w-]*\}?[ \t]*(?:\[([^\[\]\n]*)\])?[ \t]*([^{}\n]*)")
_QUOTED = re.compile(r'"([^"\n]*)"')
_STRING = re.compile(r"""\s*(?:"([^"\n]*)"|'([^'\n]*)'|`([^`$]*)`)\s*""")


MAX_LOOKS = 4
"""So many times the text is gone through in search of where its code ends: code that is never closed may be nested."""


class Published(NamedTuple):
    """What readers of a page see.

    Attributes:
        text: As Markdown.
        is_cut: Whether a comment that is never closed hides the rest of the page.
        pictures: Written out in links as data, and left out.
    """

    text: str
    is_cut: bool
    pictures: int


def published_markdown(text: str, *, is_mdx: bool = False) -> Published:
    """What readers of a page see of its source.

    Args:
        text: Below the front matter.
        is_mdx: Whether expressions in braces are evaluated, as in MDX.

    >>> published_markdown("Press <kbd>R</kbd>, see [the policy](a.md).<!-- secret --> `<!-- shown -->`").text
    'Press R, see the policy. `<!-- shown -->`'
    """
    page = _Page(text, is_mdx=is_mdx)
    return Published(page.published(), page.is_cut, page.pictures)


class _Page:
    """One pass over a page: where it stands, and what it has written."""

    def __init__(self, text: str, *, is_mdx: bool) -> None:
        self.text = text
        self.is_cut = False
        self.pictures = 0
        self._token = _TOKEN_OF_MDX if is_mdx else _TOKEN
        self._out: list[str] = []
        self._brackets: list[int] = []
        self._defined = {name.casefold() for name in _DEFINED.findall(text)} if "]:" in text else set()
        self._unindented = (
            [found.start() for found in _UNINDENTED.finditer(text)] if "\n    " in text or "\t" in text else []
        )
        self._paragraph_end = -1
        self._unmatched: set[int] = set()
        self._is_within_modules = False
        self._looked_at = 0
        self._marks = Marks(text)
        self._tags = Tags(self._marks, is_mdx=is_mdx)

    def published(self) -> str:
        """The whole text."""
        at = 0
        while found := self._next_token(at):
            self._copy(at, found.start())
            name = str(found.lastgroup)
            step: Callable[[re.Match[str]], int] = getattr(self, f"_{name}")
            at = step(found)
        self._copy(at, len(self.text))
        return "".join(self._out)

    def _next_token(self, at: int) -> re.Match[str] | None:
        if (at == 0 or self.text[at - 1] == "\n") and (found := self._token.match(self.text, at)):
            return found
        while beginning := _BEGINNING.search(self.text, at):
            at = beginning.end()
            start = at if beginning[0] == "\n" else at - 1
            if found := self._token.match(self.text, start):
                return found
        return None

    def _copy(self, start: int, end: int) -> None:
        if end > start:
            self._out.append(self.text[start:end])

    def _keep(self, start: int, end: int) -> int:
        self._out.append(self.text[start:end])
        return end

    def _begins_line(self, at: int) -> bool:
        before = self.text[max(0, at - 100) : at]
        return not before.rpartition("\n")[2].strip() and ("\n" in before or at == len(before))

    def _end_of_paragraph(self, at: int) -> int:
        if at >= self._paragraph_end:
            found = _BLANK_LINE.search(self.text, at)
            self._paragraph_end = found.start() if found else len(self.text)
            self._unmatched.clear()
        return self._paragraph_end

    def _fence(self, found: re.Match[str]) -> int:
        mark = found[0].lstrip(" \t>")
        run = len(mark) - len(mark.lstrip(mark[0]))
        closing = re.compile(rf"^[ \t>]*{re.escape(mark[0])}{{{run},}}[ \t]*$", re.MULTILINE).search(
            self.text, found.end()
        )
        return self._keep(found.start(), closing.end() if closing else len(self.text))

    def _indented(self, found: re.Match[str]) -> int:
        """Code by its indentation, unless it goes on with a list item, a note or the paragraph before it."""
        start = found.start()
        above = bisect_left(self._unindented, start) - 1
        is_code = self.text[max(0, start - 2) : start] in ("\n\n", "\n", "")
        if is_code and above >= 0:
            is_code = not _HOLDS_INDENTED.match(self.text, self._unindented[above])
        end = self.text.find("\n", start) + 1 or len(self.text)
        if not is_code:
            self._out.append(found[0][:-1])
            return found.end() - 1
        while self.text.startswith(("    ", "\t"), end):
            end = self.text.find("\n", end) + 1 or len(self.text)
        return self._keep(start, end)

    def _definition(self, found: re.Match[str]) -> int:
        return found.end()

    def _container(self, found: re.Match[str]) -> int:
        parts = _CONTAINER.fullmatch(found[0])
        if parts:
            self._out.append((parts[1] or parts[2] or "").strip())
        return found.end() if parts else self._keep(found.start(), found.end())

    def _admonition(self, found: re.Match[str]) -> int:
        title = _QUOTED.search(found[0])
        self._out.append(title[1] if title else found[0].split()[1])
        return found.end()

    def _module(self, found: re.Match[str]) -> int:
        start = found.start()
        before = self.text[max(0, start - 2) : start]
        if before in ("\n\n", "\n", "") or self._is_within_modules:
            statement = _IMPORT.match(self.text, start)
            end = statement.end() if statement else 0
            if not statement and _EXPORT.match(self.text, start):
                end = self._end_of_code(start)
            if end:
                self._is_within_modules = self.text.startswith(("import", "export"), end)
                return end
        return self._keep(start, found.end())

    def _end_of_code(self, start: int) -> int:
        """Past the blank line at which every brace that code opens is closed; past the first one where none is."""
        depth, at, first_blank = 0, start, 0
        while at < len(self.text):
            if first_blank and self._looked_at > MAX_LOOKS * len(self.text):
                return first_blank
            end = self.text.find("\n", at) + 1 or len(self.text)
            line = self.text[at:end]
            if not line.strip():
                first_blank = first_blank or at
                if depth <= 0:
                    return at
            self._looked_at += len(line)
            depth += sum(line.count(mark) for mark in "{[(") - sum(line.count(mark) for mark in "}])")
            at = end
        return first_blank if first_blank and depth > 0 else at

    def _contents(self, found: re.Match[str]) -> int:
        return found.end()

    def _attributes(self, found: re.Match[str]) -> int:
        """What kramdown, Pandoc and others attach to what stands beside it; kramdown's comments."""
        if found[0].startswith("{::comment") and not found[0].endswith("/}"):
            _, end = self._marks.until(r"\{:/(?:comment)?\}", found.end())
            return max(end, found.end())
        return found.end()

    def _escape(self, found: re.Match[str]) -> int:
        return self._keep(found.start(), found.end())

    def _code(self, found: re.Match[str]) -> int:
        run, end = found.end() - found.start(), self._end_of_paragraph(found.start())
        if run not in self._unmatched:
            closing = re.compile(rf"(?<!`)`{{{run}}}(?!`)").search(self.text, found.end(), end)
            if closing:
                return self._keep(found.start(), closing.end())
            self._unmatched.add(run)
        return self._keep(found.start(), found.end())

    def _comment(self, found: re.Match[str]) -> int:
        end = self._marks.after("-->", found.end() - 2)  # <!--> is one, too
        if end >= 0:
            return end
        if not self._begins_line(found.start()):
            return self._keep(found.start(), found.end())
        self.is_cut = True
        return len(self.text)

    def _hidden(self, found: re.Match[str]) -> int:
        """Obsidian's comments."""
        start, end = found.span()
        begins_line = self._begins_line(start)
        closing = self._marks.after("%%", end)
        if begins_line and not self.text[end : self.text.find("\n", end) + 1 or len(self.text)].strip():
            self.is_cut = self.is_cut or closing < 0
            return closing if closing >= 0 else len(self.text)
        is_within = closing >= 0 and closing <= self._end_of_paragraph(start)
        if is_within and (begins_line or not self.text[start - 1].isalnum()):
            return closing
        return self._keep(start, end)

    def _template(self, found: re.Match[str]) -> int:
        shown, end = shown_of_template(self._marks, found.start())
        if end < 0:
            return self._keep(found.start(), found.end())
        self._out.append(shown)
        return end

    def _wiki(self, found: re.Match[str]) -> int:
        is_embedded = found[0].startswith("!")
        target, _, alias = found[0].strip("![]").partition("|")
        if not is_embedded:
            self._out.append((alias or target.lstrip("#^").replace("#", " > ")).strip())
        return found.end()

    def _opening(self, found: re.Match[str]) -> int:
        self._brackets.append(len(self._out))
        return self._keep(found.start(), found.end())

    def _closing(self, found: re.Match[str]) -> int:
        if not self._brackets:
            return self._keep(found.start(), found.end())
        opening = self._brackets.pop()
        end = found.end()
        target = _TARGET.match(self.text, end)
        reference = None if target else _REFERENCE.match(self.text, end)
        if reference and (
            reference[1].strip().casefold() not in self._defined if reference[1] else not self._is_defined(opening)
        ):
            reference = None
        if target or reference or self._is_defined(opening):
            self._out[opening] = ""
            self.pictures += target is not None and "data:" in target[0][:20]
            return target.end() if target else reference.end() if reference else end
        return self._keep(found.start(), end)

    def _is_defined(self, opening: int) -> bool:
        """Whether what stands in brackets that are open is the name of a link."""
        words = self._out[opening + 1 : opening + 50]
        return bool(self._defined) and "".join(words).strip().casefold() in self._defined

    def _expression(self, found: re.Match[str]) -> int:
        """What is evaluated shows what nobody can know here, but for a text that is written out."""
        expression = _EXPRESSION.match(self.text, found.start())
        if expression is None:
            return self._keep(found.start(), found.end())
        text = _STRING.fullmatch(expression[1])
        self._out += [one for one in text.groups() if one is not None] if text else []
        return expression.end()

    def _tag(self, found: re.Match[str]) -> int:
        shown, end = self._tags.at(found.start())
        if end < 0:
            return self._keep(found.start(), found.end())
        self._out.append(shown)
        return end

    def _entity(self, found: re.Match[str]) -> int:
        self._out.append(html.unescape(found[0]))
        return found.end()
