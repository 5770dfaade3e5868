"""What is served on which schedule, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from nightrank.flows.operate.terminal import terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.flows.schedule import Served


def show_schedule(served: Sequence[Served]) -> None:
    """A table of the flows that are served, and how to begin one at once.

    Args:
        served: The flows; the first is the night.
    """
    console = terminal()
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("deployment", "when", "what"):
        table.add_column(name)
    for one in served:
        when = "on demand" if one.cron is None else f"{one.cron} ({one.timezone})"
        table.add_row(one.path, when, one.description)
    console.print(table)
    console.print(f"Serving until this is stopped. A run at once: prefect deployment run '{served[0].path}'")
