"""How much of next month's traffic do the chosen queries answer, and is that more than plain frequency order gives?

The search terms of Berlin's open data portal, 37 months (month, query, impressions, visits):

    python -m benchmarks.coverage --data FOLDER

For each of the last six months, one after the other, queries are chosen from all months before it, by the product's
default rule and by plain frequency (the most impressions so far, each text for itself), and the month's impressions
that a budget of 100, 500 and 2,000 queries answers are compared. A query of that month that was never searched for
before cannot be answered; the column "seen before" is what a budget without limit answers.

The half-life and the power were chosen on the months before the six; `--tune` prints that choice's table.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from nightrank.storage.errors import InputError
from nightrank.storage.keys import normalise_query
from nightrank.storage.records import BadRow, LoggedQuery
from nightrank.tasks.query_log.aliases import merge_aliases
from nightrank.tasks.query_log.coverage import Candidates, chosen_before
from nightrank.tasks.query_log.demand import PLAIN_FREQUENCY, Rule
from nightrank.tasks.query_log.traffic import TrafficCounter, day_of
from nightrank.tasks.read.account import Account
from nightrank.tasks.read.input_file import InputFile
from nightrank.tasks.read.tables.rows import read_rows
from nightrank.tasks.settings.inputs import QueriesSettings

if TYPE_CHECKING:
    from nightrank.tasks.query_log.traffic import Traffic

LOG = "berlin-search-terms.tsv"
BUDGETS = (100, 500, 2000)
MONTHS = 6
TUNED_FROM = 12  # months that come before the first one that the rule is tuned on
HALF_LIVES = (0.0, 183.0, 365.0, 548.0, 730.0, 1095.0)
POWERS = (1.0, 0.7, 0.5, 0.3)


@dataclass(frozen=True, slots=True)
class Month:
    """The shares of one month's traffic that each budget answers.

    Attributes:
        name: Year and month.
        chosen: By our rule, by budget.
        frequency: By plain frequency, by budget.
        seen: Share of its traffic that was searched for before, by our merging.
    """

    name: str
    chosen: tuple[float, ...]
    frequency: tuple[float, ...]
    seen: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help=f"folder of {LOG}")
    parser.add_argument("--tune", action="store_true", help="compare rules on the months before the six instead")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    months, traffic = read_months(options.data / LOG)
    if options.tune:
        _tune(traffic, dict(list(months.items())[TUNED_FROM:-MONTHS]))
        return
    measured = [measure(traffic, name, day) for name, day in list(months.items())[-MONTHS:]]
    if options.json:
        rows = [{"month": m.name, "chosen": m.chosen, "frequency": m.frequency, "seen": m.seen} for m in measured]
        print(json.dumps({"budgets": BUDGETS, "rows": rows, "verdict": verdict(measured)}))
    else:
        _show(measured)


def read_months(path: Path) -> tuple[dict[str, int], Traffic]:
    """The days that stand for the months, in their order, and the traffic: impressions by text and month."""
    counter = TrafficCounter(most_users=1)
    months: dict[str, int] = {}
    for row in read_rows(InputFile(path, path.name, "queries", Account()), None, max_bytes=1_000_000):
        if isinstance(row, BadRow):
            raise InputError(f"{row.file}, row {row.row}: {row.reason}.", remedy="Use the file as it was published.")
        text, month = str(row.values["query"]), str(row.values["month"])
        count, number = int(str(row.values["impressions"])), row.number
        logged = LoggedQuery(text, None, count, timestamp=f"{month}-01", file=path.name, row=number)
        months[month] = day_of(logged)
        counter.add(logged, normalise_query(text))
    return dict(sorted(months.items())), counter.traffic()


def measure(traffic: Traffic, name: str, day: int) -> Month:
    """What each budget answers of a month, chosen from the months before it."""
    settings = QueriesSettings(log="-")
    rule = Rule(half_life_days=settings.half_life_days, count_exponent=settings.count_exponent)
    ours = _shares(traffic, rule, day=day, near=settings.merge == "near")
    plain = _shares(traffic, PLAIN_FREQUENCY, day=day, near=False)
    return Month(name, ours[:-1], plain[:-1], seen=ours[-1])


def _shares(traffic: Traffic, rule: Rule, *, day: int, near: bool) -> tuple[float, ...]:
    """The share of a day's traffic that each of ``BUDGETS`` answers, then that of a budget without limit."""
    merged = merge_aliases(traffic, near=near)
    every = np.ones(len(merged.texts), dtype=bool)
    order, on_the_day = chosen_before(Candidates(merged.texts, merged.entries, every, every), rule, day=day)
    answered = on_the_day[order]
    return tuple(float(answered[:budget].sum() / on_the_day.sum()) for budget in (*BUDGETS, len(order)))


def verdict(months: list[Month]) -> list[dict[str, float | int]]:
    """For each budget the means, their difference, and in how many months ours answers more, as much, less."""
    found: list[dict[str, float | int]] = []
    for place, budget in enumerate(BUDGETS):
        differences = [month.chosen[place] - month.frequency[place] for month in months]
        found.append(
            {
                "budget": budget,
                "chosen": mean(month.chosen[place] for month in months),
                "frequency": mean(month.frequency[place] for month in months),
                "difference": mean(differences),
                "wins": sum(difference > 0 for difference in differences),
                "ties": sum(difference == 0 for difference in differences),
                "losses": sum(difference < 0 for difference in differences),
            }
        )
    return found


def _show(months: list[Month]) -> None:
    table = Table("month", *(f"{budget:,}: chosen / frequency" for budget in BUDGETS), "seen before")
    for month in months:
        pairs = zip(month.chosen, month.frequency, strict=True)
        table.add_row(month.name, *(f"{ours:.1%} / {plain:.1%}" for ours, plain in pairs), f"{month.seen:.1%}")
    Console(width=110).print(table)
    for row in verdict(months):
        better = "more" if row["difference"] > 0 else "less" if row["difference"] < 0 else "as much"
        print(
            f"budget {row['budget']:>5,}: {row['chosen']:.2%} against {row['frequency']:.2%} by plain frequency, "
            f"{100 * row['difference']:+.2f} points: {better} "
            f"({row['wins']} months won, {row['ties']} tied, {row['losses']} lost)"
        )


def _tune(traffic: Traffic, months: dict[str, int]) -> None:
    first, last = min(months), max(months)
    table = Table("half-life, days", "power", *(f"{budget:,}" for budget in BUDGETS), "mean")
    for half_life in HALF_LIVES:
        for power in POWERS:
            rule = Rule(half_life_days=half_life, count_exponent=power)
            shares = [_shares(traffic, rule, day=day, near=True)[:-1] for day in months.values()]
            means = [mean(column) for column in zip(*shares, strict=True)]
            cells = [f"{value:.2%}" for value in (*means, mean(means))]
            table.add_row(f"{half_life:g}" if half_life else "none", f"{power:g}", *cells)
    Console(width=110).print(table)
    print(f"Mean coverage of {len(months)} months, {first} to {last}, each by queries of the months before it.")


if __name__ == "__main__":
    main()
