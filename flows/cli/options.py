"""What commands share: their common options, what they begin with, and how they show their outcome.

Heavy libraries are imported by the command that needs them, so that ``--help`` and a cached look-up start at once.
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec, Protocol, TypeVar

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prefect import Flow

    from nightrank.flows.settings_file import Configuration

P = ParamSpec("P")
R = TypeVar("R")


class Outcome(Protocol):
    """What a command made or found."""

    def as_json(self) -> Mapping[str, object]:
        """The object of ``--json``."""


T = TypeVar("T", bound=Outcome)


def flag(text: str, *, name: str | None = None) -> Parameter:
    """An option that is given or not."""
    return Parameter(name=name, help=text, negative="", show_default=False)


def several(text: str, *, name: str | list[str] | None = None) -> Parameter:
    """An option that may be repeated."""
    return Parameter(name=name, help=f"{text} May be repeated.", negative="", show_default=False)


Config = Annotated[
    Path | None,
    Parameter(name=["--config", "-c"], help="Settings file. Default: nightrank.toml here, else the demo's."),
]
Json = Annotated[bool, flag("Print one JSON object on standard output, and nothing else there.", name="--json")]
Release = Annotated[str | None, Parameter(help="Release id. Default: the current one.")]
Qrels = Annotated[Path | None, Parameter(help="Judgments. Default: [judgments].qrels of the settings.")]


def settings_of(config: Path | None) -> tuple[Path, Configuration]:
    """The settings file and what is in it: a mistake there ends the command before anything else begins.

    Raises:
        InputError: There is no settings file, or it is wrong.
    """
    from nightrank.flows.settings_file import find_settings_file, load_settings

    settings_file = find_settings_file(config)
    return settings_file, load_settings(settings_file)


def show(outcome: T, present: Callable[[T], None], *, json_: bool) -> None:
    """Print an outcome: as one JSON object for scripts, else as a command presents it to people."""
    if json_:
        print_json(outcome.as_json())
    else:
        present(outcome)


def at_once(flow: Flow[P, R]) -> Callable[P, R]:
    """A flow for one answer: on Prefect's server where one is set up, else as plain code.

    A server of its own takes 10 to 20 seconds to start, longer than most answers take.
    """
    from nightrank.flows.engine.api import has_prefect, require_prefect
    from nightrank.flows.engine.outcome import run_flow

    if not has_prefect():
        return flow.fn
    require_prefect()
    return partial(run_flow, flow)


def quiet_prefect() -> None:
    """Nothing of Prefect's logs beside our own words, and no word to anyone outside; the user's own settings win.

    Raises:
        InputError: Prefect has no folder that it may write to.
    """
    from nightrank.flows.engine.api import require_home

    require_home()
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_INTERNAL_LOGGING_LEVEL", "CRITICAL")
    without_telemetry()
    os.environ.setdefault(
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180"
    )  # a busy machine is slow, not broken


def without_telemetry() -> None:
    """No word to anyone outside; the user's own settings win."""
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")


def quiet_lance() -> None:
    """Nothing of LanceDB's log beside our own words, which tell its failures; the user's own setting wins.

    It is to be said before LanceDB is loaded.
    """
    os.environ.setdefault("LANCEDB_LOG", "off")


def print_json(value: Mapping[str, object]) -> None:
    """Write a value on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
    sys.stdout.flush()
