"""What does a faster runtime cost? The packaged reranker in torch, in OpenVINO, and in OpenVINO with 8 bits.

Speed and agreement on drawn queries' first candidates, the runtimes taking turns; quality on judged queries by the
night's own functions (pairs scored before are remembered in the work folder):

    python -m benchmarks.open_rerankers --data FOLDER [--collection NAME] [--limit N] [--timed N]

It needs the extra ``openvino``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.inputs.beir_folders import parsed, parser, write_settings
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.settings_file import load_settings
from nightrank.tasks.experiment.experiment import Experiment
from nightrank.tasks.experiment.variants import varied
from nightrank.tasks.read.account import Account
from nightrank.tasks.release import StoredRelease
from nightrank.tasks.rerank.compare import agreement, draw_pairs, query_numbers, score_beside
from nightrank.tasks.rerank.find import plan_local
from nightrank.tasks.rerank.lazy import LazyReranker
from nightrank.tasks.rerank.openvino_convert import convert
from nightrank.tasks.trec.qrels import read_judgments

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.flows.settings_file import Configuration

MEASURE = "nDCG@10"
DEPTH = 20  # candidates reranked
SPLITS = {"scifact": "test", "fairytaleqa": "test", "cran": "test"}
RUNTIMES: tuple[tuple[str, Literal["float32", "int8"]], ...] = (("OpenVINO", "float32"), ("OpenVINO int8", "int8"))


@dataclass(frozen=True, slots=True)
class Row:
    """A runtime on one collection; agreement is with torch's scores."""

    runtime: str
    pairs_per_second: float
    correlation: float
    same_top: float
    same_first: float
    reranker_alone: float
    reranked: float


def measure(configuration: Configuration, work: Path, *, timed: int) -> list[Row]:
    """Torch and both OpenVINO models beside each other on a collection's release."""
    settings, base = configuration.settings, configuration.base
    names = {"torch": settings.reranker.model}
    plans = [plan_local(settings.reranker, settings.execution, base=base)]
    with configuration.workspace.reading():
        release = StoredRelease.open(configuration.workspace)
        pairs = draw_pairs(release, queries=timed, depth=DEPTH, generator=np.random.default_rng(0))
    for runtime, precision in RUNTIMES:
        folder = work / f"{settings.reranker.model}-{precision}"
        if not folder.exists():
            convert(plans[0], folder, name=settings.reranker.model, precision=precision)
        names[runtime] = str(folder.resolve())
        update = {"model": names[runtime], "precision": "auto"}
        plans.append(plan_local(settings.reranker.model_copy(update=update), settings.execution, base=base))
    found = score_beside([LazyReranker(plan, settings).load() for plan in plans], pairs)
    quality = _quality(configuration, list(names.values()))
    rows = []
    for runtime, own, worth in zip(names, found, quality, strict=True):
        agreed = agreement(found[0].scores, own.scores, queries=query_numbers(pairs))
        rows.append(Row(runtime, own.pairs_per_second, *agreed, *worth))
    return rows


def _quality(configuration: Configuration, models: list[str]) -> list[tuple[float, float]]:
    """The reranker alone and the weighed order, by model."""
    settings, base = configuration.settings, configuration.base
    assert settings.judgments.qrels is not None
    judgments = read_judgments(base / settings.judgments.qrels, name=settings.judgments.qrels, account=Account())
    values = []
    now = datetime.now(UTC)
    with Experiment.open(configuration.workspace, settings, judgments, base=base, now=now) as experiment:
        for model in models:
            means = experiment.evaluate(varied(settings, {"reranker.model": model})).means
            values.append((means["reranker"][MEASURE], means["reranked"][MEASURE]))
    return values


def main() -> None:
    """Run the night where it is not there yet, measure, and print a table."""
    command = parser(__doc__ or "")
    command.add_argument("--collection", choices=SPLITS, default="scifact")
    command.add_argument("--limit", type=int, default=100, help="judged queries")
    command.add_argument("--timed", type=int, default=20, help="queries of the timing")
    command.add_argument("--threads", type=int, default=2, help="of each runtime")
    options = parsed(command)
    work = options.work / options.collection
    settings_file = write_settings(
        options.data / options.collection,
        work,
        "open_rerankers",
        split=SPLITS[options.collection],
        query_limit=options.limit,
        sections={
            "reranker": {"depth": DEPTH},
            "evaluation": {"timed_queries": "none"},
            "execution": {"threads": options.threads},  # the same for all: each has another choice of its own
        },
    )
    refresh_plainly(settings_file)
    rows = measure(load_settings(settings_file), work, timed=options.timed)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    table = Table("runtime", "pairs/s", "times", "corr.", "same 10", "same 1st", "alone", "reranked")
    for row in rows:
        share = row.pairs_per_second / rows[0].pairs_per_second
        cells = (f"{row.correlation:.4f}", f"{row.same_top:.1%}", f"{row.same_first:.0%}")
        worth = (f"{row.reranker_alone:.4f}", f"{row.reranked:.4f}")
        table.add_row(row.runtime, f"{row.pairs_per_second:.1f}", f"{share:.2f}", *cells, *worth)
    Console().print(table)


if __name__ == "__main__":
    main()
