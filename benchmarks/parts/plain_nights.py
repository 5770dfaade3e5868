"""A night without Prefect's engine: stages run as the plain functions that they are, in the order of the flow.

For what is not to be measured with Prefect's own seconds, or runs a hundred times: rebuilds, soaks, kill tests.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar
from unittest.mock import patch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from prefect import Task

    from nightrank.flows.night.summary import Summary

T = TypeVar("T")


def refresh_plainly(settings_file: Path, *, on_stage: Callable[[str], None] = lambda _name: None) -> Summary:
    """Run the nightly flow in this process; what it raises and returns are the flow's own.

    Args:
        settings_file: The settings.
        on_stage: Told the name of each stage before it begins.
    """
    from nightrank.flows.night.build import Build
    from nightrank.flows.refresh import refresh

    def stage(build: Build, task: Task[..., T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401 (as the task takes them)
        on_stage(task.name)
        start = time.perf_counter()
        outcome: T = task.fn(*args, **kwargs)
        build.seconds[task.name] = time.perf_counter() - start
        return outcome

    with patch.object(Build, "stage", stage):
        return refresh.fn(str(settings_file))
