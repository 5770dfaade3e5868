"""Progress of long work: a bar on standard error where a person looks, and on Prefect's pages where there is a server.

Where a log is kept there is nothing.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nightrank.tasks.runtime.progress_artifact__fold import ProgressArtifact, is_recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
