"""The bytes of a text file as UTF-8 with line feeds, whatever it is written in: marks, UTF-16, Excel's and old Mac's.

What a mark or the bytes themselves say is certain is decoded, and what the settings say is believed; nothing is
guessed. Bytes that are no character stay no character, so that the row that holds them is set aside and named.
"""

from __future__ import annotations

import codecs
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.errors import InputError
from nightrank.tasks.read.lines import PIECE_BYTES, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UTF_8 = "utf-8"
MARKS = (  # UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
LEAST_NULS = 0.2
"""Share of every second byte that is NUL in UTF-16 without a mark: more than half of it in alphabets, none in UTF-8."""

FEWEST_NULS = 4
"""A single one in a short file is a slip, and says nothing of its encoding."""

MOST_NULS = 0.1
"""Share of the other bytes that may be NUL: the last of U+3000, and of few other characters, is."""


class Form(NamedTuple):
    """How a text file is written.

    Attributes:
        encoding: Python's name of it.
        mark_bytes: Length of the mark that it begins with.
        has_bare_returns: Whether lines end with CR alone.
    """

    encoding: str
    mark_bytes: int = 0
    has_bare_returns: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether its bytes can be taken as they are."""
        return self.encoding == UTF_8 and not self.has_bare_returns

    @property
    def told(self) -> str:
        """As an account tells it."""
        name = self.encoding.upper().removesuffix("-LE").removesuffix("-BE")
        return (
            name
            + (" with a byte order mark" if self.mark_bytes else "")
            + (", CR as line end" if self.has_bare_returns else "")
        )


def form_of(head: bytes, *, encoding: str = UTF_8) -> Form:
    r"""How a file that begins so is written.

    Args:
        head: Its first bytes, or all of it.
        encoding: What the settings say; a mark is believed before them, and so are the NULs of UTF-16.

    >>> form_of("id,text\r\r".encode("utf-16"))
    Form(encoding='utf-16-le', mark_bytes=2, has_bare_returns=True)
    """
    mark, marked = next(((mark, name) for mark, name in MARKS if head.startswith(mark)), (b"", ""))
    found = codecs.lookup(marked or _without_mark(head) or encoding).name
    text = head[len(mark) :]
    if not found.startswith(("utf-16", "utf-32")):
        line_feeds, returns = text.count(b"\n"), text.count(b"\r")
    else:
        decoded = text.decode(found, "replace")
        line_feeds, returns = decoded.count("\n"), decoded.count("\r")
    return Form(found, len(mark), returns > 0 and not line_feeds)


def head_of(path: Path, *, name: str) -> bytes:
    """The first 64 KB of a file, unpacked.

    Raises:
        InputError: It cannot be read.
    """
    with opened(path, name=name) as file:
        return file.read(PIECE_BYTES)


@contextmanager
def opened_as(path: Path, form: Form, *, name: str) -> Iterator[io.BufferedIOBase]:
    """The bytes of a text file as UTF-8, without a mark, with line feeds (or CR LF) as line ends.

    Args:
        path: The file; unpacked where its name says that it is packed.
        form: How it is written.
        name: What the user calls it.

    Raises:
        InputError: The file cannot be read, or ends in the middle of a character of two or more bytes.
    """
    with opened(path, name=name) as file:
        file.read(form.mark_bytes)
        if form.is_plain:
            yield file
            return
        with io.BufferedReader(_Recoded(file, form, name), PIECE_BYTES) as recoded:
            yield recoded


class _Recoded(io.RawIOBase):
    """Reads what another encoding holds as UTF-8; what is no character becomes bytes that are no UTF-8."""

    def __init__(self, file: io.BufferedIOBase, form: Form, name: str) -> None:
        super().__init__()
        self._file, self._form, self._name = file, form, name
        errors = "surrogatepass" if form.encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
        self._decoder = codecs.getincrementaldecoder(form.encoding)(errors)
        self._pending = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as BufferedReader calls it
        while not self._pending and not self._ended:
            piece = self._file.read(PIECE_BYTES)
            self._ended = not piece
            try:
                text = self._decoder.decode(piece, final=self._ended)
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{self._name} is not written in {self._form.encoding.upper()}, or was cut off ({error.reason}).",
                    remedy="Write or copy the file again, as UTF-8.",
                ) from None
            if self._form.has_bare_returns:
                text = text.replace("\r", "\n")
            self._pending = text.encode("utf-8", "surrogatepass")
        size = min(len(buffer), len(self._pending))
        buffer[:size] = self._pending[:size]
        self._pending = self._pending[size:]
        return size


def _without_mark(head: bytes) -> str:
    """UTF-16 where every second byte is often NUL and no other one is; empty otherwise."""
    if 0 not in head:
        return ""
    first, second = head[::2], head[1::2]
    for nuls, others, name in ((second, first, "utf-16-le"), (first, second, "utf-16-be")):
        if nuls.count(0) >= max(FEWEST_NULS, LEAST_NULS * len(nuls)) and others.count(0) <= MOST_NULS * len(nuls):
            return name
    return ""
