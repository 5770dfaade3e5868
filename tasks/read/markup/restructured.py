r"""reStructuredText as text whose headings are Markdown's, read line by line.

docutils is not used: of Sphinx's directives and roles, which most such pages are full of, it drops what it does not
know, text and all, and its cost has no bound. Here unknown directives keep what stands in them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nightrank.tasks.read.markup.substitutions import Substitutions

if TYPE_CHECKING:
    from nightrank.storage.records import JsonValue

MAX_DEPTH = 8
ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1*")
TABLE_RULE = re.compile(r"[+=-][+=\- ]*[+=-]")
DIRECTIVE = re.compile(r"\.\.\s+([A-Za-z][\w:.+-]*)::(?:\s+(.*))?$")
SUBSTITUTION = re.compile(r"\.\.\s+\|([^|]+)\|\s+replace::\s*(.*)$")
FOOTNOTE = re.compile(r"\.\.\s+\[[^\]]+\]\s+(.*)$")
OPTION = re.compile(r":[\w-]+:(\s|$)")
FIELD = re.compile(r":([A-Za-z][\w -]*):(?:\s+(.*))?$")
CODE = frozenset({"code", "code-block", "sourcecode", "parsed-literal", "productionlist", "prompt", "math", "doctest"})
UNSEEN = frozenset(
    {
        *("toctree", "include", "literalinclude", "image", "figure", "raw", "contents", "sectnum", "header", "footer"),
        *(
            "meta",
            "index",
            "highlight",
            "default-role",
            "role",
            "tabularcolumns",
            "graphviz",
            "uml",
            "todo",
            "todolist",
        ),
        *("module", "currentmodule", "sectionauthor", "codeauthor", "moduleauthor", "testsetup", "testcleanup"),
        *("automodule", "autoclass", "autofunction", "autosummary"),
    }
)
"""Directives that show nothing, something from elsewhere, or what is written for machines."""

_ROLE_NAME = r":[\w:.+-]{1,100}:"
ROLE_WITH_TARGET = re.compile(rf"{_ROLE_NAME}`([^`<]*[^`<\s])\s*<[^`>]*>`")
ROLE_SHORT = re.compile(rf"{_ROLE_NAME}`~(?:[^`]*\.)?([^`.]+)`")
ROLE = re.compile(rf"{_ROLE_NAME}`!?([^`]*)`")
LITERAL = re.compile(r"``(.+?)``")
LINK = re.compile(r"`([^`<]*[^`<\s])\s*<[^`>]*>`__?")
REFERENCE = re.compile(r"`([^`]+)`(?:__?)?")
FOOTNOTE_MARK = re.compile(r"\s?\[[#*\w.-]*\]_(?!\w)")
ESCAPE = re.compile(r"\\(\s|\S)")


def parse_restructured(source: str) -> tuple[dict[str, JsonValue], str, str]:
    r"""The metadata, the title and the text of a page.

    The field list at the head of the page is its metadata, the first section title its title. Section titles become
    Markdown's headings, levels in the order in which their adornments come; code is fenced. Comments, targets and
    directives that show nothing of their own are dropped, roles and links are their text.

    >>> parse_restructured(":lang: en\n\nStart\n=====\n\n.. a comment\n\nCall :py:func:`~os.path.join`, see `it <x>`_.")
    ({'lang': 'en'}, 'Start', '# Start\n\nCall join, see it.')
    """
    page = _Page(Substitutions(len(source)))
    lines = source.expandtabs(8).split("\n")
    metadata, start = _fields(lines)
    page.convert(lines[start:], depth=0)
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(page.written)).strip()
    return metadata, page.title, text


def _fields(lines: list[str]) -> tuple[dict[str, JsonValue], int]:
    """The field list that a page begins with, and the first line behind it."""
    metadata: dict[str, JsonValue] = {}
    position = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    while position < len(lines) and (found := FIELD.fullmatch(lines[position].rstrip())):
        metadata[found[1].lower()] = found[2] or True
        position += 1
    return metadata, position


@dataclass(slots=True)
class _Page:
    replacements: Substitutions
    written: list[str] = field(default_factory=list)
    title: str = ""
    adornments: list[tuple[str, bool]] = field(default_factory=list)

    def convert(self, lines: list[str], *, depth: int) -> None:
        """Write what a reader of these lines sees."""
        position = 0
        while position < len(lines):
            line = lines[position].rstrip()
            follows = lines[position + 1].rstrip() if position + 1 < len(lines) else ""
            begins = position == 0 or not lines[position - 1].strip()
            if depth == 0 and (taken := self._heading(lines, position, begins=begins)):
                position += taken
            elif ADORNMENT.fullmatch(line) and begins and not follows and len(line) > 3:
                position += 1  # a transition
            elif line.startswith("..") and (len(line) == 2 or line[2] == " "):
                block = _block(lines, position + 1)
                self._explicit(line, block, depth=depth)
                position += 1 + len(block)
            elif TABLE_RULE.fullmatch(line.strip()) and len(line.strip()) > 3:
                position += 1
            elif line.endswith("::"):
                self._paragraph(line.removesuffix("::").rstrip() + (":" if line != "::" else ""))
                block = _block(lines, position + 1)
                self._code(block)
                position += 1 + len(block)
            else:
                self._paragraph(line)
                position += 1

    def _heading(self, lines: list[str], position: int, *, begins: bool) -> int:
        """Write the section title that begins here; how many lines it takes, 0 where there is none."""
        first, second, third = ([line.rstrip() for line in lines[position : position + 3]] + ["", "", ""])[:3]
        if not begins:
            return 0
        over = ADORNMENT.fullmatch(first)
        if over and second.strip() and third == first and len(first) >= len(second.strip()):
            return self._write_heading(second.strip(), (over[1], True), lines=3)
        under = ADORNMENT.fullmatch(second)
        is_long = len(second) >= min(len(first), 4)
        if under and first.strip() and not first.startswith((" ", "..")) and not over and is_long:
            return self._write_heading(first.strip(), (under[1], False), lines=2)
        return 0

    def _write_heading(self, title: str, adornment: tuple[str, bool], *, lines: int) -> int:
        if adornment not in self.adornments:
            self.adornments.append(adornment)
        level = min(self.adornments.index(adornment) + 1, 6)
        title = self._inline(title)
        self.title = self.title or title
        self.written += [f"{'#' * level} {title}"]
        return lines

    def _explicit(self, line: str, block: list[str], *, depth: int) -> None:
        """Write what is seen of a directive or a footnote; of comments, targets and substitutions that is nothing."""
        if substitution := SUBSTITUTION.fullmatch(line):
            self.replacements.values[substitution[1]] = substitution[2]
        elif footnote := FOOTNOTE.fullmatch(line):
            self._paragraph(footnote[1])
            self._nested(block, depth=depth)
        elif directive := DIRECTIVE.fullmatch(line):
            name = directive[1].lower()
            options = next((at for at, line in enumerate(block) if not OPTION.match(line.strip())), len(block))
            content = block[options:]
            if name in CODE:
                self._code(content)
            elif name not in UNSEEN:
                self._paragraph(directive[2] or "")
                self._nested(content, depth=depth)

    def _nested(self, block: list[str], *, depth: int) -> None:
        lines = _dedented(block)
        if depth < MAX_DEPTH:
            self.convert(lines, depth=depth + 1)
        else:
            self.written += lines

    def _code(self, block: list[str]) -> None:
        lines = _dedented(block)
        if any(line.strip() for line in lines):
            self.written += ["", "```", *"\n".join(lines).strip("\n").split("\n"), "```", ""]

    def _paragraph(self, line: str) -> None:
        self.written.append(self._inline(line))

    def _inline(self, line: str) -> str:
        if "`" in line:
            for pattern in (ROLE_WITH_TARGET, ROLE_SHORT, ROLE, LITERAL, LINK, REFERENCE):
                line = pattern.sub(r"\1", line)
        if "|" in line and self.replacements.values:
            line = re.sub(r"\|([^|]+)\|", self.replacements.shown, line)
        line = FOOTNOTE_MARK.sub("", line)
        if "\\" in line:
            line = ESCAPE.sub(lambda found: "" if found[1].isspace() else found[1], line)
        return line


def _block(lines: list[str], start: int) -> list[str]:
    """The indented lines from here on, blank ones among them and before them included, those behind them not."""
    end = start
    while end < len(lines) and (not lines[end].strip() or lines[end].startswith(" ")):
        end += 1
    while end > start and not lines[end - 1].strip():
        end -= 1
    return lines[start:end]


def _dedented(block: list[str]) -> list[str]:
    indent = min((len(line) - len(line.lstrip()) for line in block if line.strip()), default=None)
    return [] if indent is None else [line[indent:] for line in block]
