"""The paths that a glob names, as Python's own ``glob`` has it, where no folder is passed over in silence."""

from __future__ import annotations

import glob
import os
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EVERYTHING = "**"


def matching(base: Path, pattern: str, *, on_unreadable: Callable[[str], None]) -> list[str]:
    """The files and folders that a pattern names, relative to where it begins, sorted, each once.

    ``*`` and ``**`` pass over names that begin with a dot; ``**`` means any number of folders.

    Args:
        base: Where it begins.
        pattern: A path with wildcards.
        on_unreadable: Told of each folder that the pattern leads into and that cannot be listed.
    """
    parts = Path(pattern).parts
    found = _below(base, "", parts, on_unreadable)
    return sorted(set(found))


def _below(base: Path, here: str, parts: tuple[str, ...], on_unreadable: Callable[[str], None]) -> Iterator[str]:
    """What the parts of a pattern name from a folder on, which is told relative to the base."""
    if not parts:
        yield here
        return
    part, rest = parts[0], parts[1:]
    if part == EVERYTHING:
        if rest or here:
            yield from _below(base, here, rest, on_unreadable)
        for name, is_folder in _listed(base / here, here, on_unreadable):
            if name.startswith("."):
                continue
            if is_folder:
                yield from _below(base, os.path.join(here, name), parts, on_unreadable)  # noqa: PTH118  # "" stays ""
            if not rest:
                yield os.path.join(here, name)  # noqa: PTH118
    elif not glob.has_magic(part):
        if _is_there(base / here / part, here, on_unreadable):
            yield from _below(base, os.path.join(here, part), rest, on_unreadable)  # noqa: PTH118
    else:
        for name, is_folder in _listed(base / here, here, on_unreadable):
            if fnmatchcase(name, part) and (is_folder or not rest) and (part[0] == "." or name[0] != "."):
                yield from _below(base, os.path.join(here, name), rest, on_unreadable)  # noqa: PTH118


def _is_there(path: Path, folder: str, on_unreadable: Callable[[str], None]) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        on_unreadable(Path(folder).as_posix())
        return False
    return True


def _listed(folder: Path, told: str, on_unreadable: Callable[[str], None]) -> list[tuple[str, bool]]:
    """The names in a folder, each with whether it is one, links followed; nothing of what is no folder."""
    try:
        with os.scandir(folder) as found:
            return [(entry.name, entry.is_dir()) for entry in found]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError:
        on_unreadable(Path(told).as_posix())
        return []
