"""Settings of whatever answers over HTTP and costs money: where its key is, and how patiently it is asked."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nightrank.tasks.settings.section import Section, Switchable


class EndpointSettings(Section):
    """How an API is asked."""

    api_key_env: str | None = Field(
        default=None,
        min_length=1,
        description="Name of the environment variable that holds the key; the key itself stands nowhere.",
    )
    api_key_block: str | None = Field(
        default=None, min_length=1, description="Name of the Prefect Secret block that holds the key, instead."
    )
    requests_per_minute: Switchable[Annotated[float, Field(gt=0.0, le=1e6)]] = Field(
        default=None, description="Requests are spread so that there are no more. `none`: no limit."
    )
    timeout_seconds: float = Field(default=60.0, gt=0.0, le=3600.0, description="For a request, after which it failed.")
    attempts: int = Field(
        default=6, ge=1, le=100, description="For a request that met 429, a 5xx, a time-out or a broken answer."
    )
    max_backoff_seconds: float = Field(
        default=120.0,
        gt=0.0,
        le=86_400.0,
        description="Between two attempts; a longer `Retry-After` ends the run.",
    )
