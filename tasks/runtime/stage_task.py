"""How a stage becomes Prefect's task: one way, so that all of them are named, kept and tried again alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun

    from nightrank.tasks.runtime.retries import Retry

P = ParamSpec("P")
T = TypeVar("T")


def stage_task(
    name: str, *, task_run_name: str | None = None, retry: Retry | None = None
) -> Callable[[Callable[P, T]], Task[P, T]]:
    """Make a function a task, which takes and returns references and small records.

    Whether something is current is decided by content and manifests: Prefect caches nothing, and keeps no outcome.

    Args:
        name: Of the task, and of its time in a summary's ``seconds``.
        task_run_name: Of one of its runs, where that tells more; names of parameters in braces.
        retry: When it is tried again; None for never. As the plain function that it is, it is tried once.
    """

    def decorate(function: Callable[P, T]) -> Task[P, T]:
        made: Task[P, T] = task(
            name=name,
            task_run_name=task_run_name,
            cache_policy=NO_CACHE,
            persist_result=False,
            retries=0 if retry is None else len(retry.seconds),
            retry_delay_seconds=None if retry is None else list(retry.seconds),
            retry_condition_fn=None if retry is None else _condition(retry),
        )(function)
        return made

    return decorate


def _condition(retry: Retry) -> Callable[[Task[..., object], TaskRun, State[object]], bool]:
    def may_pass(_task: Task[..., object], _run: TaskRun, state: State[object]) -> bool:
        try:
            state.result()
        except Exception as error:
            return retry.may_pass(error)
        return False

    return may_pass
