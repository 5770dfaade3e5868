"""How old the collection's source is: a delivery that stopped coming is found by nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.sources.kept import KEEPING_NOTHING
from nightrank.tasks.read.account import Account
from nightrank.tasks.read.folder.find import find_files
from nightrank.tasks.read.sources.kind import SourceKind, kind_of
from nightrank.tasks.read.sources.read import newest_kept

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from nightrank.storage.sources.kept import Keeping
    from nightrank.tasks.settings.inputs import DocumentsSettings

SECONDS_A_DAY = 86_400


def source_age_days(
    settings: DocumentsSettings,
    *,
    base: Path,
    named: Mapping[Path, str],
    now: datetime,
    keeping: Keeping = KEEPING_NOTHING,
) -> float | None:
    """Days since the newest file of the source was modified; None where nothing tells, as of a query.

    Of a bucket the listing that was read last tells, without another request.

    Args:
        settings: ``[documents]``.
        base: The folder that the source is relative to.
        named: Files that the settings name for other things, as ``files_named`` has them.
        now: What the age is counted to; a file from after it has age 0.
        keeping: What is kept of a source that is fetched.

    Raises:
        InputError: There is no file that can be read.
    """
    kind = kind_of(settings, base=base)
    if kind is SourceKind.FILES:
        files = find_files(settings, base=base, named=named, account=Account())
        newest: float | None = max(file.path.stat().st_mtime for file in files)
    elif kind is SourceKind.DATABASE and (base / settings.source).is_file():
        newest = (base / settings.source).stat().st_mtime
    elif kind in {SourceKind.BUCKET, SourceKind.CONNECTOR} and keeping.folder is not None:
        newest = newest_kept(keeping.folder)
    else:
        newest = None
    if newest is None:
        return None
    return max(0.0, (now.timestamp() - newest) / SECONDS_A_DAY)
