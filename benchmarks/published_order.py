"""Is the published order the best there is? Every stage of some collections beside it, at default settings.

Collections in BEIR layout under ``--data``, and the demo: each leg, fusion by reciprocal ranks and by min-max, the
learned order without a reranker, the reranker alone, and the published order, all over the same legs; nDCG@10 with
95% intervals by bootstrap:

    python -m benchmarks.published_order --data FOLDER [--collection NAME ...] [--legs bm25 dense sparse]
        [--limit N] [--depth N] [--order NAME=FILE ...]

``--order`` orders a collection by another model file: one that never saw the collection, as ``recipes.learned_order
--leave-out`` makes it. The exit code is 1 where the published order is below the best single stage by more than 0.005.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.inputs.beir_folders import parsed, parser, write_settings
from benchmarks.inputs.demo_settings import write_demo_settings
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.settings_file import load_settings
from nightrank.storage.legs import LEGS
from nightrank.tasks.evaluate.significance import compare_paired
from nightrank.tasks.experiment.experiment import Experiment
from nightrank.tasks.experiment.values import Reranking
from nightrank.tasks.rank.order_file import read_order
from nightrank.tasks.read.account import Account
from nightrank.tasks.trec.qrels import read_judgments

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from benchmarks.parts.settings_files import Sections, Value
    from nightrank.flows.settings_file import Configuration

COLLECTIONS = (
    *("scifact", "fairytaleqa", "cran", "arguana", "demo"),
    *("vaswani", "climate_fever", "cystic_fibrosis"),
)
ALLOWED_LOSS = 0.005
RRF, MINMAX, LEARNED, RERANKER, PUBLISHED = "RRF", "min-max", "no reranker", "reranker", "published"


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean or a difference of means, with its 95% interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, before: NDArray[np.float64], after: NDArray[np.float64]) -> Interval:
        """Of what is gained, query by query."""
        found = compare_paired(before, after, generator=np.random.default_rng(0))
        return cls(found.difference, found.low, found.high)


@dataclass(frozen=True, slots=True)
class Row:
    """A collection.

    Attributes:
        stages: nDCG@10 by stage.
        best: The best single stage: a leg or a plain fusion.
        over_best: The published order against it.
        over_rrf: The published order against reciprocal rank fusion.
        of_reranker: The published order against the learned order without a reranker.
    """

    collection: str
    queries: int
    stages: Mapping[str, Interval]
    best: str
    over_best: Interval
    over_rrf: Interval
    of_reranker: Interval


def row_of(name: str, configuration: Configuration, *, order: Path | None) -> Row:
    """The stages of a collection whose night was run.

    Args:
        name: Of the collection.
        configuration: Its settings.
        order: The file of the learned order; None for the packaged one.
    """
    values = stage_values(configuration, order=order)
    singles = [stage for stage in values if stage not in {LEARNED, RERANKER, PUBLISHED}]
    best = max(singles, key=lambda stage: values[stage].mean())
    return Row(
        collection=name,
        queries=values[PUBLISHED].size,
        stages={stage: Interval.of(np.zeros(each.size), each) for stage, each in values.items()},
        best=best,
        over_best=Interval.of(values[best], values[PUBLISHED]),
        over_rrf=Interval.of(values[RRF], values[PUBLISHED]),
        of_reranker=Interval.of(values[LEARNED], values[PUBLISHED]),
    )


def stage_values(configuration: Configuration, *, order: Path | None) -> dict[str, NDArray[np.float64]]:
    """The nDCG@10 of each query by stage, float64 (n_queries,) each, by the night's own functions.

    Args:
        configuration: Of a collection whose night was run.
        order: The file of the learned order; None for the packaged one.
    """
    settings, base = configuration.settings, configuration.base
    assert settings.judgments.qrels is not None
    judgments = read_judgments(base / settings.judgments.qrels, name=settings.judgments.qrels, account=Account())
    now = datetime.now(UTC)
    with Experiment.open(configuration.workspace, settings, judgments, base=base, now=now) as experiment:
        experiment.prepare([settings])
        found = experiment.values(settings)
        if order is not None:
            # Its means over the log are the judged queries', which are the log here.
            found = replace(found, weighing=replace(found.weighing, learned=read_order(order)))
        retrieval = settings.retrieval
        fusions = [retrieval.model_copy(update={"fusion": kind}) for kind in ("rrf", "minmax")]
        stages: dict[str, NDArray[np.float64]] = {leg: found.of_leg(leg) for leg in retrieval.legs}
        stages |= dict(zip((RRF, MINMAX), found.of_fusions(fusions)[0], strict=True))
        stages[LEARNED] = found.of_learned(retrieval)
        depth = settings.reranker.depth
        reranked = found.of_rerankings(retrieval, [Reranking(1.0, depth), Reranking(None, depth)])
        assert reranked is not None  # every pair was scored above
        return stages | dict(zip((RERANKER, PUBLISHED), reranked, strict=True))


def settings_of(name: str, options: argparse.Namespace) -> Path:
    """The settings file of a collection: defaults, or the demo's own settings, but for what the command line asks."""
    depth: dict[str, Value] = {} if options.depth is None else {"depth": options.depth}
    asked: Sections = {
        "retrieval": {"legs": options.legs},
        "reranker": {"precision": options.precision, **depth},
        "evaluation": {"timed_queries": "none"},
    }
    if name == "demo":
        return write_demo_settings(options.work / name, "published_order", sections=asked)
    return write_settings(
        options.data / name,
        options.work / name,
        "published_order",
        split="test",
        query_limit=options.limit,
        sections={**asked, "judgments": {"ignore_identical_ids": name == "arguana"}},
    )


def table_of(rows: list[Row]) -> Table:
    """The rows for people."""
    stages = list(dict.fromkeys(stage for row in rows for stage in row.stages))
    table = Table("nDCG@10", "queries", *stages, "over best stage", "over RRF", "of the reranker")
    for row in rows:
        cells = [f"{row.stages[s].value:.3f}" if s in row.stages else "" for s in stages]
        gains = [
            f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
            for gain in (row.over_best, row.over_rrf, row.of_reranker)
        ]
        table.add_row(row.collection, str(row.queries), *cells, f"{gains[0]} {row.best}", *gains[1:])
    return table


def main() -> None:
    """Run the nights that are not there yet, measure, and print the table."""
    command = parser(__doc__ or "")
    command.add_argument("--collection", nargs="+", default=list(COLLECTIONS), help="folders under --data, or demo")
    command.add_argument("--legs", nargs="+", choices=LEGS, default=["bm25", "dense"])
    command.add_argument("--limit", type=int, help="judged queries at most, of all but the demo; default: all")
    command.add_argument("--depth", type=int, help="candidates reranked; default: the settings'")
    command.add_argument("--order", nargs="*", default=[], metavar="NAME=FILE", help="another learned order")
    options = parsed(command)
    orders = {name: Path(file) for name, _, file in (one.partition("=") for one in options.order)}
    rows = []
    for name in options.collection:
        settings_file = settings_of(name, options)
        refresh_plainly(settings_file)
        rows.append(row_of(name, load_settings(settings_file), order=orders.get(name)))
        if not options.json:
            Console(width=200).print(table_of(rows[-1:]))
    passed = all(row.over_best.value >= -ALLOWED_LOSS for row in rows)
    if options.json:
        print(json.dumps({"passed": passed, "rows": [asdict(row) for row in rows]}))
    else:
        Console(width=200).print(table_of(rows))
        print(f"nowhere below the best single stage by more than {ALLOWED_LOSS:g}: {'ok' if passed else 'MISSED'}")
    raise SystemExit(not passed)


if __name__ == "__main__":
    main()
