"""``nightrank schedule``: all flows served from one process on the schedules of the settings, until it is stopped.

Each run is a process of its own, begun when a Prefect server says that it is time. For more than one machine, a
container or a cluster there are work pools and workers: deployments/prefect.yaml.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nightrank.flows.engine.api import has_prefect, require_prefect
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import InputError, MachineError, NightrankError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prefect.deployments.runner import RunnerDeployment
    from prefect.runner import Runner

    from nightrank.flows.schedule.plan import Served
    from nightrank.flows.schedule.watcher import Watcher

PASSING = (408, 429, 500, 502, 503, 504)  # answers of a server that is busy, or behind a proxy that finds it away
LONGEST_WAIT = 60.0  # seconds
LONGEST_REASON = 200  # characters


def serve(
    served: Sequence[Served], watcher: Watcher | None = None, *, on_ready: Callable[[Sequence[Served]], None]
) -> None:
    """Serve flows until a signal says stop: no further run begins then, and one at work is cancelled in good order.

    A server that is busy, restarted or away for a while ends nothing: a line says so, and it is asked again.

    Schedules stay as they are meanwhile, so that a night which nobody began shows as late on Prefect's pages.

    Args:
        served: What.
        watcher: Has refreshes begun after changes; None: the clock alone does.
        on_ready: Called once the server knows of all of them.

    Raises:
        InputError: A schedule is none, no server is configured, or a deployment is another settings file's.
        MachineError: The server does not answer as this begins.
    """
    deployments = [one.deployment() for one in served]
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
            _serve_once(deployments, served, watcher, on_ready=on_ready, waits=waits)
        except NightrankError:
            raise
        except Exception as error:
            if not (waits.is_served or may_pass(error)):
                message = f"The flows are no longer served: {type(error).__name__}: {error}."
                raise MachineError(message, remedy="Check that the Prefect server runs, and start again.") from error
            seconds = waits.next_seconds()
            said = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON]
            sys.stderr.write(f"Note: Prefect's server is busy or away; trying again in {seconds:.0f} s. {said}\n")
            sys.stderr.flush()
            time.sleep(seconds)
        else:
            return


@dataclass(slots=True)
class Waits:
    """How long is waited before the server is asked again: a second, and twice as long each time, up to a minute."""

    is_served: bool = False
    failures: int = 0

    def next_seconds(self) -> float:
        """After one more failure."""
        self.failures += 1
        return min(LONGEST_WAIT, 2.0 ** (self.failures - 1))

    def served(self) -> None:
        """The server knows of all flows."""
        self.is_served, self.failures = True, 0


def _serve_once(
    deployments: Sequence[RunnerDeployment],
    served: Sequence[Served],
    watcher: Watcher | None,
    *,
    on_ready: Callable[[Sequence[Served]], None],
    waits: Waits,
) -> None:
    from prefect.runner import Runner

    runner = Runner(name="nightrank", pause_on_shutdown=False)
    for deployment in deployments:
        runner.add_deployment(deployment)
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
