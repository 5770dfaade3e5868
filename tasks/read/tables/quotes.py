r"""Whether the fields of a TSV file are quoted, as pandas and Excel write them, or a quote is a character like others.

TSV has no standard. Query logs and IR collections hold quotes as people typed them (`24" monitor`, `"exact phrase"`);
a writer that quotes does so for every field that holds a quote, and doubles it. So a file is quoted where all of it
could only have been written so: no field that is not quoted holds a quote, every quoted one is well formed and had to
be quoted, or the header is quoted too (as R writes texts). One field that says otherwise decides for the whole file.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from nightrank.tasks.read.lines import PIECE_BYTES

if TYPE_CHECKING:
    import io

QUOTED = re.compile(rb'"((?:[^"]|"")*+)"(?=[\t\r\n]|\Z)')
OPENED = re.compile(rb'"(?:[^"]|"")*+\Z')
INSIDE = re.compile(rb'(?:[^"]|"")*+\Z')
CLOSED = re.compile(rb'(?:[^"]|"")*+"(?=[\t\r\n]|\Z)')
MOST_LINES_OF_A_FIELD = 10_000


class Quotes(Enum):
    """What quotes are in a file."""

    CHARACTERS = "characters"
    QUOTING = "quoting"
    DOUBTFUL = "doubtful"  # taken for characters, though some fields look as if they were quoted


def quotes_of(file: io.BufferedIOBase) -> Quotes:
    r"""What quotes are in a file of fields that are separated by tabs.

    >>> import io
    >>> quotes_of(io.BytesIO(b'query\tcount\n"24"" monitor"\t9\nplain\t1\n'))
    <Quotes.QUOTING: 'quoting'>
    >>> quotes_of(io.BytesIO(b'query\tcount\n24" monitor\t9\n"exact phrase"\t1\n'))
    <Quotes.CHARACTERS: 'characters'>
    """
    scan = _Scan()
    while line := file.readline(PIECE_BYTES):
        if not scan.takes(line):
            return Quotes.DOUBTFUL if scan.had_to_be else Quotes.CHARACTERS
    if scan.lines_open:
        return Quotes.CHARACTERS
    if scan.had_to_be or scan.is_header_quoted:
        return Quotes.QUOTING
    return Quotes.DOUBTFUL if scan.is_quoted else Quotes.CHARACTERS


class _Scan:
    """What was seen of the file.

    Attributes:
        is_quoted: A quoted field was.
        had_to_be: A quoted field was that holds a quote, a tab or a line break.
        is_header_quoted: Every field of the first line is quoted.
        lines_open: Lines of a field that is still open; 0 where none is.
    """

    def __init__(self) -> None:
        self.is_quoted = self.had_to_be = self.is_header_quoted = False
        self.lines_open = 0
        self._tabs: int | None = None  # of the first line

    def takes(self, line: bytes) -> bool:
        """Whether a line could stand in a file with quoted fields."""
        if self._tabs is None:
            self._tabs = line.count(b"\t")
            fields = line.rstrip(b"\r\n").split(b"\t")
            self.is_header_quoted = all(QUOTED.fullmatch(field) for field in fields)
        position = 0
        if self.lines_open:
            self.lines_open += 1
            inside = INSIDE.match(line) or CLOSED.match(line)
            # Rows of their own, between two inches, hold tabs.
            if inside is None or b"\t" in inside[0] or self.lines_open > MOST_LINES_OF_A_FIELD:
                return False
            if inside.end() == len(line) and not inside[0].endswith(b'"'):
                return True
            self.lines_open, position = 0, inside.end() + 1
            self.is_quoted = self.had_to_be = True
        elif b'"' not in line:
            return True
        return self._takes_fields(line, position)

    def _takes_fields(self, line: bytes, position: int) -> bool:
        while position < len(line):
            if line.startswith(b'"', position):
                quoted = QUOTED.match(line, position)
                if quoted is None:
                    self.lines_open = 1
                    return bool(OPENED.match(line, position)) and bool(self._tabs) and b"\t" not in line[position:]
                inner = quoted[1]
                had_to_be = b'""' in inner or b"\t" in inner
                if not (had_to_be or self.is_header_quoted or b"," in inner):  # Excel quotes commas, too
                    return False
                self.is_quoted = True
                self.had_to_be |= had_to_be
                position = quoted.end() + 1
            else:
                end = line.find(b"\t", position)
                end = len(line) if end < 0 else end
                if b'"' in line[position:end]:
                    return False
                position = end + 1
        return True
