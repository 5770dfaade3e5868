"""What people read in a terminal: tables, not walls of log.

Nothing from a document or a query is read as markup, as the name of an emoji, or by the terminal.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nightrank.flows.terminal import plain, show_account, terminal
from nightrank.storage.files.text import plain_text
from nightrank.tasks.read.told import warnings_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from nightrank.flows.operate.check import Checked
    from nightrank.flows.operate.doctor import Diagnosis
    from nightrank.flows.operate.export import Exports
    from nightrank.flows.operate.first_night import FirstNight
    from nightrank.flows.operate.quantize import Quantized
    from nightrank.flows.operate.releases import ListedRelease
    from nightrank.storage.release.manifest import Manifest
    from nightrank.storage.release.prune import Pruned
    from nightrank.storage.release.rollback import RolledBack
    from nightrank.storage.serving.cache import CachedResults, Result

EXCERPT = 240  # characters of a result's text, where it has no snippet
_BLANKS = re.compile(r"\s+")


def show_results(found: CachedResults) -> None:
    """The results of a query, and where they come from."""
    console = terminal()
    condition = "" if found.condition is None else f"  {plain(found.condition)}"
    near = "near" if found.from_query is None else f"near, as of {plain(found.from_query)}"
    how = {"exact": "cache", "near": near, "live": "live"}[found.how]
    console.print(f"{plain(found.query)}{condition}  ({how}, release {found.release_id})", style="bold")
    if not found.results:
        console.print("No document matches.")
    for result in found.results:
        head = Text.assemble((f"{result.rank:>2}  ", "cyan"), (plain(result.title or result.document_id), "bold"))
        head.append(f"  {plain(result.document_id)}  {result.score:.3f}", style="dim")
        console.print(Group(head, Padding(_excerpt(result), (0, 0, 0, 4))))


def _excerpt(result: Result) -> Text:
    """The snippet with its highlights; the beginning of the text where there is none."""
    if result.snippet is None:
        excerpt = plain(result.text)
        return Text(excerpt if len(excerpt) <= EXCERPT else excerpt[: EXCERPT - 1] + "…")
    shown = Text("… " if result.snippet.cut_start else "")
    for part in result.snippet_parts():
        shown.append(plain_text(_BLANKS.sub(" ", part.text)), style="bold yellow" if part.is_highlighted else "")
    return shown.append(" …" if result.snippet.cut_end else "")


def show_releases(releases: Sequence[ListedRelease], *, now: datetime) -> None:
    """A table of releases, newest first, why gates refused some, and what is wrong with those that cannot be read.

    Args:
        releases: Oldest first.
        now: What ages are counted to.
    """
    console = terminal()
    if not releases:
        console.print("There is no release yet: run `nightrank refresh`.")
        return
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")  # 80 columns are enough
    table.add_column("release", no_wrap=True)
    table.add_column("age", min_width=len("minutes"))
    for name in ("documents", "chunks", "queries", "MB", "nDCG@10"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("status", min_width=len("non_inferiority,"))
    for release in reversed(releases):
        table.add_row(release.release_id, *_release_cells(release, now=now))
    console.print(table)
    for release in releases:
        if release.damage:
            console.print(f"{release.release_id} is damaged: {plain(release.damage)}", style="yellow")
        for gate in [] if release.manifest is None else release.manifest.gates:
            if not gate.passed:
                verb = "published despite" if gate.accepted else "rejected by"
                line = f"{release.release_id} was {verb} {gate.name}: {plain(gate.reason)}."
                console.print(line, style="yellow", highlight=False)


def show_rollback(done: RolledBack, *, exports: bool = False) -> None:
    """Which release is current now, and what the next refresh does with that.

    Args:
        done: What was done.
        exports: Whether the settings name other places that serve releases.
    """
    console = terminal()
    before = "" if done.before is None else f"; before, it was {done.before}"
    console.print(f"Release {done.current} is current now{before}.", style="bold")
    console.print("The next refresh compares the inputs with it, and publishes a new release if they differ.")
    if exports:
        console.print("Run `nightrank export` to serve it from the targets of [export] too.")


def show_diagnosis(diagnosis: Diagnosis) -> None:
    """A table of the doctor's checks, and every fault below it."""
    console = terminal()
    table = Table(title=f"Release {diagnosis.release_id}", title_justify="left")
    for name in ("check", "compared", "verdict"):
        table.add_column(name)
    for check in diagnosis.checks:
        compared = ", ".join(f"{count:,} {name}" for name, count in check.findings.compared.items())
        mark = Text("agrees", style="green") if check.passed else Text("DISAGREES", style="bold red")
        if check.passed and not compared:
            mark = Text("not in this release", style="dim")
        table.add_row(check.name, compared, mark)
    console.print(table)
    for check in diagnosis.checks:
        for fault in check.findings.faults:
            console.print(Text.assemble((f"{check.name}: ", "bold"), plain(str(fault))))
    console.print("All stores agree." if diagnosis.healthy else "The stores disagree.")


def show_pruned(pruned: Pruned, *, dry_run: bool) -> None:
    """What was removed, or would be."""
    console = terminal()
    freed = (pruned.bytes_before - pruned.bytes_after) / 1e6
    verb = "Would free" if dry_run else "Freed"
    at_least = "at least " if dry_run else ""
    console.print(f"{verb} {at_least}{freed:.1f} of {pruned.bytes_before / 1e6:.1f} MB.", style="bold")
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_column()
    for name, removed in (
        ("releases", pruned.releases_removed),
        ("tables of other embedders", pruned.tables_removed),
        ("memos of other models", pruned.memos_removed),
    ):
        table.add_row(name, f"{len(removed):,}", Text(", ".join(removed)))
    for name, count in (
        ("abandoned refreshes", pruned.staging_removed),
        ("tags", pruned.tags_removed),
        ("texts", pruned.rows_removed),
        ("pair scores", pruned.pair_scores_removed),
        ("query embeddings", pruned.query_vectors_removed),
        ("sparse vectors", pruned.sparse_vectors_removed),
    ):
        table.add_row(name, f"{count:,}", "")
    console.print(table)
    if pruned.waiting_for_readers:
        console.print("Note: a reader holds LanceDB open; its old files are removed by a later prune.", style="yellow")


def show_checked(checked: Checked, *, settings_file: Path) -> None:
    """What a look at settings, inputs, models and workspace found."""
    console = terminal()
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("settings", Text(plain(str(settings_file))))
    read = checked.inputs
    if read is not None:
        counts = read.counts
        files = "" if checked.files is None else f" in {checked.files:,} files"
        table.add_row("documents", f"{counts.documents:,}{files}; {counts.documents_bad:,} bad rows")
        dropped = "".join(f"; {drop.rows:,} {drop.reason}" for drop in read.dropped)
        asked = (
            f", {counts.queries_from_documents:,} of them from the documents" if counts.queries_from_documents else ""
        )
        covered = "" if read.coverage is None else f"; {read.coverage:.1%} of the traffic"
        table.add_row("queries", f"{counts.queries:,}{asked}{covered}; {counts.queries_bad:,} bad rows{dropped}")
        table.add_row("judged queries", f"{counts.queries_judged:,} known; {read.judgments_unknown:,} not in the log")
    for kind, model in checked.models.items():
        table.add_row(kind, Text("none" if model is None else plain(f"{model[0]} ({model[1][:12]})")))
    if checked.workspace is not None:
        live = checked.workspace.current
        state = "no release yet" if live is None else f"release {live} of {checked.workspace.created_at}"
        down = f"; {checked.workspace.retracted:,} documents taken down" if checked.workspace.retracted else ""
        table.add_row("workspace", Text(plain(f"{checked.workspace.name}: {state}{down}")))
    console.print(table)
    if read is not None:
        show_account(read.account, console)
        for warning in warnings_of(read.account):
            console.print(f"Note: {plain(warning)}", style="yellow")
    for file, row, reason in checked.bad_rows:
        console.print(Text(plain(f"Bad row: {file}, row {row}: {reason}.")))
    for problem in checked.problems:
        console.print(Text.assemble((f"{problem.part}: ", "bold red"), plain(f"{problem.message} {problem.remedy}")))
    if checked.first_night is not None:
        console.print(Text(_first_night(checked.first_night)))
    console.print("A refresh can begin." if not checked.problems else "A refresh would fail.", style="bold")


def _first_night(found: FirstNight) -> str:
    """What the estimate of a first night says."""
    parts = [f"about {found.chunks:,} chunks"]
    if found.chunks_per_second:
        parts[0] += f" at {found.chunks_per_second:,.0f} a second"
    if found.pairs_per_second:
        parts.append(f"up to {found.pairs:,} pairs at {found.pairs_per_second:,.0f} a second")
    minutes = max(1, round(found.seconds / 60))
    told = f"The first refresh takes about {minutes:,} minute{'s'[: minutes > 1]} here, by a few seconds of "
    told += f"measuring now: {', '.join(parts)}."
    if found.pairs:
        told += f" A large GPU scores so many pairs in {max(1, round(found.gpu_seconds)):,} s, by published rates."
    return told


def show_quantized(quantized: Quantized) -> None:
    """What a converted reranker is like, and what to do with it."""
    agreed, output = quantized.agreement, plain(str(quantized.output))
    console = terminal()
    for line in (
        f"{output}: {quantized.pairs_per_second:,.0f} pairs a second, {quantized.pairs_per_second_before:,.0f} before.",
        f"Scores correlate by {agreed.correlation:.4f}; {agreed.top:.1%} of the best ten and {agreed.first:.0%} of the "
        "first are the same.",
        f"Try it: `nightrank evaluate --grid reranker.model={output}`",
        f'Use it: [reranker].model = "{output}"',
    ):
        console.print(Text(line), soft_wrap=True)  # what is copied stays on one line


def show_next_steps(settings_file: Path) -> None:
    """Where to look after the demo."""
    folder = settings_file.parent
    console = terminal()
    console.print("\nNext:", style="bold")
    for line in (
        '  nightrank search "read a csv file"            the cached top 10',
        '  nightrank search "parse toml"                 not in it: both stages now, for any query',
        "  nightrank evaluate                            each stage on the judged queries",
        "  nightrank report                              the report of the release, in the browser",
        "  nightrank refresh                             again: finds nothing to do",
        f"  {folder}/nightrank.toml   the settings; edit, then refresh",
    ):
        console.print(line, highlight=False)


def show_exports(exports: Exports) -> None:
    """What an export did."""
    console = terminal()
    for one in exports.exported:
        release_id, to = plain(one.release_id), plain(one.to)
        if one.changed:
            aliases = f" and {one.aliases:,} aliases" if one.aliases else ""
            before = f" (before: {plain(one.before)})" if one.before else ""
            console.print(f"{to} serves release {release_id}: {one.queries:,} queries{aliases}{before}.", style="bold")
        else:
            console.print(f"Nothing to do: {to} serves release {release_id} already.")
        for warning in one.warnings:
            console.print(f"Note: {plain(warning)}", style="yellow")


def _release_cells(release: ListedRelease, *, now: datetime) -> tuple[str, ...]:
    size = f"{release.size_bytes / 1e6:.1f}"
    manifest = release.manifest
    if manifest is None:
        return "", "", "", "", size, "", "current, damaged" if release.current else "damaged"
    counts = manifest.counts
    quality = manifest.measures.get("results", {}).get("nDCG@10")
    return (
        _age((now - manifest.created_at).total_seconds()),
        f"{counts.documents:,}",
        f"{counts.chunks:,}",
        f"{counts.queries:,}",
        size,
        "" if quality is None else f"{quality:.4f}",
        ("current" if release.current else manifest.status) + _gates_in_words(manifest),
    )


def _gates_in_words(manifest: Manifest) -> str:
    failed = [gate.name for gate in manifest.gates if not gate.lets_through]
    overridden = [gate.name for gate in manifest.gates if gate.accepted]
    words = [
        f", failed {', '.join(failed)}" if failed else "",
        f", despite {', '.join(overridden)}" if overridden else "",
    ]
    return "".join(words) or ", all gates passed"


def _age(seconds: float) -> str:
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = int(seconds // size)
        if count >= 1:
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"
