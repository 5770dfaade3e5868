"""Long runs of base64 and hexadecimal digits: pictures and keys written out, which say nothing to a reader."""

from __future__ import annotations

import re

BLOBS_LEFT_OUT = "data written out in a text left out"
MIN_CHARACTERS = 200
"""Of a run: longer than a SHA-512 in hexadecimal digits or a token of an API."""
MIN_CHARACTERS_OF_CODE = 2000

MIN_CHARACTERS_OF_LINES = 60

_DATA = re.compile(r"data:[\w.+-]{1,60}/[\w.+-]{1,60}(?:;[\w=.+-]{1,60}){0,5},[A-Za-z0-9+/=%_-]*")
_RUN = re.compile(rf"[A-Za-z0-9+/_=-]{{{MIN_CHARACTERS},}}")
_LINES = re.compile(r"(?:^[ \t]*[A-Za-z0-9+/_-]{60,128}=*\n)+(?:^[ \t]*[A-Za-z0-9+/_-]{1,128}=*$)?", re.MULTILINE)
_FENCED = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n]*$", re.MULTILINE)


def without_blobs(text: str) -> tuple[str, int]:
    """A text without data written out in it, and how many such runs there were.

    In a fenced block of code, only what is as long as a page of text goes.

    >>> without_blobs("see data:image/png;base64,iVBORw0KGgo= here")
    ('see  here', 1)
    """
    longest = max(map(len, text.split()), default=0) if len(text) >= MIN_CHARACTERS else 0
    if longest < MIN_CHARACTERS_OF_LINES and "data:" not in text:  # as nearly all texts
        return text, 0
    blobs = [
        (found.start(), found.end())
        for pattern in (_DATA, _RUN, _LINES)
        for found in pattern.finditer(text)
        if _is_blob(found[0], is_data=pattern is _DATA)
    ]
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


def _is_blob(run: str, *, is_data: bool) -> bool:
    """Whether a run is data: of both cases and with digits, or of hexadecimal digits alone, and no path of folders."""
    if is_data:
        return True
    digits = sum(run.count(digit) for digit in "0123456789")
    if len(run) < MIN_CHARACTERS or not digits:
        return False
    if not run.strip("0123456789abcdef\n \t") or not run.strip("0123456789ABCDEF\n \t"):
        return digits < len(run)  # a number may be long
    mixed = run.lower() != run != run.upper()
    return mixed and 40 * digits >= len(run) and 20 * run.count("/") <= len(run) and 10 * run.count("-") <= len(run)


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
