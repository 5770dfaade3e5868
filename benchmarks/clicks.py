"""What clicks say of systems once position is taken out: Kendall's tau with people's order, with debiasing and without.

Simulated visitors of a judged collection, whose night ``benchmarks.known_items`` has run: nights of different systems
answer them in turn, as releases change where documents stand. *Position-based* visitors look at rank r with a
probability of (1 / r) ^ severity, and open what they look at as far as it is relevant; *cascade* visitors read from the
top and stop at what satisfies them, which the position-based model does not know. Compared are the orders that
judgments by clicks and the collection's own give to the same systems:

    python -m benchmarks.clicks [--collection NAME] [--searches N] [--severity F ...]
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import kendalltau

from benchmarks.inputs.beir_folders import parsed, parser
from benchmarks.known_items import MEASURE, VARIANTS, settings_of
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.settings_file import load_settings
from nightrank.storage.records import Judgment
from nightrank.tasks.evaluate.measures import evaluate_run, stage_runs
from nightrank.tasks.experiment.experiment import Experiment
from nightrank.tasks.experiment.variants import varied
from nightrank.tasks.judgments.clicks.counts import ClickCounter
from nightrank.tasks.judgments.clicks.judge import HIGHEST, judged_by_clicks
from nightrank.tasks.judgments.clicks.rules import ClickRules
from nightrank.tasks.read.account import Account
from nightrank.tasks.trec.qrels import read_judgments

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from nightrank.tasks.judgments.clicks.counts import ClickCounts
    from nightrank.tasks.trec.runs import Entry

DEPTH = 10  # results of an answer
NOISE = 0.05  # how often what is not relevant is opened, once it is looked at
SATISFIED = 0.9  # of cascade visitors who opened something relevant
# What has answered visitors over time. Systems that never answered are ranked by the clicks on others' results.
ANSWERED = ("BM25", "RRF", "learned, no reranker", "as published")


@dataclass(frozen=True, slots=True)
class Row:
    """Visitors of a kind.

    Attributes:
        taus: With the order by people's judgments, of that by each way to judge by clicks.
        estimated: What propensities came to, at ranks 1, 2, 3, 5 and 10.
    """

    visitors: str
    severity: float
    clicks: int
    judged: int
    taus: dict[str, float]
    estimated: list[float]


def runs_of(options: argparse.Namespace) -> tuple[dict[str, list[Entry]], list[Judgment]]:
    """What each system answers judged queries with, and people's judgments."""
    path = settings_of(options.collection, options)
    refresh_plainly(path)
    configuration = load_settings(path, anew=True)
    settings, base = configuration.settings, configuration.base
    judgments = read_judgments(base / str(settings.judgments.qrels), name="qrels", account=Account())
    runs: dict[str, list[Entry]] = {}
    with Experiment.open(
        configuration.workspace, settings, judgments, base=base, now=datetime.now(UTC), measures=[MEASURE]
    ) as experiment:
        variants = {name: varied(settings, changes) for name, changes in VARIANTS.items()}
        experiment.prepare(list(variants.values()))
        for name, variant in variants.items():
            found = stage_runs(
                experiment.evaluate(variant).candidates,
                experiment.queries,
                {judgment.query_id for judgment in judgments},
                legs=variant.retrieval.legs,
                candidate_depth=variant.retrieval.candidate_depth,
                results=variant.results,
                ignore_identical_ids=False,
            )
            runs[name] = found["results"]
    return runs, judgments


def simulated(
    runs: Mapping[str, Sequence[Entry]],
    judgments: Sequence[Judgment],
    *,
    visitors: str,
    severity: float,
    searches: int,
    generator: np.random.Generator,
) -> ClickCounts:
    """The clicks of so many searches of each query."""
    highest = max(judgment.grade for judgment in judgments)
    liked = {(one.query_id, one.document_id): max(one.grade, 0) / highest for one in judgments}
    lists: defaultdict[str, list[list[str]]] = defaultdict(list)
    for name in ANSWERED:
        shown: defaultdict[str, list[str]] = defaultdict(list)
        for entry in sorted(runs[name], key=lambda entry: (entry.query_id, -entry.score)):
            if len(shown[entry.query_id]) < DEPTH:
                shown[entry.query_id].append(entry.doc_id)
        for query, documents in shown.items():
            lists[query].append(documents)
    looks = (1.0 / np.arange(1, DEPTH + 1)) ** severity
    counter = ClickCounter()
    for query in sorted(lists):
        for number in range(searches):
            documents = lists[query][number % len(lists[query])]
            opens = [NOISE + (1 - NOISE) * liked.get((query, document), 0.0) for document in documents]
            drawn = generator.random((3, len(documents)))
            clicked = set()
            for rank, chance in enumerate(opens):
                is_looked_at = drawn[0, rank] < (looks[rank] if visitors == "position-based" else 1.0)
                if is_looked_at and drawn[1, rank] < chance:
                    clicked.add(rank)
                    is_relevant = liked.get((query, documents[rank]), 0.0) > 0
                    if visitors == "cascade" and is_relevant and drawn[2, rank] < SATISFIED:
                        break
                if visitors == "cascade" and drawn[0, rank] > 1.0 - 0.1 * severity:  # some grow tired at each rank
                    break
            counter.add(query, documents, clicked)
    return counter.counts()


def raw(counts: ClickCounts) -> list[Judgment]:
    """Clicks a search as they are: what debiasing is held against."""
    rates = counts.by_pair(counts.clicked) / np.maximum(counts.by_pair(counts.shown), 1.0)
    grades = np.rint(HIGHEST * rates / max(float(rates.max(initial=0.0)), 1e-12)).astype(int)
    return [Judgment(*pair, int(grade), "clicks") for pair, grade in zip(counts.pairs, grades, strict=True)]


def order_of(runs: Mapping[str, Sequence[Entry]], judgments: Sequence[Judgment]) -> list[float]:
    """The mean of each system."""
    return [float(np.mean([value for *_, value in evaluate_run(run, judgments, [MEASURE])])) for run in runs.values()]


def row_of(
    runs: Mapping[str, Sequence[Entry]],
    judgments: Sequence[Judgment],
    *,
    visitors: str,
    severity: float,
    options: argparse.Namespace,
) -> Row:
    """Simulate visitors, and order the systems by what they opened."""
    people = order_of(runs, judgments)
    taus: defaultdict[str, list[float]] = defaultdict(list)
    for seed in range(options.repeats):
        counts = simulated(
            runs,
            judgments,
            visitors=visitors,
            severity=severity,
            searches=options.searches,
            generator=np.random.default_rng(seed),
        )
        position = judged_by_clicks(counts, ClickRules())
        ways = {
            "clicks as they are": raw(counts),
            "over expected": judged_by_clicks(counts, ClickRules(model="expected")).judgments,
            "position-based": position.judgments,
        }
        for way, found in ways.items():
            if found:
                taus[way].append(float(kendalltau(people, order_of(runs, found)).statistic))
    return Row(
        visitors=visitors,
        severity=severity,
        clicks=position.clicks,
        judged=len(position.judgments),
        taus={way: float(np.mean(values)) for way, values in taus.items()},
        estimated=[round(position.propensities[rank], 2) for rank in (0, 1, 2, 4, 9) if rank < counts.depth],
    )


def table_of(rows: Sequence[Row]) -> Table:
    """The rows for people."""
    ways = ("clicks as they are", "over expected", "position-based")
    table = Table("visitors", "severity", "clicks", "judged", *(f"tau, {way}" for way in ways), "looks at 1 2 3 5 10")
    for row in rows:
        taus = (f"{row.taus[way]:+.2f}" if way in row.taus else "" for way in ways)
        looks = " ".join(f"{value:.2f}" for value in row.estimated)
        table.add_row(row.visitors, f"{row.severity:g}", f"{row.clicks:,}", str(row.judged), *taus, looks)
    return table


def main() -> None:
    """Run the night that is not there yet, simulate, and print the table."""
    command = parser(__doc__ or "")
    command.add_argument("--collection", default="cran", help="a folder under --data, or demo")
    command.add_argument("--queries", type=int, default=40, help="people's queries at most")
    command.add_argument("--depth", type=int, default=10, help="candidates reranked")
    command.add_argument("--searches", type=int, default=200, help="of each query")
    command.add_argument("--repeats", type=int, default=5, help="simulations, whose taus are averaged")
    command.add_argument("--severity", type=float, nargs="+", default=[0.5, 1.0, 2.0], help="of position bias")
    options = parsed(command)
    runs, judgments = runs_of(options)
    asked = {entry.query_id for entry in runs["as published"]}
    judgments = [judgment for judgment in judgments if judgment.query_id in asked]
    rows = [
        row_of(runs, judgments, visitors=visitors, severity=severity, options=options)
        for visitors in ("position-based", "cascade")
        for severity in options.severity
    ]
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        Console(width=160).print(table_of(rows))


if __name__ == "__main__":
    main()
