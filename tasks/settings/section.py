"""What every section of the settings shares: frozen, and unknown keys refused."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Section(BaseModel):
    """A section of the settings file: frozen, unknown keys refused."""

    # What was given is not repeated in errors: flows' settings.py tells it, where there can be no password in it.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)
