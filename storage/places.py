"""Where a failure was: calls that are given a descriptor, such as a write, do not say of which file it is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have failures of the operating system in this block name a file, where they name none.

    >>> from pathlib import Path
    >>> with naming(Path("a.txt")):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    OSError: [Errno 28] No space left on device: 'a.txt'
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
            error.strerror = error.strerror or str(error)
        raise


def read_bytes(path: Path) -> bytes:
    """The content of a small file.

    Raises:
        OSError: It cannot be read; the error names it, also where a read and not the opening failed.
    """
    with naming(path):
        return path.read_bytes()
