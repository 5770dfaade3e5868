"""What people read of a takedown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from nightrank.flows.terminal import plain, terminal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from nightrank.flows.operate.retract import Listed, TakenDown
    from nightrank.tasks.takedown.erase import Erased

SHOWN = 10  # ids that a line names


def show_taken_down(done: TakenDown) -> None:
    """What readers get now, and what comes later."""
    console, changed = terminal(), done.changed
    held = [one for one in done.documents if one in changed.held]
    others = [one for one in done.documents if one not in changed.held]
    release = "" if changed.release_id is None else f" ({changed.release_id})"
    if held:
        verb = "Back in answers" if done.undone else "Taken down"
        console.print(Text(f"{verb}: {_named(held)}."), style="bold")
    if others and done.undone:
        console.print(Text(f"Back with the next refresh that reads them: {_named(others)}."), style="bold")
    elif others:
        console.print(
            Text(f"Kept out from now on, and not in the release that readers see{release}: {_named(others)}.")
        )
    again = [one for one in done.documents if one in changed.listed]
    if again and not done.undone:
        console.print(Text(f"On the list before: {_named(again)}."))
    if changed.release_id is not None:
        count = f"{changed.replaced:,} answer{' is' if changed.replaced == 1 else 's are'}"
        console.print(f"{count} others than the release {changed.release_id} holds.", highlight=False)
    for one in done.exported:
        console.print(Text(plain(f"{one.to} serves it so{'' if one.changed else ' already'}.")))
    if not done.exported and not done.failed:
        console.print("What was exported by `nightrank export --to` is not known here: export it again.")
    if done.erased is not None:
        _show_erased(done.erased, console)
    for warning in done.warnings:
        console.print(f"Note: {plain(warning)}", style="yellow")
    for reason in done.failed:
        console.print(Text(plain(f"NOT DONE: {reason} Run the same command again.")), style="bold red")


def _show_erased(erased: Erased, console: Console) -> None:
    """What was searched and found, and what no search of ours reaches."""
    if erased.rewritten is not None:
        console.print(f"Release {erased.rewritten} was made again without it: {erased.release_id} is live now.")
    if erased.releases_removed:
        console.print(f"Releases removed: {', '.join(erased.releases_removed)}.", highlight=False)
    counts = ", ".join(f"{count:,} {kind}" for kind, count in erased.looked_for.items())
    size = f"{erased.bytes_searched / 1e6:.1f} MB in {erased.files_searched:,} files"
    console.print(f"Searched {size} for {counts}.", highlight=False)
    before = ", ".join(f"{kind} in {count:,} files" for kind, count in erased.found_before.items())
    after = ", ".join(f"{kind} in {count:,} files" for kind, count in erased.found_after.items())
    console.print(f"Found before: {before or 'nothing'}. Found now: {after or 'nothing'}.", style="bold")
    if not erased.looked_for["texts"] and not erased.looked_for["vectors"]:
        console.print("No release holds it, so nothing but the id is known to search for: this proves little.")
    if erased.shared_texts:
        console.print(f"{erased.shared_texts:,} of its texts are other documents' as well, and stay.")
    if erased.shared_parts:
        console.print(f"{erased.shared_parts:,} parts of its texts are others' or queries' too, and prove nothing.")
    console.print("The id stays in retracted.json: by it nights know what to leave out.")
    console.print(
        "Not reached: the source, backups, exported files that somebody copied or holds open, copies of a bucket on "
        "other machines until they look again, versions that a bucket keeps, Prefect's own database, trained models."
    )


def show_listed(listed: Listed) -> None:
    """What is taken down."""
    console = terminal()
    if not listed.documents:
        console.print("No document is taken down.")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("document", "when", "by", "reason"):
        table.add_column(name, overflow="fold")
    for document_id, said in listed.documents.items():
        table.add_row(*(Text(plain(cell)) for cell in (document_id, said.at, said.by, said.reason)))
    console.print(table)


def _named(ids: Iterable[str]) -> str:
    found = list(ids)
    more = len(found) - SHOWN
    return ", ".join(map(plain, found[:SHOWN])) + (f" and {more:,} more" if more > 0 else "")
