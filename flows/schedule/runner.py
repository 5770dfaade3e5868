"""Prefect's runner, which outlives a server that is busy or away, and lets what is at work go on meanwhile.

Prefect's own ends when three questions in a row have failed, and the runs that it began are killed with it: an outage
of four minutes would end a night that does not need the server at all.
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from prefect.client.orchestration import get_client
from prefect.runner import Runner

from nightrank.flows.engine.api import LONGEST_ANSWER
from nightrank.flows.schedule.outage import Outage, in_brief, may_pass, require_answer
from nightrank.flows.schedule.upkeep import Upkeep

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence
    from typing import Self
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient

    from nightrank.flows.schedule.plan import Served


class PatientRunner(Runner):
    """Runs flows when the server says that it is time, however long it says nothing.

    Args:
        served: The flows.
        tell: Told what a user should know, a line each.
    """

    def __init__(self, served: Sequence[Served], *, tell: Callable[[str], None]) -> None:
        super().__init__(name="nightrank", pause_on_shutdown=False)
        deployments = [one.deployment() for one in served]
        ids = [cast("UUID", self.add_deployment(deployment)) for deployment in deployments]  # no coroutine calls this
        self._upkeep = Upkeep(served, deployments, ids, register=self.aadd_deployment, tell=tell)
        self._outage, self._tell = Outage(tell, answered=datetime.now(UTC)), tell
        self._owed: tuple[datetime, bool] | None = None  # the look that was refused: since when, after an outage or not
        self._looking = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Begin, with what Prefect asks the server for again and again asked in our way."""
        await super().__aenter__()
        client = await self._looking.enter_async_context(get_client(httpx_settings={"timeout": LONGEST_ANSWER}))
        poller, observer = self._scheduled_run_poller, self._cancelling_observer
        assert observer is not None
        poll, look_for_cancelled = poller._get_and_submit_flow_runs, observer._check_for_cancelled_flow_runs
        ended: Callable[[asyncio.Task[None]], None] = observer._handle_polling_task_done
        observer.logger.setLevel(logging.ERROR)  # that it goes from listening to asking is nobody's concern

        async def poll_patiently() -> None:
            try:
                answered = await self._look(client)
                await poll()
                self._outage.ends(answered)  # and not before: what answers a look may still fail at the rest
            except Exception as error:  # whatever answers in the server's place, what is at work goes on
                self._outage.begins(error)

        async def look_for_cancelled_patiently() -> None:
            if self._outage.since is None:
                await look_for_cancelled()  # type: ignore[no-untyped-call]  # Prefect's own

        def ended_as_asked(looking: asyncio.Task[None]) -> None:
            if not looking.cancelled():  # as it is when all ends, which Prefect takes for an error
                ended(looking)

        replaced: list[tuple[object, str, Callable[..., object]]] = [
            (poller, poll.__name__, poll_patiently),
            (observer, look_for_cancelled.__name__, look_for_cancelled_patiently),
            (observer, ended.__name__, ended_as_asked),
        ]
        for holder, name, asked in replaced:
            setattr(holder, name, asked)
        return self

    async def __aexit__(self, *raised: object) -> None:
        """End; our own client with the rest."""
        await self._looking.aclose()
        await super().__aexit__(*raised)

    async def _look(self, client: PrefectClient) -> datetime:
        """See that the server is there, and look after what it must know; when it answered.

        What it refuses, however often it is asked, keeps nothing that is due from being begun.
        """
        await require_answer(client)
        answered = datetime.now(UTC)
        since, was_away = self._owed or (self._outage.since or self._outage.answered, self._outage.since is not None)
        at_work = frozenset(self._scheduled_run_poller._submitting_flow_run_ids)
        try:
            await self._upkeep.look(client, since=since, was_away=was_away, at_work=at_work)
            self._owed = None
        except Exception as error:
            if may_pass(error):
                raise
            if self._owed is None:
                self._tell(
                    f"Missed and failed refreshes are not made up for: {in_brief(error)}. What is due begins all the "
                    "same; it is tried again."
                )
            self._owed = since, was_away or self._outage.since is not None
        return answered
