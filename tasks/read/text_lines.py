"""The lines of a text file, decoded and of bounded length."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.records import BadRow
from nightrank.tasks.read.lines import PIECE_BYTES, decoded, too_large

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

    from nightrank.tasks.read.input_file import InputFile


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file, without its end.

    Attributes:
        number: From 1.
        text: Decoded; a byte order mark before the first line is dropped.
    """

    number: int
    text: str


def read_lines(file: InputFile, *, max_bytes: int) -> Iterator[Line | BadRow]:
    """The lines of a text file, empty ones included, ended by LF, CR LF, or, where it has no LF, by CR.

    Args:
        file: It.
        max_bytes: A longer line is a bad row, and is never held in memory as a whole.

    Yields:
        Each line; in its place a ``BadRow`` where it is too long or not UTF-8.

    Raises:
        InputError: The file as a whole cannot be read.
    """
    with file.opened() as opened:
        for number in itertools.count(1):
            data = opened.readline(max_bytes + 2)
            if not data:
                return
            content = data.rstrip(b"\r\n")
            is_cut = not data.endswith(b"\n") and len(data) > max_bytes
            if len(content) > max_bytes or is_cut:
                size_bytes = len(data) + (_skip_line(opened) if is_cut else 0)
                yield BadRow(file.name, number, too_large(size_bytes, max_bytes))
                continue
            try:
                yield Line(number, decoded(content))
            except ValueError as error:
                yield BadRow(file.name, number, str(error))


def _skip_line(file: io.BufferedIOBase) -> int:
    size_bytes = 0
    while piece := file.readline(PIECE_BYTES):
        size_bytes += len(piece)
        if piece.endswith(b"\n"):
            break
    return size_bytes
