"""Paths that mean to every store what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

MISREAD = "?\\"  # DuckDB writes its log to another name where a path has the one, and to another folder for the other


def require_usable(path: Path) -> None:
    """See that DuckDB's files at a path, or below it, lie where the path says.

    Raises:
        InputError: They would not.
    """
    found = sorted(set(MISREAD) & set(str(path.absolute())))
    if found:
        message = f"{path.absolute()} has a {' and a '.join(found)} in its name, which DuckDB reads as another path."
        raise InputError(message, remedy="Choose a path without it.")
