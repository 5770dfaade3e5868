"""How everything that people read in a terminal is shown: the console, plain text, a table of measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nightrank.storage.files.text import plain_text
from nightrank.tasks.names import STAGE_NAMES
from nightrank.tasks.read.told import lines_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nightrank.tasks.read.account import Entry


def show_measures(
    measures: Mapping[str, Mapping[str, float]], *, title: str, milliseconds: Mapping[str, float] | None = None
) -> None:
    """A table of stages and measures.

    Args:
        measures: By stage and name.
        title: Of the table.
        milliseconds: Of a query online, by stage, where that is known.
    """
    console = terminal()
    if not measures:
        console.print("No query is judged: set [judgments].qrels to measure.")
        return
    table = Table(title=title, title_justify="left")
    table.add_column("stage")
    for name in next(iter(measures.values())):
        table.add_column(name, justify="right")
    if milliseconds:
        table.add_column("ms a query", justify="right")
    for stage, values in measures.items():
        cells = [f"{value:.4f}" for value in values.values()]
        if milliseconds:
            cells.append(f"{milliseconds[stage]:.1f}" if stage in milliseconds else "")
        table.add_row(plain(STAGE_NAMES.get(stage, stage)), *cells)
    console.print(table)


def terminal() -> Console:
    """Where people read; what is printed there is never markup."""
    return Console(markup=False, emoji=False)


def plain(text: str) -> str:
    """A text on one line, without the characters by which it could steer a terminal."""
    return plain_text(" ".join(text.split()))


def show_account(entries: Iterable[Entry], console: Console) -> None:
    """What was read, a line for each part of the inputs."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for part, line in lines_of(entries):
        table.add_row(part, Text(plain(line)))
    console.print(table)
