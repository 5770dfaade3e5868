"""What people read of a tuning in a terminal: what would change, what it is worth, and how sure that is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.table import Table

from nightrank.flows.terminal import plain, terminal
from nightrank.tasks.names import STAGE_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nightrank.flows.tune.flow import Tuning
    from nightrank.storage.records import JsonValue
    from nightrank.tasks.tune.cross_validate import Tuned
    from nightrank.tasks.tune.order import FittedOrder

CHOICES_SHOWN = 5
SEGMENTS = (
    "Settings hold for all queries: a segment that should have others needs a settings file and a log of its own."
)
NAMES = {"present": "current settings", **STAGE_NAMES}


def show_tuning(tuning: Tuning) -> None:
    """Everything that a tuning found."""
    console, tuned = terminal(), tuning.tuned
    console.print(
        f"Release {tuned.release_id}: {tuned.tried:,} variants on {tuned.queries:,} judged queries, "
        f"{tuned.pairs_scored:,} pairs scored anew.",
        highlight=False,
    )
    console.print(_values_table(tuned))
    console.print(_gains_table(tuned))
    console.print(
        f"Cross-validated: cut into {tuned.folds} folds {len(tuned.by_fold) // tuned.folds} times over, each query is "
        f"measured with what queries of other folds chose. On the queries that chose it, what is chosen has nDCG@10 "
        f"{tuned.optimistic:.4f}, which is optimistic.",
        highlight=False,
        soft_wrap=True,
    )
    console.print(_choices_table(tuned.by_fold))
    if tuned.order is not None:
        console.print(_fitted(tuned.order), highlight=False, soft_wrap=True)
    if tuned.segments:
        console.print(_segments_table(tuned))
        console.print(SEGMENTS, highlight=False, soft_wrap=True)
    console.print(_verdict(tuning), highlight=False, soft_wrap=True)


def _fitted(order: FittedOrder) -> str:
    return (
        f"The learned order is fitted to {order.queries:,} judged queries, beginning with the packaged one and held to "
        f"it with strength {order.strength:g}; {order.file_name} is its file."
    )


def _verdict(tuning: Tuning) -> str:
    tuned = tuning.tuned
    if not tuned.changes:
        return "Keep the settings: nothing beats them by more than one standard error."
    if not tuned.recommended:
        return "Keep the settings: the gain is not proved (the interval reaches 0 or below)."
    values = ", ".join(f"{key} = {_shown(value)}" for key, value in tuned.changes.items())
    if tuning.written is not None:
        anew = " and makes BM25's statistics anew" if "bm25.fields" in tuned.changes else ""
        return f"Wrote {plain(str(tuning.written))}: {values}. The next `nightrank refresh` publishes with it{anew}."
    return f"Recommended: {values}. `nightrank tune --write` writes it to the settings file."


def _values_table(tuned: Tuned) -> Table:
    table = _narrow("What is tuned")
    for name in ("key", "now", "chosen"):
        table.add_column(name, no_wrap=True)
    for key in dict.fromkeys([*tuned.present, *tuned.chosen]):
        table.add_row(key, *(_shown(values.get(key)) for values in (tuned.present, tuned.chosen)))
    return table


def _gains_table(tuned: Tuned) -> Table:
    table = _narrow("nDCG@10 and the recall of the candidates, cross-validated")
    table.add_column("compared with", no_wrap=True)
    for name in ("before", "tuned", "change", "95% interval", "p", "w/t/l"):
        table.add_column(name, justify="right", no_wrap=True)
    rows = {NAMES[name]: found for name, found in tuned.compared_with.items()}
    for name, found in {**rows, "recall": tuned.recall}.items():
        table.add_row(
            name,
            f"{found.before:.4f}",
            f"{found.after:.4f}",
            f"{found.difference:+.4f}",
            f"{found.low:+.3f} to {found.high:+.3f}",
            f"{found.p_value:.4f}",
            f"{found.wins}/{found.ties}/{found.losses}",
        )
    return table


def _choices_table(by_fold: Sequence[Mapping[str, JsonValue]]) -> Table:
    table = _narrow("What the folds choose")
    table.add_column("folds", justify="right")
    table.add_column("values")
    counted = Counter(", ".join(f"{key} = {_shown(value)}" for key, value in values.items()) for values in by_fold)
    for values, count in counted.most_common(CHOICES_SHOWN):
        table.add_row(str(count), values)
    rest = counted.total() - sum(count for _, count in counted.most_common(CHOICES_SHOWN))
    if rest:
        table.add_row(str(rest), "others")
    return table


def _segments_table(tuned: Tuned) -> Table:
    table = _narrow("What segments of the log would choose for themselves, nDCG@10 on their queries")
    table.add_column("segment")
    for name in ("queries", "current", "tuned", "95% interval"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("values")
    for name, segment in tuned.segments.items():
        gain = segment.gain
        values = ", ".join(f"{key.partition('.')[2]} {_shown(value)}" for key, value in segment.changes.items())
        table.add_row(
            plain(name),
            str(gain.queries),
            f"{gain.before:.4f}",
            f"{gain.after:.4f}",
            f"{gain.low:+.3f} to {gain.high:+.3f}",
            values or "no change",
        )
    return table


def _shown(value: JsonValue) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_shown(part)}' for key, part in value.items())} }}"
    return "" if value is None else f"{value:g}" if isinstance(value, float) else plain(str(value))


def _narrow(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
