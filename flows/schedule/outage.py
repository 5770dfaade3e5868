"""A Prefect server that is busy or away: how that is noticed, and told once, however long it takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect.client.orchestration import PrefectClient

PASSING = (408, 429, 500, 502, 503, 504)  # answers of a server that is busy, or behind a proxy that finds it away
LONGEST_REASON = 200  # characters


@dataclass(slots=True)
class Outage:
    """Whether the server answers, and since when it does not.

    Attributes:
        tell: Told what a user should know, a line each.
        answered: When it answered last.
        since: Since when it does not; None while it does.
    """

    tell: Callable[[str], None]
    answered: datetime
    since: datetime | None = None

    def begins(self, error: Exception) -> None:
        """It did not answer: told the first time."""
        if self.since is None:
            self.since = self.answered
            self.tell(
                f"Prefect's server is busy or away: {in_brief(error)}. What is at work goes on; it is asked again."
            )

    def ends(self, now: datetime) -> datetime | None:
        """It answered: since when it had not; None where it had."""
        since, self.since, self.answered = self.since, None, now
        if since is not None:
            self.tell(f"Prefect's server is back: it was away since {at_utc(since)}.")
        return since


async def require_answer(client: PrefectClient) -> None:
    """Ask the server once whether it is there.

    Args:
        client: Whose own time-out is ``LONGEST_ANSWER``.

    Raises:
        Exception: It is not, of whatever kind the client raises.
    """
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        fault = await client.api_healthcheck()
    if fault is not None:
        raise fault


def may_pass(error: BaseException | None) -> bool:
    """Whether it is, or came from, a server that is busy, restarting or away."""
    import httpx

    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, httpx.TransportError):
            return True
        if isinstance(error, httpx.HTTPStatusError) and error.response.status_code in PASSING:
            return True
        error = error.__cause__ or error.__context__
    return False


def in_brief(error: Exception) -> str:
    """What an error says, in one line of bounded length, without a full stop."""
    said = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON]
    return said.rstrip(".: ")


def at_utc(time: datetime) -> str:
    """A time for people.

    >>> at_utc(datetime(2026, 3, 1, 2, 5, 59, tzinfo=UTC))
    '2026-03-01 02:05 UTC'
    """
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
