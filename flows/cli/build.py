"""Build: a release now, or on a schedule."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from nightrank.flows.cli.options import (
    Config,
    Json,
    print_json,
    quiet_prefect,
    settings_of,
    several,
    show,
    without_telemetry,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nightrank.flows.schedule.plan import Served
    from nightrank.storage.errors import GateRefused


def refresh(
    *,
    config: Config = None,
    accept: Annotated[tuple[str, ...], several("Gate that may fail: the release is published all the same.")] = (),
    json_: Json = False,
) -> int:
    """Build a release from what changed, measure it, and publish it if its gates pass."""
    from nightrank.flows.settings_file import find_settings_file
    from nightrank.tasks.gates.rules import check_overrides

    check_overrides(accept)
    return build_release(find_settings_file(config), accept=accept, json_=json_)


def schedule(
    *,
    config: Config = None,
    name: Annotated[
        str | None, Parameter(help="Of the deployments on the Prefect server. Default: the settings' folder.")
    ] = None,
    json_: Json = False,
) -> int:
    """Run the flows by the clock, and after changes, as [schedule] says, until stopped; needs a Prefect server."""
    from nightrank.flows.engine.api import require_home
    from nightrank.flows.settings_file import find_settings_file

    settings_file = find_settings_file(config)
    without_telemetry()
    # Each event that a run cannot tell a server which is away would be an error of its own in the log.
    os.environ.setdefault("PREFECT_INTERNAL_LOGGING_LEVEL", "CRITICAL")
    require_home()
    from nightrank.flows.schedule.plan import plan, watcher_of
    from nightrank.flows.schedule.serve import serve
    from nightrank.flows.schedule.terminal import show_schedule

    served = plan(settings_file, name=name)
    watcher = watcher_of(served[0])

    def announce(served: Sequence[Served]) -> None:
        if json_:
            watching = {} if watcher is None else {"watching": watcher.as_json()}
            print_json({"served": [one.as_json() for one in served], **watching})
        else:
            show_schedule(served, watcher)

    serve(served, watcher, on_ready=announce)
    return 0


def build_release(settings_file: Path, *, accept: tuple[str, ...], json_: bool) -> int:
    """Run the flow of a refresh, and show what it made, also where a gate refuses it.

    Raises:
        GateRefused: The release is kept and not published.
    """
    settings_of(settings_file)
    quiet_prefect()
    from nightrank.flows.engine.api import require_prefect
    from nightrank.flows.engine.outcome import run_flow
    from nightrank.flows.night.summary import Refused
    from nightrank.flows.night.terminal import show_summary
    from nightrank.flows.refresh import refresh as refresh_flow

    require_prefect()
    refused: GateRefused | None = None
    try:
        summary = run_flow(refresh_flow, str(settings_file), accept=accept)
    except Refused as error:
        summary, refused = error.summary, error
    show(summary, show_summary, json_=json_)
    if refused is not None:
        raise refused
    return 0
