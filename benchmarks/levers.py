"""What do the levers around two-stage retrieval bring? SciFact, FairytaleQA and Cranfield, test queries.

    python -m benchmarks.levers --data FOLDER

Fusion and reranking as the settings have them by default; results diversified at three lambdas (nDCG@10 and intra-list
distance); and `nightrank tune` against the default, without and with a reranker, each query measured with what other
queries chose. The exit code is 1 where what is tuned falls short of the better single leg by more than 0.005, or of
0.60 on FairytaleQA without a reranker.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.inputs.beir_folders import parsed, parser, run_night, write_settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from benchmarks.parts.settings_files import Value
    from nightrank.tasks.experiment.experiment import Experiment
    from nightrank.tasks.tune.cross_validate import Tuned

COLLECTIONS = ("scifact", "fairytaleqa", "cran")
LAMBDAS = (0.7, 0.5, 0.3)
SHORTFALL = 0.005
WITHOUT_RERANKER = {"fairytaleqa": 0.60}
MEASURES = ["nDCG@10", "R@100"]


class Diverse(NamedTuple):
    """Results at one lambda: nDCG@10 and intra-list distance."""

    mmr_lambda: float
    ndcg: float
    distance: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """What tuning is worth, cross-validated.

    Attributes:
        default: nDCG@10 of the default settings.
        tuned: nDCG@10 of what other queries chose.
        low: Lower end of the interval of the difference.
        high: Its upper end.
        p_value: Of the difference.
        better_leg: nDCG@10 of the better single leg.
        changes: What all queries together choose.
        recommended: Whether tuning recommends it.
    """

    default: float
    tuned: float
    low: float
    high: float
    p_value: float
    better_leg: float
    changes: Mapping[str, object]
    recommended: bool

    @property
    def passed(self) -> bool:
        """Whether it is not below the better single leg by more than the shortfall."""
        return self.tuned >= self.better_leg - SHORTFALL

    @classmethod
    def of(cls, tuned: Tuned) -> Tuning:
        """The figures of a tuning."""
        gain = tuned.gain
        return cls(
            default=gain.before,
            tuned=gain.after,
            low=gain.low,
            high=gain.high,
            p_value=gain.p_value,
            better_leg=max(tuned.compared_with[leg].before for leg in ("bm25", "dense")),
            changes=dict(tuned.changes),
            recommended=tuned.recommended,
        )


@dataclass(frozen=True, slots=True)
class Levers:
    """What the levers bring on one collection.

    Attributes:
        collection: Its folder's name.
        queries: Judged ones.
        measures: nDCG@10 by stage, of the default settings.
        distance: Intra-list distance of the results that are not diversified.
        diverse: Results at each lambda.
        fusion: Tuned without a reranker.
        reranking: Tuned with one.
    """

    collection: str
    queries: int
    measures: Mapping[str, float]
    distance: float
    diverse: list[Diverse]
    fusion: Tuning
    reranking: Tuning

    @property
    def passed(self) -> bool:
        """Whether what is tuned reaches its goals."""
        wanted = WITHOUT_RERANKER.get(self.collection, 0.0)
        return self.fusion.passed and self.reranking.passed and self.fusion.tuned >= wanted


def pull(name: str, options: argparse.Namespace) -> Levers:
    """Build the releases of a collection, and try the levers over them.

    Args:
        name: Of its folder.
        options: Where the data is, where to work, and how much of it.
    """
    data, work = options.data / name, options.work / name
    precision: dict[str, Mapping[str, Value]] = {
        "embedder": {"precision": options.precision},
        "evaluation": {"timed_queries": "none"},
    }
    reranker: Mapping[str, Value] = {"precision": options.precision, "depth": options.depth}
    sections = {**precision, "reranker": reranker}
    reranked = write_settings(data, work, "levers", split="test", query_limit=options.limit, sections=sections)
    run_night(reranked)
    from nightrank.tasks.tune.cross_validate import tune  # behind the night, which quiets Prefect before it is imported
    from nightrank.tasks.tune.search import Search

    with _experiment(reranked) as experiment:
        outcome = experiment.evaluate(experiment.settings)
        found = [_diverse(experiment, mmr_lambda) for mmr_lambda in LAMBDAS]
        search = Search(experiment, experiment.settings, scoring=not options.no_scoring)
        with_reranker = Tuning.of(tune(search, folds=5, seed=0))
    # The second night is of the fused order, which costs no pair, and of all queries.
    plain = write_settings(
        data, work, "levers-fused", split="test", sections={**precision, "reranker": {"model": "none"}}
    )
    run_night(plain)
    with _experiment(plain) as experiment:
        without = Tuning.of(tune(Search(experiment, experiment.settings), folds=5, seed=0))
    return Levers(
        collection=name,
        queries=len(search.units),
        measures={stage: values["nDCG@10"] for stage, values in outcome.means.items()},
        distance=found[0][0],
        diverse=[diverse for _, diverse in found],
        fusion=without,
        reranking=with_reranker,
    )


def _diverse(experiment: Experiment, mmr_lambda: float) -> tuple[float, Diverse]:
    """The distance of results as they are, and what diverse ones are worth."""
    from nightrank.tasks.evaluate.diversity import DISTANCE
    from nightrank.tasks.experiment.variants import varied

    outcome = experiment.evaluate(varied(experiment.settings, {"results.mmr_lambda": mmr_lambda}))
    rows = {row["measure"]: row for row in experiment.diversity(outcome).to_pylist()}
    return rows[DISTANCE]["before"], Diverse(mmr_lambda, rows["nDCG@10"]["after"], rows[DISTANCE]["after"])


@contextmanager
def _experiment(settings_file: Path) -> Iterator[Experiment]:
    from nightrank.flows.evaluate.inputs import evaluation_context
    from nightrank.flows.settings_file import load_settings

    configuration = load_settings(settings_file)
    context = evaluation_context(configuration, measures=MEASURES, qrels=None, now=datetime.now(UTC), seed=0)
    with context.experiment(None) as experiment:
        yield experiment


def main() -> None:
    """Print the tables; the exit code is 1 where a goal is missed."""
    command = parser(__doc__ or "")
    command.add_argument("--limit", type=int, help="judged queries that are reranked, at most; default: all")
    command.add_argument("--depth", type=int, default=100, help="candidates that are reranked")
    command.add_argument("--no-scoring", action="store_true", help="tune without scoring further pairs")
    command.add_argument("--collections", nargs="+", default=COLLECTIONS, help="folders of the data")
    options = parsed(command)
    levers = [pull(name, options) for name in options.collections]
    passed = all(lever.passed for lever in levers)
    if options.json:
        print(json.dumps({"passed": passed, "collections": [asdict(lever) for lever in levers]}))
    else:
        _show(levers)
    raise SystemExit(not passed)


def _show(levers: list[Levers]) -> None:
    console = Console(width=120)
    stages = ("bm25", "dense", "fused", "reranked")
    heads = [f"MMR {mmr_lambda}" for mmr_lambda in LAMBDAS]
    table = Table("nDCG@10 (distance)", "queries", *stages, *heads)
    for lever in levers:
        shown = [f"{lever.measures[stage]:.4f}" for stage in stages]
        shown[-1] += f" ({lever.distance:.3f})"
        diverse = [f"{one.ndcg:.4f} ({one.distance:.3f})" for one in lever.diverse]
        table.add_row(lever.collection, str(lever.queries), *shown, *diverse)
    console.print(table)
    for title, name in (("Tuned without a reranker", "fusion"), ("Tuned with a reranker", "reranking")):
        table = Table("", "default", "tuned", "95% interval of the change", "p", "better leg", "chosen", title=title)
        for lever in levers:
            tuning: Tuning = getattr(lever, name)
            chosen = ", ".join(f"{key.partition('.')[2]} {value}" for key, value in tuning.changes.items())
            table.add_row(
                lever.collection,
                f"{tuning.default:.4f}",
                f"{tuning.tuned:.4f}",
                f"{tuning.low:+.4f} to {tuning.high:+.4f}",
                f"{tuning.p_value:.4f}",
                f"{tuning.better_leg:.4f}",
                f"{chosen or 'nothing changes'}{'' if tuning.recommended else ' (not recommended)'}",
            )
        console.print(table)


if __name__ == "__main__":
    main()
