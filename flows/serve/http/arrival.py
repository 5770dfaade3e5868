"""When a request arrived: deadlines run from there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_ARRIVED = "nightrank.arrived"


def note_arrival(scope: object) -> None:
    """Note that the headers of a request are whole; in its scope, as uvicorn has it."""
    cast("MutableMapping[str, Any]", scope)[_ARRIVED] = time.monotonic()


def arrival(scope: MutableMapping[str, Any]) -> float:
    """When they were, by ``time.monotonic``; now, where no connection has noted it."""
    return float(scope.get(_ARRIVED) or time.monotonic())
