"""Writing tuned values into the settings file: its comments and order stay, and each value says what it rests on."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import tomlkit
from pydantic import ValidationError
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable, Table

from nightrank.storage.errors import InputError
from nightrank.storage.files.atomic import remove_unfinished, write_text
from nightrank.storage.foreign import passing_failure
from nightrank.storage.places import naming
from nightrank.storage.workspace.locks import held
from nightrank.tasks.experiment.variants import varied
from nightrank.tasks.rank.order_file import order_file, read_order
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from tomlkit import TOMLDocument
    from tomlkit.items import Item

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.tune.cross_validate import Tuned

MARK = "tuned "  # how evidence begins; what a later tuning replaces


def write_tuned(path: Path, tuned: Tuned, *, named: Settings, now: datetime) -> None:
    """Write what tuning changes, each value with its evidence as a comment, which no digest sees.

    A learned order that was fitted becomes a file beside the settings, with a card, before they name it.

    Args:
        path: The settings file.
        tuned: With changes.
        named: What the file says.
        now: When.

    Raises:
        InputError: The file cannot be edited in place, or is no longer what was tuned; it is as it was.
    """
    path = path.resolve()  # a link stays a link
    values = ", ".join(f"{key} = {_toml(value)}" for key, value in tuned.changes.items())
    remedy = f"Write these values yourself: {values}."
    with held(path.parent / f".{path.name}.lock", what=f"{path}, to edit it,", now=now, remedy=remedy):
        _write(path, tuned, named=named, now=now, remedy=remedy)


def _write(path: Path, tuned: Tuned, *, named: Settings, now: datetime, remedy: str) -> None:
    """Write it as the one process that does; what killed ones left goes first."""
    try:
        with naming(path):
            text = path.read_bytes().decode("utf-8")
        document = tomlkit.parse(text)
        _set(document, tuned.changes, comment=evidence(tuned, now=now))
        edited = tomlkit.dumps(document)
        before, after = (Settings.model_validate(tomllib.loads(version)) for version in (text, edited))
    except (OSError, UnicodeDecodeError, TOMLKitError, tomllib.TOMLDecodeError, ValidationError, TypeError) as error:
        if (told := passing_failure(error)) is not None:
            raise told from error
        raise InputError(f"{path} cannot be edited in place: {error}.", remedy=remedy) from error
    if before != named or after != varied(named, tuned.changes):
        raise InputError(f"{path} is not what was tuned, or cannot be edited in place.", remedy=remedy)
    remove_unfinished(path.parent, path.name)
    if tuned.order is not None:
        remove_unfinished(path.parent, tuned.order.file_name)
        write_text(path.parent / tuned.order.file_name, order_file(tuned.order.model, card_of(tuned, now=now)))
    mode = path.stat().st_mode
    write_text(path, edited)
    path.chmod(mode)


def evidence(tuned: Tuned, *, now: datetime) -> str:
    """What a value rests on, as one line."""
    gain = tuned.gain
    return (
        f"{MARK}{now:%Y-%m-%d} on {tuned.queries} judged queries of the release {tuned.release_id}: "
        f"nDCG@10 {gain.before:.4f} to {gain.after:.4f} "
        f"(by {gain.low:+.4f} to {gain.high:+.4f}, p {gain.p_value:.4f}), cross-validated"
    )


def card_of(tuned: Tuned, *, now: datetime) -> dict[str, JsonValue]:
    """What a fitted order rests on, for people.

    Args:
        tuned: With an order.
        now: When.
    """
    assert tuned.order is not None
    return {
        "made_by": "nightrank tune --write",
        "date": f"{now:%Y-%m-%d}",
        "release": tuned.release_id,
        "queries": tuned.order.queries,
        "strength": tuned.order.strength,
        "begun_from": read_order().fingerprint,
        "fingerprint": tuned.order.fingerprint,
        "held_out": {"measure": "nDCG@10", "folds": tuned.folds, **tuned.gain._asdict()},
    }


def _set(document: TOMLDocument, changes: Mapping[str, JsonValue], *, comment: str) -> None:
    for name, value in changes.items():
        section, _, key = name.partition(".")
        if section not in document:
            document[section] = tomlkit.table()
        table = document[section]
        if not isinstance(table, dict):
            raise TypeError(f"[{section}] is no table")
        written = _comment_of(table[key]) if key in table else ""
        if key in table and isinstance(table[key], Table):
            del table[key]  # it becomes one on a line
        table[key] = _item(value)
        if isinstance(table, InlineTable):  # all on one line, where a comment can only stand at the end
            table.comment(_beside(_comment_of(table), comment))
        else:
            table[key].comment(_beside(written, comment))


def _comment_of(item: object) -> str:
    trivia = getattr(item, "trivia", None)
    return "" if trivia is None else str(trivia.comment).lstrip("#").strip()


def _beside(written: str, comment: str) -> str:
    """The user's own comment, if there is one, and the evidence in place of an earlier one."""
    own = written.partition(MARK)[0].rstrip(" ;")
    return f"{own}; {comment}" if own else comment


def _toml(value: JsonValue) -> str:
    return _item(value).as_string()


def _item(value: JsonValue) -> Item:
    """A value as it is written; a table on one line."""
    if not isinstance(value, dict):
        return tomlkit.item(value)
    table = tomlkit.inline_table()
    table.update(value)
    return table
