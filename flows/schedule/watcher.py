"""Watching a source: refreshes begin when it has been quiet, one at a time, and again where one took nothing in."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from nightrank.flows.schedule.hints import hints, means_of
from nightrank.flows.schedule.waiting import Waiting
from nightrank.storage.errors import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from nightrank.flows.schedule.hints import Means, Source
    from nightrank.storage.records import JsonValue
    from nightrank.tasks.settings.operation import ScheduleSettings


class Ended(Enum):
    """How a refresh ended."""

    TAKEN_IN = "what there was is in a release, or in one that a gate refused"
    BUSY = "another one was at work"
    FAILED = "it failed, or was stopped"


class Refreshes(Protocol):
    """Who begins refreshes; ``runs.Deployment`` is one."""

    async def refresh(self) -> Ended:
        """Begin one, and wait until it has ended."""
        ...


class Watcher:
    """Watches a source for as long as ``run`` is let run; what it knows stays when that is begun again.

    What changed before ``run`` began nobody saw, so a look is due when it has been quiet since then, each time.

    Args:
        source: What is watched.
        refreshes: Who begins refreshes.
        settings: How long is waited.
        tell: Told what a user should know, a line each.
    """

    def __init__(
        self,
        source: Source,
        refreshes: Refreshes,
        settings: ScheduleSettings,
        *,
        tell: Callable[[str], None],
    ) -> None:
        self._source, self._refreshes, self._settings = source, refreshes, settings
        self._tell = tell
        self._taken_in: str | None = None
        self._waiting = Waiting(quiet=settings.quiet_seconds, longest=settings.max_wait_seconds)
        self._told: set[str] = set()  # since something was taken in

    def means(self) -> Means:
        """How changes are noticed."""
        return means_of(self._source.folders())

    def as_json(self) -> dict[str, JsonValue]:
        """Its object in ``schedule --json``."""
        means = self.means()
        return {
            "by": "events" if means.folders else "listing",
            "why": means.why or None,
            "quiet_seconds": self._settings.quiet_seconds,
            "max_wait_seconds": self._settings.max_wait_seconds,
        }

    async def run(self) -> None:
        """Watch, until it is cancelled."""
        changed = asyncio.Event()
        self._waiting = self._waiting.changed(time.monotonic())
        noticing = asyncio.create_task(self._notice(changed))
        try:
            while True:
                due = self._waiting.due
                seconds = None if due is None else due - time.monotonic()
                if seconds is None or seconds > 0.0:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(changed.wait(), seconds)
                    changed.clear()
                else:
                    await self._attempt()
        finally:
            noticing.cancel()
            await asyncio.gather(noticing, return_exceptions=True)

    async def _notice(self, changed: asyncio.Event) -> None:
        while True:
            try:
                async for _ in hints(self.means(), self._source, self._settings.poll_seconds, tell=self._tell):
                    self._waiting = self._waiting.changed(time.monotonic())
                    changed.set()
            except Exception as error:  # of settings that are being written, say
                self._tell_once(f"Changes cannot be seen: {reason_of(error)}")
                await asyncio.sleep(self._settings.poll_seconds)
            # Nobody saw what changed meanwhile.
            self._waiting = self._waiting.changed(time.monotonic())
            changed.set()

    async def _attempt(self) -> None:
        """Have what changed taken in, where anything has: what went and came back since is none."""
        self._waiting = self._waiting.taken()  # what changes from here on is another change
        try:
            state = await asyncio.to_thread(self._source.state)
            ended = Ended.TAKEN_IN if state == self._taken_in else await self._refreshes.refresh()
        except Exception as error:
            self._fail(f"No refresh after changes: {reason_of(error)}")
            return
        if ended is Ended.TAKEN_IN:
            self._taken_in = state
            self._told.clear()
            self._waiting = self._waiting.succeeded()
        else:
            self._fail(f"A refresh after changes took nothing in: {ended.value}.")

    def _fail(self, why: str) -> None:
        """Try again later, and tell why."""
        self._waiting = self._waiting.failed(time.monotonic())
        self._tell_once(why)

    def _tell_once(self, why: str) -> None:
        if why not in self._told:
            self._told.add(why)
            self._tell(why)
