"""For who runs the server: is it well, what does it serve, what has it done."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from nightrank.flows.operate.releases import listed_releases
from nightrank.flows.serve.current import NOTHING
from nightrank.flows.serve.http.reply import json_reply

if TYPE_CHECKING:
    from starlette.types import Scope

    from nightrank.flows.serve.http.reply import Reply
    from nightrank.flows.serve.server import Server

# What visitors may know of a release: no names of files, models or queries.
TOLD = ("release_id", "current", "status", "created_at", "size_bytes", "counts", "measures")


class Health(msgspec.Struct, frozen=True):
    """Whether the server is well.

    Attributes:
        status: ``ok``; ``old``: the release is older than ``[serve].max_age_hours``; ``empty``: nothing is published.
        why: Why it is not ok; empty where it is.
        release_id: Of what is served.
        created_at: When it was made, ISO 8601.
        age_seconds: Since then.
        queries: That it answers in advance.
        live: Whether others are answered now.
        why_not_live: Why not; empty where there is nothing to tell.
        seconds_since_look: Since it was seen that this is the current release.
        memory_bytes: Of its collection, what is mapped counted in.
    """

    status: Literal["ok", "old", "empty"]
    why: str = ""
    release_id: str | None = None
    created_at: str | None = None
    age_seconds: float | None = None
    queries: int = 0
    live: bool = False
    why_not_live: str = ""
    seconds_since_look: float = 0.0
    memory_bytes: int = 0


class Releases(msgspec.Struct, frozen=True):
    """What is in the workspace.

    Attributes:
        served: The release that is served here.
        current: The one that is current there.
        releases: Some of what ``nightrank releases --json`` says of each, oldest first.
    """

    served: str | None
    current: str | None
    releases: list[dict[str, Any]]


async def healthz(server: Server, _scope: Scope) -> Reply:
    """Whether the server is well: 200, or 503 where nothing is published, or the release is too old."""
    health = health_of(server, now=datetime.now(UTC))
    return json_reply(health, status=200 if health.status == "ok" else 503)


def health_of(server: Server, *, now: datetime) -> Health:
    """How the server is."""
    release, looked = server.answerer.current.peek(), round(server.follower.seconds_since_look, 1)
    if release is None:
        return Health("empty", NOTHING, seconds_since_look=looked)
    age, most = (now - release.manifest.created_at).total_seconds(), server.settings.max_age_hours
    is_old = most is not None and age > 3600.0 * most
    return Health(
        status="old" if is_old else "ok",
        why=f"The release is older than {most:g} hours." if is_old else "",
        release_id=release.release_id,
        created_at=release.manifest.created_at.isoformat(timespec="seconds"),
        age_seconds=round(age, 1),
        queries=release.manifest.counts.queries,
        live=release.online is not None,
        why_not_live=release.why_not_live,
        seconds_since_look=looked,
        memory_bytes=release.size_bytes,
    )


async def metrics(server: Server, _scope: Scope) -> Reply:
    """What Prometheus reads."""
    return server.metrics.page(server.answerer, server.visits.rows, now=datetime.now(UTC))


async def releases(server: Server, _scope: Scope) -> Reply:
    """The releases of the workspace, and which one is served."""
    return json_reply(await asyncio.to_thread(_releases, server))


def _releases(server: Server) -> Releases:
    workspace, served = server.follower.workspace, server.answerer.current.peek()
    current = workspace.current_release_id()
    whole = (release.as_json() for release in listed_releases(workspace, current=current))
    listed: list[dict[str, Any]] = [{key: release[key] for key in TOLD} for release in whole]
    return Releases(None if served is None else served.release_id, current, listed)
