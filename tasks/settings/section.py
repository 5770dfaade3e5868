"""What every section of the settings shares: frozen, unknown keys refused, and one way to switch a thing off."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

OFF = "none"  # what a settings file says where something is switched off

T = TypeVar("T")


def _without_word(value: object) -> object:
    return None if value == OFF else value


# A value, or "none": switched off, which is None in Python and null in a manifest. An absent key has its default.
Switchable = Annotated[T | None, BeforeValidator(_without_word)]

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Section(BaseModel):
    """A section of the settings file: frozen, unknown keys refused."""

    # What was given is not repeated in errors: `flows.settings_file` reports it, where there can be no password in it.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)
