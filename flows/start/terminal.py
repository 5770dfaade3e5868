"""What `nightrank init` asks and says in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from nightrank.flows.start.propose import told_languages
from nightrank.flows.terminal import plain, terminal

if TYPE_CHECKING:
    from nightrank.flows.start.init import Initialised
    from nightrank.storage.errors import InputError


class _Terminal:
    """Asks in the terminal."""

    def __call__(self, question: str, *, default: str, choices: tuple[str, ...] = ()) -> str:
        """As ``flows.start.init.Ask``."""
        console = terminal()
        offered = f" ({'/'.join(choices)})" if choices else ""
        while True:
            shown = f" [{plain(default)}]" if default else ""
            answer = console.input(Text(f"{plain(question)}{offered}{shown}: ")).strip() or default
            if answer and (not choices or answer in choices):
                return answer

    def complain(self, error: InputError) -> None:
        """As ``flows.start.init.Ask``."""
        terminal().print(Text(plain(f"{error.message} {error.remedy}"), style="yellow"))


asked_in_terminal = _Terminal()


def show_initialised(done: Initialised) -> None:
    """What was found and written, and what comes next."""
    console = terminal()
    seen, documents = done.seen, done.seen.documents
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    size = f"{documents.count:,} document{'' if documents.count == 1 else 's'}"
    size = size if documents.is_whole else f"more than {size}"
    table.add_row("documents", Text(plain(f"{seen.source}: {size}. {told_languages(documents.languages)}")))
    if seen.log is None:
        table.add_row("queries", "no log found: the documents' titles, headings and phrases are asked")
    else:
        table.add_row("queries", Text(plain(f"{seen.log.name}: {seen.log.distinct:,} different ones")))
    judged = "none found: nothing is measured" if seen.judgments is None else None
    if seen.judgments is not None:
        judged = f"{seen.judgments.name}: {seen.judgments.judgments:,} of {seen.judgments.queries:,} queries"
    table.add_row("judgments", Text(plain(judged or "")))
    console.print(table)
    for warning in done.warnings:
        console.print(f"Note: {plain(warning)}", style="yellow")
    console.print(Text(f"\nWrote {plain(str(done.settings_file))}:"), style="bold")
    for line in done.settings_file.read_text(encoding="utf-8").splitlines():
        console.print(Text(f"  {plain(line)}", style="dim" if line.startswith("#") else ""), soft_wrap=True)
    console.print("\nNext:", style="bold")
    for line in (
        "  nightrank check                  judges it; how long the first refresh takes",
        "  nightrank refresh                makes and publishes the first release",
        '  nightrank search "..."           searches it, for any words',
    ):
        console.print(line, highlight=False)
