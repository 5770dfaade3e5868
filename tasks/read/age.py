"""How old the collection's source is: a delivery that stopped coming is found by nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.tasks.read.account import Account
from nightrank.tasks.read.ir_datasets import PREFIX
from nightrank.tasks.read.source import find_files

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

SECONDS_A_DAY = 86_400


def source_age_days(source: str, *, base: Path, now: datetime) -> float | None:
    """Days since the newest file of the source was modified; None for a data set of ir_datasets, which never ages.

    Args:
        source: As the settings name it.
        base: The folder that it is relative to.
        now: What the age is counted to; a file from after it has age 0.

    Raises:
        InputError: There is no file that can be read.
    """
    if source.startswith(PREFIX):
        return None
    newest = max(file.path.stat().st_mtime for file in find_files(source, base=base, account=Account()))
    return max(0.0, (now.timestamp() - newest) / SECONDS_A_DAY)
