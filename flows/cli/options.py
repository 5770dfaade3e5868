"""What commands share: their common options, one JSON object on standard output, a quiet Prefect."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

Config = Annotated[
    Path | None,
    Parameter(name=["--config", "-c"], help="Settings file. Default: nightrank.toml here, else the demo's."),
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="One JSON object on standard output, nothing else.")]


def quiet_prefect() -> None:
    """Nothing of Prefect's logs beside our own words, and no word to anyone outside; the user's own settings win."""
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    without_telemetry()
    os.environ.setdefault(
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180"
    )  # a busy machine is slow, not broken


def without_telemetry() -> None:
    """No word to anyone outside; the user's own settings win."""
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")


def print_json(value: Mapping[str, object]) -> None:
    """Write a value on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
    sys.stdout.flush()
