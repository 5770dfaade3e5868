"""The files of a log by day: their names, which of them are too old, and the salt by which a day knows its sessions."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from contextlib import suppress
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FILE = re.compile(r"queries-(\d{4}-\d\d-\d\d)(?:-\d+)?\.jsonl")
_SALT = re.compile(r"\.salt-(\d{4}-\d\d-\d\d)")
_SALT_BYTES = 32
_HASH_BYTES = 8


def file_of(folder: Path, day: date, *, writer: int = 1) -> Path:
    """The file of a day, in UTC, of one of the processes that write a log at the same time.

    >>> from pathlib import Path
    >>> [file_of(Path(), date(2026, 3, 1), writer=number).name for number in (1, 2)]
    ['queries-2026-03-01.jsonl', 'queries-2026-03-01-2.jsonl']
    """
    return folder / f"queries-{day.isoformat()}{'' if writer == 1 else f'-{writer}'}.jsonl"


def remove_old(folder: Path, *, today: date, keep_days: int | None) -> None:
    """Remove files of days that are kept no longer, and salts of days that are over; no other file is touched.

    Args:
        folder: Of the log.
        today: In UTC.
        keep_days: Days before today that are kept; None: all.

    Raises:
        OSError: The folder cannot be read, or a file not be removed.
    """
    for path in list(folder.iterdir()):
        day = _day_of(_SALT.fullmatch(path.name))
        if day is not None and day != today:
            path.unlink(missing_ok=True)
        day = _day_of(_FILE.fullmatch(path.name))
        if day is not None and keep_days is not None and day < today - timedelta(days=keep_days):
            path.unlink(missing_ok=True)


def salt_of(folder: Path, day: date) -> bytes:
    """The salt of a day, the same after a restart; one of this process alone where it cannot be kept.

    Its file is for its owner's eyes alone, and goes with the day: from then on nobody can tell whose rows are whose.
    """
    path = folder / f".salt-{day.isoformat()}"
    fresh = secrets.token_bytes(_SALT_BYTES)
    with suppress(OSError):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            kept = path.read_bytes()
            return kept if len(kept) == _SALT_BYTES else fresh
        try:
            os.write(descriptor, fresh)
        finally:
            os.close(descriptor)
    return fresh


def salted(session: str, *, salt: bytes) -> str:
    """What stands for a session on the day of a salt: 16 hexadecimal digits.

    >>> salted("s1", salt=b"a") == salted("s1", salt=b"a"), salted("s1", salt=b"a") == salted("s1", salt=b"b")
    (True, False)
    """
    return hashlib.blake2b(session.encode("utf-8", "replace"), digest_size=_HASH_BYTES, key=salt).hexdigest()


def _day_of(found: re.Match[str] | None) -> date | None:
    with suppress(ValueError):
        return None if found is None else date.fromisoformat(found[1])
    return None
