"""What a failure leaves on the disk or in a store, as far as what follows depends on it.

Most failures of a command leave one of few states: what was there before, and what it keeps of its work. What follows
from a state is looked at once.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tests.faults.system_calls import without_passing_names

if TYPE_CHECKING:
    from pathlib import Path

STAGING = "/.staging-"
# Files whose bytes are others each time, with the same content: of these the size counts.
_OF_OTHER_BYTES = ("/lance/", ".duckdb", ".duckdb.wal", ".lock", STAGING)


def left_on_disk(folder: Path) -> str:
    """A digest of the files of a folder: names, without those that are drawn anew, sizes, and bytes that say anything.

    Args:
        folder: Of a project.
    """
    lines = []
    for path in folder.rglob("*"):
        name = f"/{path.relative_to(folder).as_posix()}"
        told = without_passing_names(name)
        if not path.is_file():
            lines.append(f"{told}/")
        elif any(part in name for part in _OF_OTHER_BYTES):
            lines.append(f"{told} {0 if name.endswith('.lock') else path.stat().st_size}")
        else:
            lines.append(f"{told} {hashlib.sha256(path.read_bytes()).hexdigest()}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
