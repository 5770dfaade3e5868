"""Steps of a flow that people also run without Prefect's engine, whose own server takes 10 to 20 seconds to start."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

from prefect.context import FlowRunContext

if TYPE_CHECKING:
    from prefect import Task

P = ParamSpec("P")
T = TypeVar("T")


def step(task: Task[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a task: within a flow run as Prefect's, with its page there; elsewhere as the plain function that it is."""
    if FlowRunContext.get() is None:
        return task.fn(*args, **kwargs)
    return task(*args, **kwargs)
