"""Long runs of base64 and hexadecimal digits: pictures and keys written out, which say nothing to a reader."""

from __future__ import annotations

import re
from string import digits
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOBS_LEFT_OUT = "data written out in a text left out"
MIN_CHARACTERS = 200
"""Of a run: longer than a SHA-512 in hexadecimal digits or a token of an API."""
MIN_CHARACTERS_OF_CODE = 2000

MIN_CHARACTERS_OF_LINES = 60

_DATA = re.compile(r"data:[\w.+-]{1,60}/[\w.+-]{1,60}(?:;[\w=.+-]{1,60}){0,5},[A-Za-z0-9+/=%_-]*")
# From one break between runs to the last one that is near enough: many times faster than to look for a long run.
_UP_TO_A_LONG_RUN = re.compile(rf"(?:.{{0,{MIN_CHARACTERS_OF_LINES - 1}}}[^A-Za-z0-9+/_=-])*+", re.DOTALL)
_DIGITS = re.compile("[A-Za-z0-9+/_=-]*")
_LINES = re.compile(r"(?:^[ \t]*[A-Za-z0-9+/_-]{60,128}=*\n)+(?:^[ \t]*[A-Za-z0-9+/_-]{1,128}=*$)?", re.MULTILINE)
_FENCED = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n]*$", re.MULTILINE)


def without_blobs(text: str) -> tuple[str, int]:
    """A text without data written out in it, and how many such runs there were.

    In a fenced block of code, only what is as long as a page of text goes.

    >>> without_blobs("see data:image/png;base64,iVBORw0KGgo= here")
    ('see  here', 1)
    """
    blobs = [*_data(text), *_runs(text)]
    if not blobs:
        return text, 0
    codes = _code_blocks(text)
    kept: list[str] = []
    at = count = 0
    for start, end in sorted(blobs):
        is_code = any(begin <= start < stop for begin, stop in codes)
        if end <= at or (is_code and end - start < MIN_CHARACTERS_OF_CODE):
            continue
        kept.append(text[at : max(start, at)])
        at, count = end, count + 1
    return "".join((*kept, text[at:])), count


def _data(text: str) -> list[tuple[int, int]]:
    return [found.span() for found in _DATA.finditer(text)] if "data:" in text else []


def _runs(text: str) -> Iterator[tuple[int, int]]:
    """Where data stands in a run of its own, or in lines."""
    at = lines_end = 0
    while (start := _end(_UP_TO_A_LONG_RUN, text, at)) <= len(text) - MIN_CHARACTERS_OF_LINES:
        before, at = at, _end(_DIGITS, text, start)
        if _is_blob(text[start:at]):
            yield start, at
        line = text.rfind("\n", before, start) + 1
        if start >= lines_end and (line or not before) and (found := _LINES.match(text, line)):
            lines_end = found.end()
            if _is_blob(found[0]):
                yield found.span()


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return start if found is None else found.end()


def _is_blob(run: str) -> bool:
    """Whether a run is data: of both cases and with digits, or of hexadecimal digits alone, and no path of folders."""
    if len(run) < MIN_CHARACTERS or not (figures := sum(map(run.count, digits))):
        return False
    if not run.strip("0123456789abcdef\n \t") or not run.strip("0123456789ABCDEF\n \t"):
        return figures < len(run)  # a number may be long
    mixed = run.lower() != run != run.upper()
    return mixed and 40 * figures >= len(run) and 20 * run.count("/") <= len(run) and 10 * run.count("-") <= len(run)


def _code_blocks(text: str) -> list[tuple[int, int]]:
    blocks: list[tuple[int, int]] = []
    fence, begin = "", 0
    for found in _FENCED.finditer(text):
        if not fence:
            fence, begin = found[1], found.start()
        elif found[1].startswith(fence):
            blocks.append((begin, found.end()))
            fence = ""
    return [*blocks, (begin, len(text))] if fence else blocks
