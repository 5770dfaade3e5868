"""Shards computed by threads of this process, one for each of its devices."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.futures import PrefectFuture
    from prefect.task_runners import TaskRunner


@dataclass(frozen=True, slots=True)
class Threads:
    """Threads of this process.

    Attributes:
        count: How many.
    """

    count: int

    def started(self) -> AbstractContextManager[TaskRunner[Any]]:
        """Prefect's pool of threads."""
        from prefect.task_runners import ThreadPoolTaskRunner

        return ThreadPoolTaskRunner(max_workers=self.count)

    def asking(self) -> AbstractContextManager[object]:
        """Nothing: a thread takes the device that is free."""
        return nullcontext()

    def call_off(self, future: PrefectFuture[Any]) -> None:
        """Take back what has not begun."""
        future.wrapped_future.cancel()  # type: ignore[attr-defined]  # of Prefect's futures that wrap one, as here

    def loss(self, error: BaseException) -> None:
        """Threads are not lost."""
