"""What ``nightrank schedule`` prints for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from nightrank.flows.terminal import terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.flows.schedule.plan import Served
    from nightrank.flows.schedule.watcher import Watcher


def show_schedule(served: Sequence[Served], watcher: Watcher | None) -> None:
    """A table of the flows that are served, what is watched, and how to begin one at once.

    Args:
        served: The flows; the first is the night.
        watcher: Has it begun after changes, where that is on.
    """
    console = terminal()
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("deployment", "when", "what"):
        table.add_column(name)
    for one in served:
        when = "on demand" if one.cron is None else f"{one.cron} ({one.timezone})"
        table.add_row(one.path, when, one.description)
    console.print(table)
    if watcher is not None:
        console.print(f"Watching the documents by {watcher.means()}: {served[0].path} begins after changes.")
    console.print(f"Serving until stopped. To start one now: prefect deployment run '{served[0].path}'")
