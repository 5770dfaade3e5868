"""What a refresh says in the terminal when it is done."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from nightrank.flows.terminal import plain, show_account, show_measures, terminal
from nightrank.tasks.counts import memo_use
from nightrank.tasks.names import judged_queries

if TYPE_CHECKING:
    from rich.console import Console

    from nightrank.flows.night.summary import Summary
    from nightrank.storage.release.manifest import Gate, KnownItemsMeasured, Manifest
    from nightrank.tasks.counts import MemoUse


def show_summary(summary: Summary) -> None:
    """What a refresh did."""
    console = terminal()
    manifest, counts = summary.manifest, summary.counts
    if not summary.changed and summary.refused:
        console.print(f"Nothing was built: release {manifest.release_id} was refused ({_seconds(summary)}).")
        _show_gates(console, manifest)
        _show_notes(console, summary)
        return
    if not summary.changed:
        console.print(f"Nothing to do: release {manifest.release_id} is up to date ({_seconds(summary)}).")
        _show_notes(console, summary)
        return
    verb = "Published" if summary.published else "Rejected"
    despite = ", ".join(gate.name for gate in summary.overridden) if summary.published else ""
    head = f"{verb} release {manifest.release_id}{f' despite {despite}' if despite else ''} ({_seconds(summary)})."
    console.print(head, style="bold")
    console.print(_counts_table(summary))
    if manifest.measures:
        milliseconds = {stage.stage: stage.milliseconds for stage in summary.ladder if stage.milliseconds is not None}
        title = f"Measures on {counts.queries_judged} {judged_queries(manifest.judged_by)}"
        show_measures(manifest.measures, title=title, milliseconds=milliseconds)
    if manifest.known_items is not None:
        show_measures(manifest.known_items.measures, title=known_items_title(manifest.known_items))
    _show_gates(console, manifest)
    show_account(summary.account, console)
    _show_notes(console, summary)


def known_items_title(known: KnownItemsMeasured) -> str:
    """What the table of known items' measures is headed with: what they are, and what they are not."""
    kinds = ((known.titles, "titles"), (known.headings, "headings"), (known.sentences, "sentences"))
    told = ", ".join(f"{count} {name}" for count, name in kinds if count)
    return f"Measures on {known.items} known items ({told}, masked); nobody judged them"


def _counts_table(summary: Summary) -> Table:
    counts = summary.counts
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_column()
    table.add_row(
        "documents",
        f"{counts.documents:,}",
        f"{counts.documents_added:,} added, {counts.documents_edited:,} edited, "
        f"{counts.documents_metadata:,} with other metadata, {counts.documents_removed:,} removed"
        + (f", {counts.documents_retracted:,} kept out (taken down)" if counts.documents_retracted else ""),
    )
    memos = memo_use(counts)
    table.add_row(
        "chunks", f"{counts.chunks:,}", _computed(counts.chunks_embedded, "embedded", memos["chunk embeddings"])
    )
    table.add_row(
        "queries",
        f"{counts.queries:,}",
        f"{counts.queries_judged:,} judged, "
        + (f"{counts.queries_from_documents:,} from the documents, " if counts.queries_from_documents else "")
        + _computed(counts.queries_embedded, "embedded", memos["query embeddings"]),
    )
    if counts.sparse_texts:
        made, use = counts.sparse_texts_encoded, memos["sparse vectors of texts"]
        table.add_row("sparse texts", f"{counts.sparse_texts:,}", _computed(made, "encoded", use))
    dropped = ", ".join(f"{drop.rows:,} {drop.reason}" for drop in summary.dropped)
    if summary.coverage is not None:
        covered = f"of the log's traffic answered{'; rows not kept: ' if dropped else ''}{dropped}"
        table.add_row("coverage", f"{_tenths(summary.coverage)}%", covered)
    table.add_row("pairs", f"{counts.pairs:,}", _computed(counts.pairs_scored, "scored", memos["pair scores"]))
    if checked := counts.vectors_checked + counts.scores_checked:
        table.add_row("drift check", f"{checked:,}", "stored values computed again, all within tolerance")
    slowest = sorted(((s, name) for name, s in summary.seconds.items() if name != "total"), reverse=True)[:4]
    table.add_row("seconds", f"{summary.seconds['total']:.1f}", ", ".join(f"{name} {s:.1f}" for s, name in slowest))
    return table


def _computed(count: int, done: str, use: MemoUse) -> str:
    return f"{count:,} {done}, {_tenths(use.hit_rate)}% from the memo"


def _tenths(share: float) -> str:
    """A share as per cent, rounded down: 100.0 % is all, not nearly all."""
    return f"{math.floor(1000 * share) / 10:.1f}"


def _show_gates(console: Console, manifest: Manifest) -> None:
    """Each gate that compared something in a row; those that could not in a line for each reason."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("gate", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("threshold", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("why")
    not_compared: dict[str, list[str]] = {}
    for gate in manifest.gates:
        if gate.why_not_compared is not None:
            not_compared.setdefault(gate.why_not_compared, []).append(gate.name)
            continue
        table.add_row(gate.name, f"{gate.value:.4g}", f"{gate.threshold:.4g}", _verdict(gate), Text(plain(gate.reason)))
    if table.row_count:
        console.print(table)
    for why, names in not_compared.items():
        console.print(f"Not compared: {', '.join(names)}: {plain(why)}.", style="dim", highlight=False, markup=False)


def _verdict(gate: Gate) -> Text:
    if gate.accepted:
        return Text("ACCEPTED", style="bold yellow")
    return Text("passed", style="green") if gate.passed else Text("FAILED", style="bold red")


def _show_notes(console: Console, summary: Summary) -> None:
    bad = summary.counts.documents_bad + summary.counts.queries_bad
    if bad:
        rows = "1 row was" if bad == 1 else f"{bad:,} rows were"
        line = f"Note: {rows} set aside; bad_rows.parquet in the release says which and why."
        console.print(line, style="yellow")
    for warning in summary.warnings:
        console.print(f"Note: {plain(warning)}", style="yellow")


def _seconds(summary: Summary) -> str:
    return f"{summary.seconds['total']:.1f} s"
