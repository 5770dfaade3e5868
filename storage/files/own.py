"""What one process made for itself, and removes at its end."""

from __future__ import annotations

import os
import shutil
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def remove_with(owner: object, path: Path) -> None:
    """Have a file or a folder removed when its owner goes, or the process ends.

    A process that was forked from this one shares it, and removes nothing.

    Args:
        owner: Whoever uses it last; can be weakly referred to.
        path: What is removed, with all that it holds.

    """
    weakref.finalize(owner, _remove, path, os.getpid())


def _remove(path: Path, process: int) -> None:
    if os.getpid() != process:
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
