"""Files opened, unpacked and decoded: what every reader begins with. A fault of the whole file is an ``InputError``."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.foreign import passing_failure
from nightrank.tasks.read.suffixes import STREAMS, packed_suffix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


PIECE_BYTES = 64 * 1024
NOT_UTF_8 = "is not UTF-8"
NO_CHARACTER = re.compile(rb"\xed[\xb2\xb3][\x80-\xbf]")
"""Half of a surrogate pair, as `tasks.read.text.encoding` writes what it cannot decode."""


@contextmanager
def opened(path: Path, *, name: str) -> Iterator[io.BufferedIOBase]:
    """The bytes of a file, unpacked where its name ends in ``.gz``, ``.zst``, ``.bz2`` or ``.xz``.

    Args:
        path: Where it is.
        name: What the user calls it; used in messages.

    Raises:
        InputError: The file cannot be opened or read, or what is packed is broken or ends too early.
    """
    try:
        with _binary(path) as file:
            yield file
    except EOFError as error:
        raise _cut_off(name) from error
    except (gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise _broken(name, error) from error
    except OSError as error:
        if error.errno is None and packed_suffix(name):  # what bz2 and Arrow, which unpacks zstd, say of damage
            raise (_cut_off(name) if "Truncated" in str(error) else _broken(name, error)) from error
        raise unreadable(error, name=name) from error


def decoded(data: bytes) -> str:
    """The text of UTF-8 bytes.

    Raises:
        ValueError: They are not UTF-8; the message says which byte, from 1.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        found = data[error.start]
        if NO_CHARACTER.match(data, error.start):
            raise ValueError("a character in it is none in the file's encoding") from None
        raise ValueError(f"byte {error.start + 1} (0x{found:02x}) {NOT_UTF_8}") from None


def remedy_for(reasons: Iterable[str], *, section: str, otherwise: str) -> str:
    """What to do about rows that cannot be used.

    Args:
        reasons: Why they cannot.
        section: Of the settings that names their file, and may say its encoding; empty where none may.
        otherwise: The remedy where their bytes are not the cause.
    """
    if not any(NOT_UTF_8 in reason for reason in reasons):
        return otherwise
    convert = "onvert it, from what it is written in: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW."
    say = f'Say {section}.encoding = "windows-1252", which is what Excel writes in western Europe, or another one; or c'
    return (say if section else "C") + convert


def too_large(size_bytes: int, max_bytes: int) -> str:
    """The reason for setting aside a row that is larger than allowed."""
    return f"{size_bytes:,} bytes are more than the {max_bytes:,} allowed"


def unreadable(error: OSError, *, name: str) -> InputError | MachineError:
    """What to say where the machine refuses to give a file."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{name} does not exist.", remedy="Correct the path in the settings.")
    message = f"{name} cannot be read: {error.strerror or error}."
    if (told := passing_failure(error)) is not None:
        return MachineError(message, remedy=told.remedy)
    return InputError(message, remedy="Check that it is a readable file and that this user may read it.")


def _binary(path: Path) -> io.BufferedIOBase:
    suffix = packed_suffix(path.name)
    if suffix == ".gz":
        return gzip.open(path, "rb")
    if suffix == ".bz2":
        return bz2.open(path, "rb")
    if suffix == ".xz":
        return lzma.open(path, "rb")
    if suffix == ".zst":
        import pyarrow as pa  # what reads an account needs the words above, and no Arrow

        return io.BufferedReader(pa.CompressedInputStream(pa.OSFile(os.fspath(path), "rb"), "zstd"))
    return path.open("rb")


def _cut_off(name: str) -> InputError:
    return InputError(
        f"{name}: the {STREAMS[packed_suffix(name)]} stream ends before its end marker; the file was cut off.",
        remedy="Write or copy the file again, and compare its size with the original's.",
    )


def _broken(name: str, error: Exception) -> InputError:
    suffix = packed_suffix(name)
    return InputError(
        f"{name}: the name ends in {suffix}, but the content is no sound {STREAMS[suffix]} stream ({error}).",
        remedy=f"Compress the file again, or drop {suffix} from its name if it is not compressed.",
    )
