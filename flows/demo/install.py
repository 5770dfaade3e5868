"""Putting the example into a folder of the user's: collection, query log, judgments, settings."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("corpus.jsonl.gz", "queries.jsonl", "qrels.tsv", "LICENSE-PSF.txt")
SETTINGS_FILE = "nightrank.toml"


def install_demo(folder: Path) -> Path:
    """Copy the example into a folder; settings that are there already are kept.

    Returns:
        The path of its settings file.

    Raises:
        InputError: The folder cannot be written.
    """
    settings_file = folder / SETTINGS_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (*FILES, SETTINGS_FILE):
            if name == SETTINGS_FILE and settings_file.exists():
                continue
            with as_file(files("nightrank.flows.demo") / name) as source:
                shutil.copyfile(source, folder / name)
    except OSError as error:
        message = f"The example cannot be put into {folder}: {error.strerror}."
        raise InputError(message, remedy="Name a folder that can be written: `nightrank demo FOLDER`.") from error
    return settings_file
