"""What is said of a setting that is unknown, missing or wrong."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from pydantic import BaseModel, BeforeValidator

from nightrank.storage.errors import InputError
from nightrank.tasks.settings.former_names import FORMER_NAMES
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def setting_fault(path: Path, place: Sequence[str], kind: str, reason: str, value: object) -> InputError:
    """The error of a setting that is unknown, missing or wrong.

    Args:
        path: Of the settings file.
        place: Of the setting: its sections and its key.
        kind: Pydantic's name of the fault.
        reason: What is wrong with the value.
        value: What the file has.

    Returns:
        What was found and what to do; never a value that may be a secret.
    """
    name = f"[{place[0]}].{'.'.join(place[1:])}" if len(place) > 1 else place[0]
    if kind == "extra_forbidden" and tuple(place) in FORMER_NAMES:
        return InputError(f"{path}: unknown setting {name}.", remedy=f"It is called {FORMER_NAMES[tuple(place)]} now.")
    if kind == "extra_forbidden":
        nearest = difflib.get_close_matches(place[-1], _known_names(place[:-1]), n=1, cutoff=0.5)
        remedy = f"Did you mean `{nearest[0]}`?" if nearest else f"Known here: {', '.join(_known_names(place[:-1]))}."
        return InputError(f"{path}: unknown setting {name}.", remedy=remedy)
    if kind == "missing":
        return InputError(f"{path}: the setting {name} is missing.", remedy="Add it; it has no default.")
    # A key or a password may stand there.
    may_be_secret = (
        place[0] == "judge"
        or place[-1] == "endpoint"
        or place[:2]
        in {
            ("reranker", "hosted"),
            ("queries", "questions"),
            ("export", "to"),
            ("documents", "source"),
        }
    )
    shown = "" if may_be_secret or place == ("export",) else f" = {value!r}"
    remedy = 'Correct it, or write "none" to switch it off.' if _can_be_off(place) else "Correct it."
    return InputError(f"{path}: {name}{shown} is wrong: {reason}.", remedy=remedy)


def _can_be_off(place: Sequence[str]) -> bool:
    """Whether a setting is one that "none" switches off."""
    section: type[BaseModel] = Settings
    for part in place:
        field = section.model_fields.get(part)
        if field is None:
            return False
        if any(isinstance(one, BeforeValidator) for one in field.metadata):
            return True
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return False
        section = field.annotation
    return False


def _known_names(place: Sequence[str]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in place:
        annotation = model.model_fields[part].annotation
        assert isinstance(annotation, type)
        model = annotation
    return list(model.model_fields)
