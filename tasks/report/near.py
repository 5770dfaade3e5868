"""What a release says of its near answers, as its report reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.release.near_record import NearRecord

if TYPE_CHECKING:
    from nightrank.storage.release.files import NearFile


def read_near(file: NearFile) -> NearRecord | None:
    """The record; None where near answers are off, or the file cannot be read."""
    try:
        return NearRecord.model_validate_json(file.path.read_bytes()) if file.is_there() else None
    except (OSError, ValueError):
        return None
