"""What is in a folder, or an error: a folder that cannot be listed is not an empty one.

Python's own ways (``os.walk``, ``glob``) pass over a folder that this user may not read, or whose disk fails, in
silence, and what lies there seems to be gone.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def files_below(folder: Path, *, follow_links: bool = False) -> Iterator[Path]:
    """The files in a folder and in those below it, in no order; none where it is not there.

    Args:
        folder: The folder.
        follow_links: Whether folders that are links count; each folder is looked into once.

    Raises:
        OSError: A folder or a file cannot be looked at; what others remove meanwhile is passed over.
    """
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=follow_links, onerror=_unless_gone):
        if follow_links:
            seen.add(os.path.realpath(place))
            folders[:] = [name for name in folders if os.path.realpath(Path(place, name)) not in seen]
        yield from (path for name in names if (path := Path(place, name)).is_file())


def entries(folder: Path, pattern: str = "*") -> list[Path]:
    """What is in a folder under a name like a pattern, sorted by name; nothing where the folder is not there.

    Raises:
        OSError: The folder cannot be listed.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208  # iterdir would make a path of each name that is not wanted
    except FileNotFoundError:
        return []
    return [folder / name for name in sorted(names) if fnmatchcase(name, pattern)]


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
