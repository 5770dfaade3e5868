"""The one way to write a file, or a folder, whole: readers see the old one or the new one, and a kill leaves either.

A file is written under a temporary name in its own folder, brought to the disk, and renamed; then the folder's entry is
brought there too. What a killed process leaves are hidden files that end in ``.tmp``: whoever knows that nobody else
is writing removes them. Nothing else in Nightrank renames or replaces a file.
"""

from __future__ import annotations

import errno
import glob
import os
import shutil
import uuid
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.storage.files.listing import entries, files_below
from nightrank.storage.places import naming

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNFINISHED = ".tmp"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, whose file takes the place of ``path`` when the block ends; after an error nothing changes.

    Many may write the same file at once: each has a name of its own, and the last one to end stays.

    Args:
        path: The file, which need not be there; its folder is.

    Raises:
        FileNotFoundError: The block wrote nothing.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{_UNFINISHED}")
    try:
        with naming(path):
            yield temporary
        _sync(temporary)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):  # what ended the block is what is told
            _remove(entries(temporary.parent, f"{temporary.name}*"))
        raise
    _sync(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a small file."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a small file of text, in UTF-8."""
    write_bytes(path, text.encode())


def write_new_text(path: Path, text: str) -> None:
    """Write a small file of text, in UTF-8, under a name that no file has; of several who do so at once one succeeds.

    Raises:
        FileExistsError: There is one, which stays as it is.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{_UNFINISHED}")
    try:
        with naming(path):
            temporary.write_bytes(text.encode())
            _sync(temporary)
            _name_anew(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def _name_anew(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)  # unlike a rename, it never takes another file's place
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        temporary.replace(path)


def remove_unfinished(folder: Path, name: str | None = None) -> None:
    """Remove what killed processes were still writing. Nobody may be writing there.

    Args:
        folder: Where; it need not be there.
        name: Of the file that they were writing; None for all in the folder and below it.
    """
    if name is None:
        found = [path for path in files_below(folder) if fnmatchcase(path.name, f".*{_UNFINISHED}*")]
    else:
        found = entries(folder, f".{glob.escape(name)}.*{_UNFINISHED}*")
    _remove(found)


def publish_folder(made: Path, target: Path) -> None:
    """Give a folder with all that is in it its name, once it is on the disk.

    Args:
        made: The folder; under that name it is gone afterwards.
        target: Its name, which nobody has.
    """
    sync_all(made)
    rename_folder(made, target)


def sync_all(folder: Path) -> None:
    """Bring a folder with all that is in it to the disk."""
    for place, _, names in os.walk(folder, onerror=_told):
        for name in names:
            _sync(Path(place, name))
        _sync(Path(place))


def rename_folder(folder: Path, target: Path) -> None:
    """Give a folder another name, in one step."""
    folder.rename(target)
    _sync(target.parent)
    if folder.parent != target.parent:
        _sync(folder.parent)


def remove_folder(folder: Path, hidden: Path) -> None:
    """Remove a folder so that nobody ever sees half of it.

    Args:
        folder: The folder.
        hidden: The name, which nobody has, under which it goes; a killed process leaves it.
    """
    rename_folder(folder, hidden)
    shutil.rmtree(hidden)


def _sync(path: Path) -> None:
    """Bring a file, or the entries of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _told(error: OSError) -> None:
    raise error


def _remove(found: list[Path]) -> None:
    for unfinished in found:
        if unfinished.is_file():
            unfinished.unlink(missing_ok=True)
