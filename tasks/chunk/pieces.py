"""A text cut into sentences, headings, list items, table rows and groups of code lines, for any language.

The pieces are slices: together they are the text again, whitespace included. Each says how good a place its start is to
cut a document at, and which Markdown headings it stands under. How many make a chunk is no matter of this module.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum, IntEnum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Cut(IntEnum):
    """How good a place to cut at the start of a piece is; the lower, the better."""

    HEADING = 0
    BLOCK = 1
    SENTENCE = 2
    AFTER_HEADING = 3  # would leave a heading without what it heads
    WORD = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """A slice of a text, trailing whitespace included.

    Attributes:
        start: Its first character.
        end: One past its last character.
        cut: How good a place to cut at its start is.
        headings: The Markdown headings that it stands under, outermost first, its own excluded.
    """

    start: int
    end: int
    cut: Cut
    headings: tuple[str, ...]


_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*)")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-{2,})[ \t]*\n?")
_LONGEST_UNDERLINED = 300  # characters; a rule right under a long paragraph makes no heading of it
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d{1,9}[.)])[ \t]|[ \t]*\|")  # list items and table rows

# An end of sentence, closing quotes and brackets, and a space; scripts without spaces, and Ethiopic, need none.
# A run of points is tried from its first one alone: a page of nothing else is gone through once.
_END = re.compile(r"(?<![.!?…؟۔।॥։])[.!?…؟۔।॥։]++[\"'”’)\]»*_`]*+\s++|[。｡！？።፧።។៕။༎]++[”’\"'」』）)»]*+\s*+")
_WORD_SEPARATOR = re.compile(r"[\s(\[\"'“‘«*_]")
_LONGEST_ABBREVIATION = 8
# Before a full stop, these end no sentence as a rule; compared in lower case. Nor do single letters, as in initials.
_ABBREVIATIONS = frozenset(
    [
        *(
            "approx",
            "cf",
            "ch",
            "co",
            "corp",
            "dept",
            "dr",
            "e.g",
            "ed",
            "eds",
            "eq",
            "fig",
            "figs",
            "i.e",
            "inc",
            "jr",
        ),
        *("lt", "ltd", "mr", "mrs", "ms", "nos", "pp", "prof", "rev", "sgt", "sr", "st", "u.k", "u.s", "vol", "vs"),
        *("bd", "bzw", "ca", "d.h", "hrsg", "nr", "s.a", "u.a", "vgl", "z.b"),
        *("mlle", "mme", "p.ex"),
    ]
)


def split_pieces(text: str) -> list[Piece]:
    r"""The pieces of a text, in order; none for an empty text, one for a text of whitespace.

    >>> text = "# Dogs\nDr. No barks. At 4.5 dB!  Why?\n\n- one\n- two"
    >>> [text[piece.start : piece.end] for piece in split_pieces(text)]
    ['# Dogs\n', 'Dr. No barks. ', 'At 4.5 dB!  ', 'Why?\n\n', '- one\n', '- two']
    """
    if not text:
        return []
    pieces = []
    for block, kind in _blocks(text):
        prose = text[block.start : block.end] if kind in {_Kind.ITEM, _Kind.PARAGRAPH} else ""
        starts = [block.start + start for start in _sentence_starts(prose)]
        for start, end in zip(starts, [*starts[1:], block.end], strict=True):
            pieces.append(Piece(start, end, block.cut if start == block.start else Cut.SENTENCE, block.headings))
    return pieces


class _Kind(Enum):
    HEADING = auto()
    CODE = auto()
    ITEM = auto()
    PARAGRAPH = auto()


@dataclass(frozen=True, slots=True)
class _BlockStart:
    offset: int
    kind: _Kind
    separated: bool  # by a blank line or a fence, and not within one
    level: int = 0  # of a heading
    words: str = ""  # of a heading


def _block_starts(text: str) -> list[_BlockStart]:
    """Where lines that belong together begin: a heading, a paragraph, a list item, a table row, code lines."""
    starts: list[_BlockStart] = []
    fence = ""
    separated = True
    is_paragraph = False  # whether the line before goes on from the last start, a paragraph's
    for line in _LINE.finditer(text):
        if not line.group().strip():
            separated, is_paragraph = True, False
            continue
        opening = _FENCE.match(line.group())
        if fence:
            if separated:
                starts.append(_BlockStart(line.start(), _Kind.CODE, separated=False))
            closes = opening is not None and opening.group(1).startswith(fence)
            fence = "" if closes else fence
            separated = closes
            continue
        heading = None if opening else _HEADING.match(line.group())
        is_short = is_paragraph and line.start() - starts[-1].offset <= _LONGEST_UNDERLINED
        if is_short and not opening and _UNDERLINE.fullmatch(line.group()):
            above = text[starts[-1].offset : line.start()]
            level = 1 if "=" in line.group() else 2
            starts[-1] = replace(starts[-1], kind=_Kind.HEADING, level=level, words=" ".join(above.split()))
            separated, is_paragraph = True, False
            continue
        if opening:
            fence, kind = opening.group(1), _Kind.CODE
        elif heading:
            kind = _Kind.HEADING
        else:
            kind = _Kind.ITEM if _ITEM.match(line.group()) else _Kind.PARAGRAPH
        if separated or kind is not _Kind.PARAGRAPH:
            level, words = (len(heading.group(1)), _heading_words(heading.group(2))) if heading else (0, "")
            stands_apart = separated or kind is _Kind.CODE
            starts.append(_BlockStart(line.start(), kind, separated=stands_apart, level=level, words=words))
            is_paragraph = kind is _Kind.PARAGRAPH
        separated = kind is _Kind.HEADING
    return starts


def _blocks(text: str) -> Iterator[tuple[Piece, _Kind]]:
    starts = _block_starts(text) or [_BlockStart(0, _Kind.PARAGRAPH, separated=True)]
    ends = [block.offset for block in starts[1:]] + [len(text)]
    path: list[tuple[int, str]] = []
    before = _Kind.PARAGRAPH
    for block, end in zip(starts, ends, strict=True):
        start = (
            block.offset if block is not starts[0] else 0
        )  # blank lines at the head of the text belong to its first block
        if block.level:
            path = [(level, words) for level, words in path if level < block.level]
        headings = tuple(words for _, words in path if words)
        if before is _Kind.HEADING:
            cut = Cut.AFTER_HEADING
        elif block.level:
            cut = Cut.HEADING
        else:
            cut = Cut.BLOCK if block.separated else Cut.SENTENCE
        yield Piece(start, end, cut, headings), block.kind
        if block.level:
            path.append((block.level, block.words))
        before = block.kind


def _heading_words(line: str) -> str:
    words = line.strip()
    bare = words.rstrip("#")
    return (
        words if bare and bare == bare.rstrip() else bare.rstrip()
    )  # a closing run of # stands apart: "C#" keeps its own


def _sentence_starts(prose: str) -> list[int]:
    starts = [0]
    for end in _END.finditer(prose):
        following = prose[end.end() : end.end() + 1]
        if not following or following.islower() or following in ",;:)]}|":
            continue
        before = prose[max(starts[-1], end.start() - _LONGEST_ABBREVIATION) : end.start()]
        last = _WORD_SEPARATOR.split(before)[-1].casefold()
        if end.group().startswith(".") and (last in _ABBREVIATIONS or (len(last) == 1 and last.isalpha())):
            continue
        starts.append(end.end())
    return starts
