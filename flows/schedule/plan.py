"""What ``nightrank schedule`` serves: all flows of a settings file, each on its schedule or on demand."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from nightrank.flows.settings_file import read_settings
from nightrank.storage.errors import InputError
from nightrank.storage.files.text import plain_text

if TYPE_CHECKING:
    from pathlib import Path

    from prefect import Flow
    from prefect.deployments.runner import RunnerDeployment

    from nightrank.flows.schedule.watcher import Watcher
    from nightrank.storage.records import JsonValue

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


def watcher_of(refresh: Served) -> Watcher | None:
    """What watches the documents and has a refresh begun after changes; None where ``[schedule].on_change`` is off.

    Args:
        refresh: The night, as it is served.

    Raises:
        InputError: The settings are wrong, or name a source that cannot be watched.
    """
    from nightrank.flows.schedule.runs import Deployment
    from nightrank.flows.schedule.source import WatchedSource
    from nightrank.flows.schedule.watcher import Watcher

    settings = read_settings(refresh.settings_file)
    if not settings.schedule.on_change:
        return None
    source = WatchedSource(refresh.settings_file)
    source.state()
    return Watcher(source, Deployment(refresh.path), settings.schedule, tell=note)


def note(text: str) -> None:
    """Tell a user something on standard error."""
    sys.stderr.write(plain_text(f"Note: {text}\n", lines=True))
    sys.stderr.flush()
