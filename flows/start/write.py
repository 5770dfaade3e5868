"""Writing a settings file: commented TOML, read back before it is there, and never in place of another."""

from __future__ import annotations

import textwrap
import tomllib
from typing import TYPE_CHECKING

import tomlkit
from pydantic import ValidationError

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.files.atomic import write_new_text
from nightrank.storage.files.text import plain_text
from nightrank.storage.foreign import passing_failure
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from nightrank.flows.start.propose import Setting

WIDTH = 100
HEAD = (
    "Written by `nightrank init`. Paths are relative to this file. Here is what differs from the defaults; every "
    "setting is in docs/reference/settings.md."
)


def as_toml(settings: Sequence[Setting]) -> str:
    """A settings file, section by section in the order given.

    Raises:
        InputError: It cannot be written so that it is read back: a name is no text, for one.
    """
    document = tomlkit.document()
    for line in _lines(HEAD):
        document.add(tomlkit.comment(line))
    for section in dict.fromkeys(setting.section for setting in settings):
        table = tomlkit.table()
        for setting in settings:
            if setting.section == section:
                for line in _lines(setting.why):
                    table.add(tomlkit.comment(line))
                if setting.key is not None:
                    table.add(setting.key, tomlkit.item(setting.value))
        document.add(tomlkit.nl())
        document.add(section, table)
    text = tomlkit.dumps(document)
    expected: dict[str, dict[str, object]] = {}
    for setting in settings:
        values = expected.setdefault(setting.section, {})
        if setting.key is not None:
            values[setting.key] = setting.value
    try:
        text.encode()
        read = tomllib.loads(text)
        if read != expected or Settings.model_validate(read) != Settings.model_validate(expected):
            raise ValueError("it reads as something else")
    except (ValueError, ValidationError) as error:  # no text in UTF-8 and no TOML are ValueErrors
        message = f"These settings cannot be written to a file: {plain_text(str(error))}."
        raise InputError(message, remedy="Give the files plain names, or write the settings file by hand.") from error
    return text


def write_settings(path: Path, text: str) -> None:
    """Write a settings file where there is none.

    Raises:
        InputError: There is one, or it cannot be written there.
        MachineError: The disk failed.
    """
    try:
        write_new_text(path, text)
    except FileExistsError as error:
        message = f"{path} is there already, and stays as it is."
        raise InputError(message, remedy="Edit it and run `nightrank check`, or move it away.") from error
    except OSError as error:
        if (told := passing_failure(error)) is not None:
            raise MachineError(told.message, remedy=told.remedy) from error
        message = f"{path} cannot be written: {error.strerror}."
        raise InputError(message, remedy="Go to a folder that you may write to.") from error


def _lines(text: str) -> Iterable[str]:
    return textwrap.wrap(plain_text(text), WIDTH, break_long_words=False, break_on_hyphens=False)
