"""What all flows have in common on Prefect's side: runs named for their workspace, and people told when one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

from prefect import flow

from nightrank.flows.engine.names import flow_run_name
from nightrank.flows.engine.notify import notify, tag_machine_failure
from nightrank.flows.engine.outcome import noting_outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect import Flow

P = ParamSpec("P")
R = TypeVar("R")


def nightrank_flow(name: str) -> Callable[[Callable[P, R]], Flow[P, R]]:
    """Make a function a flow; its first parameter is ``settings_file``.

    Args:
        name: Of the flow.
    """

    def decorate(function: Callable[P, R]) -> Flow[P, R]:
        made: Flow[P, R] = flow(
            name=name,
            flow_run_name=flow_run_name,
            on_failure=[tag_machine_failure, notify],
            on_crashed=[notify],
            on_cancellation=[notify],
        )(noting_outcome(function))
        return made

    return decorate
