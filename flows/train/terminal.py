"""What people read of a training in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.flows.train.promotion import Trained
    from nightrank.storage.workspace.models import Promotion
    from nightrank.tasks.models.card import Figure


def show_trained(trained: Trained) -> None:
    """What a training made, before and after, and what becomes of it."""
    console = Console(soft_wrap=True, highlight=False)
    card = trained.card
    console.print(Text(f"Trained {trained.folder} ({trained.seconds:.0f} s)."), style="bold")
    gathered, mined, learnt = card.gathered, card.mined, card.training
    console.print(
        Text(
            f"{mined.queries} queries from {gathered.origin}, {mined.pairs} pairs, {mined.negatives} negatives; "
            f"{learnt['steps']} updates, best after update {learnt['best_step']}."
        )
    )
    if gathered.filtered:
        console.print(Text(f"Left out: {gathered.filtered} pairs whose query has a filter."))
    passages = f"{'all' if mined.whole_collection else 'a sample of'} {mined.evaluated_passages} passages"
    console.print(figures_table(card.figures, title=f"{card.figures[0].queries} held-out queries over {passages}"))
    if card.regression_set is not None:
        title = f"Regression set {card.regression_set.name}, {card.regression_set.passages} passages"
        console.print(figures_table([card.regression_set.figure], title=title))
    for remark in card.remarks:
        console.print(Text(f"Note: {remark}"), style="yellow")
    if trained.promoted:
        show_promoted(trained)
    elif card.refusals:
        console.print(Text(f"No better than the present one: {'; '.join(card.refusals)}."))
    else:
        console.print(Text(f"Better than the present one: `nightrank train promote {trained.folder.name}`."))


def show_promoted(trained: Trained) -> None:
    """What a promotion does."""
    console = Console(soft_wrap=True, highlight=False)
    console.print(
        Text(f"Promoted {trained.folder.name}: the next `nightrank refresh` uses it and computes what depends on it.")
    )


def figures_table(figures: Sequence[Figure], *, title: str) -> Table:
    """Measures before and after, with the interval of the difference."""
    table = Table("stage", "measure", "before", "after", "difference", "95% interval", "p", title=Text(title))
    for figure in figures:
        table.add_row(
            figure.stage,
            figure.measure,
            f"{figure.before:.4f}",
            f"{figure.after:.4f}",
            f"{figure.difference:+.4f}",
            f"{figure.low:+.4f} to {figure.high:+.4f}",
            f"{figure.p_value:.4f}",
        )
    return table


def show_demoted(kind: str, promotion: Promotion | None) -> None:
    """What a demotion did."""
    console = Console(soft_wrap=True, highlight=False)
    if promotion is None:
        console.print(Text(f"No {kind} is promoted."))
    else:
        console.print(Text(f"{promotion.instead_of} is used again instead of {promotion.model}."))
