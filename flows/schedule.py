"""``nightrank schedule``: all flows served from one process on the schedules of the settings.

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
from typing import TYPE_CHECKING, Any, cast

from rich.table import Table

from nightrank.flows.engine.api import has_prefect, require_prefect
from nightrank.flows.settings_file import load_settings, read_settings
from nightrank.flows.terminal import terminal
from nightrank.storage.errors import InputError, MachineError, NightrankError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from prefect import Flow
    from prefect.deployments.runner import RunnerDeployment
    from prefect.runner import Runner

    from nightrank.storage.records import JsonValue

PASSING = (408, 429, 500, 502, 503, 504)  # answers of a server that is busy, or behind a proxy that finds it away
LONGEST_WAIT = 60.0  # seconds
LONGEST_REASON = 200  # characters
BANNED = "/%&<>"  # in names, by Prefect


@dataclass(frozen=True, slots=True)
class Served:
    """A flow as it is to be served.

    Attributes:
        flow: It.
        name: Of its deployment.
        description: What a run of it does.
        settings_file: Whole path of the settings.
        cron: When it runs; None for on demand alone.
        timezone: Of the cron.
    """

    flow: Flow[Any, Any]
    name: str
    description: str
    settings_file: Path
    cron: str | None
    timezone: str

    @property
    def path(self) -> str:
        """What ``prefect deployment run`` knows it by."""
        return f"{self.flow.name}/{self.name}"

    def as_json(self) -> dict[str, JsonValue]:
        """Its object in ``schedule --json``."""
        timezone = None if self.cron is None else self.timezone
        return {"deployment": self.path, "cron": self.cron, "timezone": timezone, "what": self.description}

    def deployment(self) -> RunnerDeployment:
        """It, as Prefect serves it: one run at a time, and one that comes while another is at work is cancelled.

        Raises:
            InputError: Cron or time zone are none.
        """
        from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
        from prefect.client.schemas.schedules import CronSchedule
        from prefect.schedules import Cron
        from prefect.types.entrypoint import EntrypointType
        from pydantic import ValidationError

        try:
            schedules = [] if self.cron is None else [CronSchedule(cron=self.cron, timezone=self.timezone)]
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ").rstrip(".")
            message = f"[schedule].{self.flow.name} = {self.cron!r} in {self.timezone!r} is not valid: {reason}."
            remedy = 'Write five fields and a time zone of the IANA database: "0 2 * * *", "Europe/Berlin".'
            raise InputError(message, remedy=remedy) from error
        made = self.flow.to_deployment(
            self.name,
            schedules=[Cron(one.cron, timezone=one.timezone) for one in schedules],
            concurrency_limit=ConcurrencyLimitConfig(
                limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW, grace_period_seconds=None
            ),
            parameters={"settings_file": str(self.settings_file)},
            description=self.description,
            tags=["nightrank"],
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        return cast("RunnerDeployment", made)  # a coroutine is what it is for callers that are coroutines


def plan(settings_file: Path, *, name: str | None) -> list[Served]:
    """What is to be served for a settings file.

    Args:
        settings_file: It.
        name: Of the deployments; None for the name of its folder.

    Raises:
        InputError: The settings are wrong, or the name is none.
    """
    if name is not None and set(name) & set(BANNED):
        message = f"{name!r} is not a valid name for a deployment: it contains one of {' '.join(BANNED)} in it."
        raise InputError(message, remedy="Give a --name without them.")
    folder = "".join("-" if letter in BANNED else letter for letter in settings_file.resolve().parent.name)
    schedule = read_settings(settings_file).schedule
    from nightrank.flows.evaluate.flow import evaluate
    from nightrank.flows.operate.export import export
    from nightrank.flows.operate.prune import prune
    from nightrank.flows.operate.report_flow import report
    from nightrank.flows.refresh import refresh
    from nightrank.flows.train.embedder import train_embedder
    from nightrank.flows.train.reranker import train_reranker

    flows: list[tuple[Flow[Any, Any], str | None, str]] = [
        (refresh, schedule.refresh, "A night: a new release, or nothing to do."),
        (evaluate, schedule.evaluate, "What each stage of the live release is worth."),
        (prune, schedule.prune, "Removes old releases, and what only they needed."),
        (export, None, "Serves the live release from elsewhere, as [export] says."),
        (report, None, "Measures, gates and the report of a release."),
        (train_embedder, None, "Trains the dual encoder on the collection's own pairs."),
        (train_reranker, None, "Trains the reranker on the collection's own pairs."),
    ]
    return [
        Served(
            flow=flow,
            name=name or folder or "nightrank",
            description=description,
            settings_file=settings_file.resolve(),
            cron=cron,
            timezone=schedule.timezone,
        )
        for flow, cron, description in flows
    ]


def serve(served: Sequence[Served], *, on_ready: Callable[[Sequence[Served]], None]) -> None:
    """Serve flows until a signal says stop: no further run begins then, and one at work is cancelled in good order.

    A server that is busy, restarted or away for a while ends nothing: a line says so, and it is asked again.

    Schedules stay as they are meanwhile, so that a night which nobody began shows as late on Prefect's pages.

    Args:
        served: What.
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
            _serve_once(deployments, served, on_ready=on_ready, waits=waits)
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
    asyncio.run(_run(runner))


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


async def _run(runner: Runner) -> None:
    """Run it until a signal comes. Prefect's own handler of signals does not wait for what it asks to stop."""
    serving, stop = asyncio.create_task(runner.start()), asyncio.Event()
    while not (runner.started or serving.done()):
        await asyncio.sleep(0.05)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not serving.done():
        await runner.astop()
    await serving


def show_schedule(served: Sequence[Served]) -> None:
    """A table of the flows that are served, and how to begin one at once.

    Args:
        served: The flows; the first is the night.
    """
    console = terminal()
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("deployment", "when", "what"):
        table.add_column(name)
    for one in served:
        when = "on demand" if one.cron is None else f"{one.cron} ({one.timezone})"
        table.add_row(one.path, when, one.description)
    console.print(table)
    console.print(f"Serving until stopped. To start one now: prefect deployment run '{served[0].path}'")
