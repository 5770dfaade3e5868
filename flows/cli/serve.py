"""Serve: one process that answers any query."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from nightrank.flows.cli.options import Config, Json, print_json, settings_of

if TYPE_CHECKING:
    from nightrank.flows.serve.run import Started


def serve(
    *,
    config: Config = None,
    host: Annotated[str | None, Parameter(help="Address to listen at. Default: [serve].host of the settings.")] = None,
    port: Annotated[
        int | None, Parameter(help="Port to listen at; 0: any that is free. Default: [serve].port of the settings.")
    ] = None,
    json_: Json = False,
) -> int:
    """Answer queries over HTTP: from the release, or now where it does not know them; follow what is published."""
    from nightrank.flows.serve.run import run

    _, configuration = settings_of(config)
    settings = configuration.settings.serve
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("nightrank.serve").setLevel(logging.INFO)

    def on_start(started: Started) -> None:
        for warning in started.warnings:
            sys.stderr.write(f"Note: {warning}\n")
        if json_:
            print_json(started.as_json())
        else:
            how = "any query" if started.live else "what was answered in advance"
            memory = f", {started.memory_bytes / 1e6:,.0f} MB of collection in memory" if started.memory_bytes else ""
            what = f"the release {started.release_id} at {started.address}: {how}{memory}"
            if started.release_id is None:
                what = f"nothing yet at {started.address}"
            sys.stdout.write(f"Serving {what}. Ctrl+C ends it.\n")
            sys.stdout.flush()

    run(
        configuration,
        host=settings.host if host is None else host,
        port=settings.port if port is None else port,
        on_start=on_start,
    )
    return 0
