"""What people read of an offline evaluation in a terminal: a table for each thing that was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from nightrank.flows.terminal import plain, show_measures, terminal
from nightrank.tasks.evaluate.diagnosis import totals
from nightrank.tasks.names import STAGE_NAMES, judged_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from rich.console import Console

    from nightrank.flows.evaluate.outcome import Evaluated
    from nightrank.tasks.experiment.grid import GridResult

DIVERSITY = "Before: the final order; after: diverse results, and how different they are"
OPTIMISTIC = (
    "The best of many variants on the queries that chose it is optimistic: confirm it on queries that did not, "
    "before you rely on the difference."
)


def show_evaluation(evaluated: Evaluated) -> None:
    """Everything that an evaluation found."""
    console = terminal()
    subject = "Run files" if evaluated.release_id is None else f"Release {evaluated.release_id}"
    milliseconds = {}
    if evaluated.explained is not None:
        stages = evaluated.explained.ladder
        milliseconds = {stage.stage: stage.milliseconds for stage in stages if stage.milliseconds is not None}
    title = f"{subject}, {evaluated.queries} {judged_queries(evaluated.judged_by)}"
    show_measures(evaluated.means, title=title, milliseconds=milliseconds)
    if evaluated.explained is not None and evaluated.explained.best_stage is not None:
        console.print(evaluated.explained.best_stage.warning, style="yellow", highlight=False)
    if evaluated.depths:
        console.print(_depths_table(evaluated))
    if evaluated.explained is not None:
        counted = totals(evaluated.explained.diagnosis)
        outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in counted.items() if count)
        console.print(f"Of {sum(counted.values()):,} relevant documents: {outcomes}.")
        if evaluated.explained.diversity.num_rows:
            console.print(_comparison_table(evaluated.explained.diversity, title=DIVERSITY))
    if evaluated.per_query:
        _show_worst(console, evaluated)
    if evaluated.comparison is not None:
        title = f"Before: {plain(str(evaluated.baseline))}; after: what is evaluated"
        console.print(_comparison_table(evaluated.comparison, title=title))
    if evaluated.grid:
        console.print(_grid_table(evaluated.grid))
        console.print(OPTIMISTIC, style="yellow")
    for stage, path in evaluated.runs.items():
        console.print(f"Wrote {plain(str(path))} ({STAGE_NAMES[stage]}).", highlight=False, soft_wrap=True)


def _depths_table(evaluated: Evaluated) -> Table:
    table = Table(title="Weighted ranking by reranking depth", title_justify="left")
    table.add_column("depth", justify="right")
    for name in evaluated.depths[0][1]:
        table.add_column(plain(name), justify="right")
    for depth, values in evaluated.depths:
        table.add_row(str(depth), *(f"{value:.4f}" for value in values.values()))
    return table


def _comparison_table(comparison: pa.Table, *, title: str) -> Table:
    """Stage by stage, so that 80 columns are enough."""
    table = _narrow(title)
    table.add_column("measure", no_wrap=True)
    for name in ("before", "after", "change", "95% interval", "p (Holm)", "w/t/l"):
        table.add_column(name, justify="right", no_wrap=True)
    stage = None
    for row in comparison.to_pylist():
        if row["stage"] != stage:
            stage = row["stage"]
            table.add_row(Text(plain(STAGE_NAMES.get(stage, stage)), style="bold"))
        table.add_row(
            f"  {plain(row['measure'])}",
            f"{row['before']:.4f}",
            f"{row['after']:.4f}",
            f"{row['difference']:+.4f}",
            f"{row['low']:+.3f} to {row['high']:+.3f}",
            f"{row['p_holm']:.4f}",
            f"{row['wins']}/{row['ties']}/{row['losses']}",
        )
    return table


def _grid_table(grid: Sequence[GridResult]) -> Table:
    table = _narrow("Variants of the settings, the best results first")
    for key in grid[0].values:
        table.add_column(key.rpartition(".")[2], no_wrap=True)
    names = list(grid[0].measures["results"])
    for name in names:
        table.add_column(plain(name), justify="right", no_wrap=True)
    for name in ("hybrid", "change", "p (Holm)"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in grid:
        first = result.comparison[0]
        figures = [f"{value:.4f}" for value in result.measures["results"].values()]
        table.add_row(
            *(Text(plain(str(value))) for value in result.values.values()),
            *figures,
            f"{result.measures['fused'][names[0]]:.4f}",
            "current" if result.is_current else f"{first['difference']:+.4f}",
            "" if result.is_current else f"{first['p_holm']:.4f}",
        )
    return table


def _narrow(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")


def _show_worst(console: Console, evaluated: Evaluated) -> None:
    if evaluated.explained is None or not evaluated.explained.worst:
        return
    values = evaluated.values_by_query()["results"]
    names = list(next(iter(values.values())))
    table = Table(title="Queries that the results serve worst", title_justify="left")
    for name in ("query id", "query"):
        table.add_column(name)
    for name in names:
        table.add_column(plain(name), justify="right")
    for query_id, text in evaluated.explained.worst.items():
        figures = (f"{values[query_id][name]:.4f}" for name in names)
        table.add_row(plain(query_id), plain(text) or "(not in the release)", *figures)
    console.print(table)
