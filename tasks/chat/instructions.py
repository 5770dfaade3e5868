"""The instructions of a model: a file that the settings name, or our own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 100_000  # of a file of them


def instructions_of(name: str | None, *, base: Path, ours: str, section: str) -> str:
    """The instructions of a model.

    Args:
        name: The file that settings name; None for none.
        base: The folder that it is relative to.
        ours: Where there is none.
        section: Of the settings, in brackets.

    Raises:
        InputError: The file cannot be read, or is empty or far too long.
    """
    if name is None:
        return ours
    try:
        with (base / name).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"{name}, which {section}.prompt names, cannot be read: {error}."
        raise InputError(message, remedy="Give a text file in UTF-8, relative to the settings file.") from error
    if not text or len(data) > MOST_BYTES:
        message = f"{name}, which {section}.prompt names, is {'too long' if text else 'empty'}."
        raise InputError(message, remedy=f"Give instructions of up to {MOST_BYTES:,} bytes.")
    return text
