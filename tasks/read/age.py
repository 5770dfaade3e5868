"""How old the collection's source is: a delivery that stopped coming is found by nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.tasks.read.account import Account
from nightrank.tasks.read.folder.find import find_files
from nightrank.tasks.read.ir_datasets import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from nightrank.tasks.settings.inputs import DocumentsSettings

SECONDS_A_DAY = 86_400


def source_age_days(
    settings: DocumentsSettings, *, base: Path, named: Mapping[Path, str], now: datetime
) -> float | None:
    """Days since the newest file of the source was modified; None for a data set of ir_datasets, which never ages.

    Args:
        settings: ``[documents]``.
        base: The folder that the source is relative to.
        named: Files that the settings name for other things, as ``files_named`` has them.
        now: What the age is counted to; a file from after it has age 0.

    Raises:
        InputError: There is no file that can be read.
    """
    if settings.source.startswith(PREFIX):
        return None
    newest = max(file.path.stat().st_mtime for file in find_files(settings, base=base, named=named, account=Account()))
    return max(0.0, (now.timestamp() - newest) / SECONDS_A_DAY)
