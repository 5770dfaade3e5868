"""``nightrank schedule``: all flows served from one process on the schedules of the settings, until it is stopped.

Each run is a process of its own, begun when a Prefect server says that it is time. For more than one machine, a
container or a cluster there are work pools and workers: deployments/prefect.yaml.
"""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING

from nightrank.flows.engine.api import has_prefect, require_prefect
from nightrank.flows.schedule.outage import in_brief, may_pass
from nightrank.flows.schedule.plan import note
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import InputError, MachineError, NightrankError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prefect.runner import Runner

    from nightrank.flows.schedule.plan import Served
    from nightrank.flows.schedule.watcher import Watcher

LONGEST_WAIT = 60.0  # seconds


def serve(
    served: Sequence[Served], watcher: Watcher | None = None, *, on_ready: Callable[[Sequence[Served]], None]
) -> None:
    """Serve flows until a signal says stop: no further run begins then, and one at work is cancelled in good order.

    A server that is busy, restarted or away, for however long, ends nothing: a line says so, and it is asked again.
    What was due meanwhile is begun once when it is back, also where its database is a new one.

    Schedules stay as they are meanwhile, so that a night which nobody began shows as late on Prefect's pages.

    Args:
        served: What.
        watcher: Has refreshes begun after changes; None: the clock alone does.
        on_ready: Called once the server knows of all of them.

    Raises:
        InputError: A schedule is none, no server is configured, or a deployment is another settings file's.
        MachineError: The server does not answer as this begins.
    """
    for one in served:
        one.deployment()  # which sees that its schedule is one
    if not has_prefect():
        message = "There is no Prefect server that could keep the schedules: PREFECT_API_URL is not set."
        remedy = "Run `prefect server start`, then `export PREFECT_API_URL=http://127.0.0.1:4200/api` and this again."
        raise InputError(message, remedy=remedy)
    require_prefect()
    from nightrank.flows.engine.abandoned import mark_dead_runs

    waits = Waits()
    while True:
        try:
            refuse_deployments_of_others(served)
            if not waits.is_served:
                configuration = load_settings(served[0].settings_file)
                mark_dead_runs(configuration, deployment=served[0].name, now=datetime.now(UTC))
            _serve_once(served, watcher, on_ready=on_ready, waits=waits)
        except NightrankError:
            raise
        except Exception as error:
            if not (waits.is_served or may_pass(error)):
                message = f"The flows are no longer served: {type(error).__name__}: {error}."
                raise MachineError(message, remedy="Check that the Prefect server runs, and start again.") from error
            waits.tell(error)
            time.sleep(waits.next_seconds())
        else:
            return


@dataclass(slots=True)
class Waits:
    """How long is waited before the server is asked again: a second, and twice as long each time, up to a minute.

    What fails again within a minute of being served is one more failure in a row.
    """

    is_served: bool = False
    failures: int = 0
    since: float = inf  # of being served, by the monotonic clock

    def tell(self, error: Exception) -> None:
        """Say once why it is asked again."""
        if time.monotonic() - self.since > LONGEST_WAIT:
            self.failures = 0
        if not self.failures:
            note(f"Prefect's server is busy or away: {in_brief(error)}. It is asked again until it takes the flows.")

    def next_seconds(self) -> float:
        """After one more failure."""
        self.failures, self.since = self.failures + 1, inf
        return min(LONGEST_WAIT, 2.0 ** min(self.failures - 1, 30))

    def served(self) -> None:
        """The server knows of all flows."""
        self.is_served, self.since = True, time.monotonic()


def _serve_once(
    served: Sequence[Served],
    watcher: Watcher | None,
    *,
    on_ready: Callable[[Sequence[Served]], None],
    waits: Waits,
) -> None:
    from nightrank.flows.schedule.runner import PatientRunner

    runner = PatientRunner(served, tell=note)
    if not waits.is_served:
        on_ready(served)
    waits.served()
    asyncio.run(_run(runner, watcher))


def refuse_deployments_of_others(served: Sequence[Served]) -> None:
    """See that no deployment on the server is another settings file's.

    Raises:
        InputError: One is; the message says whose.
    """
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        for one in served:
            try:
                there = client.read_deployment_by_name(one.path)
            except ObjectNotFound:
                continue
            theirs = (there.parameters or {}).get("settings_file")
            if theirs != str(one.settings_file):
                message = f"The deployment {one.path} on this server is that of {theirs}, not of {one.settings_file}."
                remedy = (
                    "Give this one a --name of its own; or, where that folder is served no more, remove its "
                    f"deployment: prefect deployment delete '{one.path}'."
                )
                raise InputError(message, remedy=remedy)


async def _run(runner: Runner, watcher: Watcher | None) -> None:
    """Run it, and watch, until a signal comes; Prefect's own handler of signals waits for nothing that it stops."""
    serving, stop = asyncio.create_task(runner.start()), asyncio.Event()
    while not (runner.started or serving.done()):
        await asyncio.sleep(0.05)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    beside: list[asyncio.Task[object]] = [asyncio.create_task(stop.wait())]
    if watcher is not None:
        beside.append(asyncio.create_task(watcher.run()))
    await asyncio.wait({serving, *beside}, return_when=asyncio.FIRST_COMPLETED)
    for task in beside:
        task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
    if not serving.done():
        await runner.astop()
    await serving
