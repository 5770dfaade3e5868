"""What people read in a terminal: tables, not walls of log.

Nothing from a document or a query is read as markup, as the name of an emoji, or by the terminal.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from flows.summary import memo_use

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from flows.summary import MemoUse, Summary
    from storage.releases import Manifest
    from storage.search_cache import CachedResults

EXCERPT = 240  # characters of a result's text
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
STAGE_NAMES = {
    "bm25": "BM25",
    "dense": "dense",
    "fused": "fused",
    "reranker": "reranker alone",
    "reranked": "reranked (weighted)",
    "results": "results as published",
}


def show_summary(summary: Summary) -> None:
    """What a refresh did."""
    console = _console()
    manifest, counts = summary.manifest, summary.counts
    if not summary.changed:
        console.print(f"Nothing to do: release {manifest.release_id} is up to date ({_seconds(summary)}).")
        _show_bad_rows(console, summary)
        return
    verb = "Published" if summary.published else "Rejected"
    console.print(f"{verb} release {manifest.release_id} ({_seconds(summary)}).", style="bold")
    console.print(_counts_table(summary))
    if manifest.measures:
        show_measures(manifest.measures, title=f"Measures on {counts.queries_judged} judged queries")
    console.print(_gates_table(manifest))
    _show_bad_rows(console, summary)
    for warning in summary.warnings:
        console.print(f"Note: {warning}", style="yellow")


def show_measures(measures: Mapping[str, Mapping[str, float]], *, title: str) -> None:
    """A table of stages and measures."""
    console = _console()
    if not measures:
        console.print("Nothing is judged: name a qrels file in [judgments].")
        return
    table = Table(title=title, title_justify="left")
    table.add_column("stage")
    for name in next(iter(measures.values())):
        table.add_column(name, justify="right")
    for stage, values in measures.items():
        table.add_row(STAGE_NAMES[stage], *(f"{value:.4f}" for value in values.values()))
    console.print(table)


def show_results(found: CachedResults, *, source: str) -> None:
    """The results of a query."""
    console = _console()
    console.print(f"{_plain(found.query)}  ({source}, release {found.release_id})", style="bold")
    if not found.results:
        console.print("No document matches.")
    for result in found.results:
        head = Text.assemble((f"{result.rank:>2}  ", "cyan"), (_plain(result.title or result.document_id), "bold"))
        head.append(f"  {_plain(result.document_id)}  {result.score:.3f}", style="dim")
        excerpt = _plain(result.text)
        body = Text(excerpt if len(excerpt) <= EXCERPT else excerpt[: EXCERPT - 1] + "…")
        console.print(Group(head, Padding(body, (0, 0, 0, 4))))


def show_releases(manifests: Sequence[Manifest], sizes: Mapping[str, int], *, current: str | None) -> None:
    """A table of releases, newest first."""
    console = _console()
    if not manifests:
        console.print("There is no release yet: run `nightrank refresh`.")
        return
    now = datetime.now(UTC)
    table = Table()
    for name, justify in (
        ("release", "left"),
        ("", "left"),
        ("age", "right"),
        ("documents", "right"),
        ("queries", "right"),
        ("MB", "right"),
        ("nDCG@10", "right"),
        ("gates", "left"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # the literals above
    for manifest in reversed(manifests):
        quality = manifest.measures.get("results", {}).get("nDCG@10")
        failed = [gate.name for gate in manifest.gates if not gate.passed]
        table.add_row(
            manifest.release_id,
            "current" if manifest.release_id == current else ("" if manifest.status == "accepted" else "rejected"),
            _age((now - manifest.created_at).total_seconds()),
            f"{manifest.counts.documents:,}",
            f"{manifest.counts.queries:,}",
            f"{sizes[manifest.release_id] / 1e6:.1f}",
            "" if quality is None else f"{quality:.4f}",
            "passed" if not failed else "failed: " + ", ".join(failed),
        )
    console.print(table)


def show_next_steps(settings_file: Path) -> None:
    """Where to look after the demo."""
    folder = settings_file.parent
    console = _console()
    console.print("\nNext:", style="bold")
    for line in (
        '  nightrank search "read a csv file"            the cached top 10',
        '  nightrank search --live "parse toml"          both stages now, for any query',
        "  nightrank evaluate                            each stage on the judged queries",
        "  nightrank refresh                             again: finds nothing to do",
        f"  {folder}/nightrank.toml   the settings; edit, then refresh",
    ):
        console.print(line, highlight=False)


def _console() -> Console:
    return Console(markup=False, emoji=False)


def _plain(text: str) -> str:
    """A text on one line, without the control characters by which it could steer a terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split()))


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
        f"{counts.documents_metadata:,} with other metadata, {counts.documents_removed:,} removed",
    )
    memos = memo_use(counts)
    table.add_row("chunks", f"{counts.chunks:,}", _computed(counts.chunks_embedded, "embedded", memos["chunk embeddings"]))
    table.add_row(
        "queries",
        f"{counts.queries:,}",
        f"{counts.queries_judged:,} judged, "
        + _computed(counts.queries_embedded, "embedded", memos["query embeddings"]),
    )
    table.add_row("pairs", f"{counts.pairs:,}", _computed(counts.pairs_scored, "scored", memos["pair scores"]))
    if checked := counts.vectors_checked + counts.scores_checked:
        table.add_row("canary", f"{checked:,}", "stored values computed again: they agree")
    slowest = sorted(((s, name) for name, s in summary.seconds.items() if name != "total"), reverse=True)[:4]
    table.add_row("seconds", f"{summary.seconds['total']:.1f}", ", ".join(f"{name} {s:.1f}" for s, name in slowest))
    return table


def _computed(count: int, done: str, use: MemoUse) -> str:
    return f"{count:,} {done}, {use.hit_rate:.1%} remembered"


def _gates_table(manifest: Manifest) -> Table:
    table = Table.grid(padding=(0, 2))
    for gate in manifest.gates:
        mark = Text("passed", style="green") if gate.passed else Text("FAILED", style="bold red")
        table.add_row(Text("gate", style="dim"), gate.name, mark, Text(gate.reason))
    return table


def _show_bad_rows(console: Console, summary: Summary) -> None:
    bad = summary.counts.documents_bad + summary.counts.queries_bad
    if bad:
        line = f"Note: {bad} rows were set aside; bad_rows.parquet in the release says which and why."
        console.print(line, style="yellow")


def _seconds(summary: Summary) -> str:
    return f"{summary.seconds['total']:.1f} s"


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
