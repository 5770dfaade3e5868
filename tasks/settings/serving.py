"""Settings of the server: where it listens, how long it may take, how much it takes on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nightrank.tasks.settings.section import Section, Switchable


class ServeSettings(Section):
    """``[serve]``: what ``nightrank serve`` answers, and how; never part of a fingerprint."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen at. Others than this machine reach it only where this says so, such as "
        "`0.0.0.0`; then set `token_env` too.",
    )
    port: int = Field(default=8040, ge=0, le=65_535, description="Port to listen at; 0: any that is free.")
    hosts: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)] = Field(
        default=(),
        description="Names that the server is called by, beside its address, such as `search.example.org`: requests "
        "that name another are refused where there is no token, so that no page of elsewhere can ask in a visitor's "
        "name.",
    )
    token_env: str | None = Field(
        default=None,
        min_length=1,
        description="Variable of the environment with the token that every request but `/healthz` must bring: as "
        "`Authorization: Bearer ...`, or as the password that a browser asks for.",
    )
    live: bool = Field(
        default=True,
        description="Whether queries that were not answered in advance are answered now, by the models and the "
        "collection of the release, which are kept in memory.",
    )
    mcp: bool = Field(
        default=False,
        description="Whether language models may ask too, at `/mcp`; needs the extra `mcp`.",
    )
    deadline_ms: int = Field(
        default=500,
        ge=1,
        le=600_000,
        description="How long an answer that is made now may take: as many pairs are reranked as there is time for "
        "from the arrival of the request on. The legs are always asked, also where they alone take longer.",
    )
    live_at_once: int = Field(default=2, ge=1, le=256, description="Answers that are made at the same time.")
    live_waiting: int = Field(
        default=16,
        ge=0,
        le=100_000,
        description="Requests that wait for their turn; others are told at once to come again later (503).",
    )
    requests_at_once: int = Field(
        default=200,
        ge=1,
        le=100_000,
        description="Requests that may be without a reply beside those for answers that are made now; who comes behind "
        "more of them is told at once to come again later (503), so that no queue grows where more is asked than one "
        "process can answer.",
    )
    max_age_hours: Switchable[Annotated[float, Field(gt=0.0)]] = Field(
        default=None,
        description="Age of the release from which on `/healthz` says 503, or `none`. A night that finds nothing "
        "changed makes no release.",
    )
    look_every_seconds: float = Field(
        default=5.0, ge=0.1, le=3600.0, description="How often it is looked for another release."
    )
    log: Switchable[Annotated[str, Field(min_length=1)]] = Field(
        default="query-log",
        description="Folder to which searches and clicks are appended, a file a day, as `[queries].log` reads them, "
        "relative to the settings file; `none`: nothing is written. It holds no addresses, sessions as hashes of a "
        "day alone, and personal data as `[queries].personal_data` says.",
    )
    log_days: Switchable[Annotated[int, Field(ge=1, le=36_500)]] = Field(
        default=365, description="Days that the log's files are kept; `none`: for ever."
    )
    max_query_characters: int = Field(
        default=1000, ge=1, le=8000, description="Characters of a query; longer ones are refused."
    )
    max_filter_characters: int = Field(
        default=4000, ge=1, le=20_000, description="Characters of a filter; longer ones are refused."
    )
    max_body_bytes: int = Field(
        default=65_536, ge=1024, le=10_000_000, description="Bytes of what is sent with a request; more are refused."
    )
