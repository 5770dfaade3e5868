"""Progress of long work: a bar on standard error where a person looks, and on Prefect's pages where there is a server.

Where a log is kept there is nothing.
"""

from __future__ import annotations

import re
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import TaskRunContext
from prefect.logging import get_logger
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID


RETRIES = 1  # of a report to the server: the work waits for it, 2 seconds
SECONDS_BETWEEN = 5.0


@contextmanager
def progress(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar while the block runs; what it yields takes how many more are done.

    Args:
        description: What is going on, in two or three words.
        total: How many there are to do; nothing is shown for none.
    """
    with ExitStack() as shown:
        advances: list[Callable[[int], None]] = []
        if total > 0 and is_recorded():
            artifact = ProgressArtifact(description, total)
            shown.callback(artifact.close)
            advances.append(artifact.advance)
        console = Console(stderr=True)
        if total > 0 and console.is_terminal:
            bar = shown.enter_context(_bar(console))
            task = bar.add_task(description, total=total)
            advances.append(partial(bar.advance, task))

        def advance(done: int) -> None:
            for each in advances:
                each(done)

        yield advance


def _bar(console: Console) -> Progress:
    columns = [
        TextColumn("{task.description:<22}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    ]
    return Progress(*columns, console=console, transient=True)


class ProgressArtifact:
    """A progress artifact, made once the work has taken :data:`SECONDS_BETWEEN`: what is done sooner needs none.

    Args:
        description: What is going on, in two or three words.
        total: How many there are to do.
    """

    def __init__(self, description: str, total: int) -> None:
        self._description, self._total = description, total
        self._done = 0
        self._reported_at = time.monotonic()
        self._artifact: UUID | None = None
        self._is_open = True

    def advance(self, done: int) -> None:
        """Count that many more as done."""
        self._done += done
        now = time.monotonic()
        if now - self._reported_at >= SECONDS_BETWEEN:
            self._reported_at = now
            self._report()

    def close(self) -> None:
        """Leave it as the work ended."""
        if self._artifact is not None:
            self._report()

    def _report(self) -> None:
        if not self._is_open:
            return
        percent = round(100 * min(self._done / self._total, 1.0), 1)
        text = f"{self._description}: {self._done:,} of {self._total:,}"
        try:
            with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: RETRIES}):
                if self._artifact is None:
                    made = create_progress_artifact(percent, key=_key(self._description), description=text)
                    self._artifact = cast("UUID", made)  # a coroutine is what it is for callers that are coroutines
                else:
                    update_progress_artifact(self._artifact, percent, description=text)
        except Exception as error:  # a server that does not answer is no reason to stop the work
            self._is_open = False
            get_logger("nightrank").warning("Progress is shown no more: %s: %s", type(error).__name__, error)


def is_recorded() -> bool:
    """Whether this is a task run whose pages somebody can look at: those of a Prefect server's, which is running."""
    return TaskRunContext.get() is not None and bool(PREFECT_API_URL.value())


def _key(description: str) -> str:
    """The artifact's key.

    >>> _key("asking the teacher")
    'nightrank-asking-the-teacher'
    """
    return f"nightrank-{re.sub('[^a-z0-9]+', '-', description.lower())}"
