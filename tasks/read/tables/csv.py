"""CSV by RFC 4180 in bounded memory, with any separator: quoted fields may hold separators, quotes and line breaks.

The standard library's reader is not used: its field limit is global to the process, and after a field that is too
long it goes on in the middle of a quotation. Here a record that is broken or too large is a bad row, and the next
one is found. A quotation that is never closed is a fault of the file: nothing after it can be told apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.records import BadRow
from nightrank.tasks.read.lines import PIECE_BYTES, decoded, too_large

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.tasks.read.input_file import InputFile


@dataclass(frozen=True, slots=True)
class Record:
    """One record.

    Attributes:
        number: The line, from 1, where it starts.
        fields: Its fields, unquoted.
    """

    number: int
    fields: list[str]


def read_records(file: InputFile, *, max_bytes: int, separator: str = ",", skip: int = 0) -> Iterator[Record | BadRow]:
    """The records of a file, its header among them; blank lines are none.

    Args:
        file: It.
        max_bytes: A larger record is a bad row, and is never held in memory as a whole.
        separator: Between fields, a single character of ASCII.
        skip: Lines at the beginning that are not read.

    Yields:
        Each record, or a ``BadRow`` in its place. A quote inside an unquoted field stands for itself.

    Raises:
        InputError: The file cannot be read, or ends inside a quotation.
    """
    with file.opened() as opened:
        line = 1
        while line <= skip and (piece := opened.readline(PIECE_BYTES)):
            line += piece.endswith(b"\n")
        record = _OpenRecord(line, max_bytes, separator.encode())
        while piece := opened.readline(PIECE_BYTES):
            record.scan(piece)
            if piece.endswith(b"\n"):
                if record.state is not _State.QUOTED:
                    yield from record.closed(file.name, line)
                    record = _OpenRecord(line + 1, max_bytes, separator.encode())
                line += 1
        if record.state is _State.QUOTED:
            raise InputError(
                f"{file.name}, row {record.number}: a quoted field is opened and never closed.",
                remedy='Close it, or double the quotes that are part of a quoted field (""). Nothing after it is read.',
            )
        yield from record.closed(file.name, line)


@cache
def _plain_end(separator: bytes) -> re.Pattern[bytes]:
    return re.compile(b"[" + re.escape(separator) + b"\n]")


class _State(Enum):
    START = auto()  # of a field
    PLAIN = auto()
    QUOTED = auto()
    CLOSING = auto()  # after a quote that closes the field, or is the first of a doubled one


@dataclass(slots=True)
class _OpenRecord:
    number: int
    max_bytes: int
    separator: bytes
    state: _State = _State.START
    fields: list[bytes] = field(default_factory=list)
    current: bytearray = field(default_factory=bytearray)
    size_bytes: int = 0
    fault: str = ""

    def scan(self, piece: bytes) -> None:
        """Take a piece of a line, with or without its end."""
        position = 0
        while position < len(piece):
            if self.state is _State.QUOTED:
                position = self._quoted(piece, position)
            elif self.state is not _State.PLAIN and piece.startswith(b'"', position):
                if self.state is _State.CLOSING:
                    self._keep(b'"')
                self.state = _State.QUOTED
                position += 1
            else:
                position = self._plain(piece, position)

    def closed(self, name: str, line: int) -> Iterator[Record | BadRow]:
        """The record, ended in this line; nothing where the line is blank."""
        if self.state is not _State.CLOSING and self.current.endswith(b"\r"):
            del self.current[-1:]
        if self._is_blank():
            return
        self.fields.append(bytes(self.current))
        reason = too_large(self.size_bytes, self.max_bytes) if self._is_too_large() else self.fault
        texts: list[str] = []
        for number, data in enumerate(self.fields, start=1):
            try:
                texts.append(decoded(data))
            except ValueError as error:
                reason = reason or f"field {number}: {error}"
        if not reason:
            yield Record(self.number, texts)
        else:
            lines = f" (lines {self.number} to {line})" if line > self.number else ""
            yield BadRow(name, self.number, reason + lines)

    def _quoted(self, piece: bytes, position: int) -> int:
        end = piece.find(b'"', position)
        if end < 0:
            self._keep(piece[position:])
            return len(piece)
        self._keep(piece[position:end])
        self.state = _State.CLOSING
        return end + 1

    def _plain(self, piece: bytes, position: int) -> int:
        found = _plain_end(self.separator).search(piece, position)
        end = found.start() if found else len(piece)
        text = piece[position:end]
        if self.state is _State.CLOSING:
            if text.strip(b"\r"):
                self.fault = "text follows a closing quote"
                if self.current.endswith(b"\\"):
                    self.fault += (
                        " (a quote inside a field is doubled in CSV, and not marked by \\; Spark: escape='\"')"
                    )
                self.state = _State.PLAIN
        elif text:
            self._keep(text)
            self.state = _State.PLAIN
        if found and found[0] == self.separator:
            self._keep(b"")
            self.size_bytes += 1
            self.fields.append(bytes(self.current))
            self.current.clear()
            self.state = _State.START
        return end + 1

    def _keep(self, data: bytes) -> None:
        self.size_bytes += len(data)
        if self._is_too_large():
            self.fields.clear()
            self.current.clear()
        else:
            self.current += data

    def _is_too_large(self) -> bool:
        return self.size_bytes > self.max_bytes

    def _is_blank(self) -> bool:
        ended_plain = self.state is not _State.CLOSING and not self.fault
        return ended_plain and not self.fields and not self._is_too_large() and not self.current.strip()
