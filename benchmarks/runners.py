"""What do workers of Dask and Ray cost? The same first night by one process, Dask and Ray, in few shards and many.

    python -m benchmarks.runners --work FOLDER

Tiny random models, so that nearly all of the time is what surrounds them: a cluster that starts, processes that load
their models, shards that are written, sent, read back and committed. The first stage is cut too, into as many ranges.
No speed-up is claimed or looked for: that takes real models, large collections and as many processors, or GPUs, as
workers; one process retrieves on all cores that there are. What a shard costs is the difference between many shards and
few, divided by how many more they are; the rest is the start. Each release must be the one of one process.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from dataclasses import asdict, dataclass
from itertools import chain, islice
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.inputs.synthetic_texts import query_texts, text_batches
from benchmarks.parts.compare_releases import compare_releases
from benchmarks.parts.machine import machine
from benchmarks.parts.settings_files import LOOSE_GATES, Sections, tiny_models, write_settings_file
from nightrank.storage.workspace.folder import FolderWorkspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.flows.night.summary import Summary

STAGES = ("embed", "embed queries", "rerank", "retrieve bm25", "retrieve dense")  # those that are cut into shards
CUTS = 4  # of them into so many shards each; a few queries are one
MANY = 4  # times as many shards as in the night with few


@dataclass(frozen=True, slots=True)
class Night:
    """A night that was timed.

    Attributes:
        runner: Who computed.
        shards: Into how many its work was cut; 0 where one process did all.
        seconds: Of the stages that are cut.
        equal: How its release compares with that of one process.
    """

    runner: str
    shards: int
    seconds: float
    equal: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What a kind of workers costs.

    Attributes:
        start_seconds: Once a night: a cluster, a process and a model for each worker.
        shard_seconds: Each shard, beside the arithmetic.
    """

    runner: str
    start_seconds: float
    shard_seconds: float


def main() -> None:
    """Print the tables; the exit code is 1 where a release is not that of one process."""
    options = _arguments()
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    work: Path = options.work / "runners"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    sections = _collection(work, texts=options.texts, queries=options.queries)
    _night(work, "warm-up", sections, {})  # Prefect's server, and what the machine keeps of the models
    alone, summary = _night(work, "local", sections, {})
    nights = [Night("local", 0, alone, "itself")]
    for runner in options.runners:
        for shards in (options.shards, options.shards * MANY):
            execution = {
                "runner": runner,
                "workers": options.workers,
                "shard_texts": ceil(summary.counts.chunks_embedded / shards),
                "shard_pairs": ceil(summary.counts.pairs_scored / shards),
                "shard_scores": ceil(summary.counts.queries * summary.counts.texts / shards),
            }
            seconds, _ = _night(work, f"{runner}-{shards}", sections, execution)
            comparison = compare_releases(
                FolderWorkspace(work / "workspace-local"), FolderWorkspace(work / f"workspace-{runner}-{shards}")
            )
            equal = str(comparison) if comparison.is_same_but_for_ties else f"OTHER: {comparison}"
            nights.append(Night(runner, CUTS * shards, seconds, equal))
    _report(nights, costs_of(nights), as_json=options.json)
    raise SystemExit(any(night.equal.startswith("OTHER") for night in nights))


def costs_of(nights: Sequence[Night]) -> list[Cost]:
    """What each kind of workers costs beside the one process, from its nights with few shards and with many.

    >>> costs_of([Night("local", 0, 10.0, ""), Night("dask", 4, 15.0, ""), Night("dask", 14, 16.0, "")])
    [Cost(runner='dask', start_seconds=4.6, shard_seconds=0.1)]
    """
    alone, *others = nights
    costs = []
    for few, many in zip(others[::2], others[1::2], strict=True):
        shard = (many.seconds - few.seconds) / (many.shards - few.shards)
        costs.append(Cost(few.runner, few.seconds - alone.seconds - few.shards * shard, shard))
    return costs


def _night(work: Path, name: str, sections: Sections, execution: dict[str, str | int]) -> tuple[float, Summary]:
    """Seconds of the stages that are cut, of a first night in a workspace of its own."""
    from nightrank.flows.refresh import refresh

    settings = {
        "": {"workspace": f"workspace-{name}"},
        **sections,
        "execution": {"device": "cpu", "threads": 1, **execution},
    }
    summary = refresh(str(write_settings_file(work / f"{name}.toml", settings)))
    return sum(summary.seconds[stage] for stage in STAGES), summary


def _collection(work: Path, *, texts: int, queries: int) -> Sections:
    """Documents of one chunk each and queries, written to files, and the settings that name them."""
    documents = islice(chain.from_iterable(batch.to_pylist() for batch in text_batches(texts)), texts)
    rows = (json.dumps({"_id": f"d{number}", "title": "", "text": text}) for number, text in enumerate(documents))
    (work / "corpus.jsonl").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    log = (json.dumps({"query": text}) for text in query_texts(queries))
    (work / "queries.jsonl").write_text("".join(f"{row}\n" for row in log), encoding="utf-8")
    return {
        "documents": {"source": "corpus.jsonl"},
        "queries": {"log": "queries.jsonl"},
        "reranker": {},
        **tiny_models(work / "models"),
        "evaluation": {"timed_queries": "none"},
        "gates": LOOSE_GATES,
    }


def _report(nights: Sequence[Night], costs: Sequence[Cost], *, as_json: bool) -> None:
    if as_json:
        found = {"nights": [asdict(night) for night in nights], "costs": [asdict(cost) for cost in costs]}
        print(json.dumps({**found, "machine": machine()}))
        return
    table = Table("runner", "shards", "seconds of embedding, retrieving and reranking", "release")
    for night in nights:
        table.add_row(night.runner, str(night.shards or "-"), f"{night.seconds:.1f}", night.equal)
    costly = Table("runner", "start, seconds a night", "seconds a shard")
    for cost in costs:
        costly.add_row(cost.runner, f"{cost.start_seconds:.1f}", f"{cost.shard_seconds:.2f}")
    console = Console()
    console.print(table, costly)
    console.print(", ".join(f"{name} {value}" for name, value in machine().items()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(".benchmarks"), help="made anew")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--runners", nargs="+", choices=["dask", "ray"], default=["dask", "ray"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--texts", type=int, default=4000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--shards", type=int, default=4, help="of each stage, in the night with few")
    return parser.parse_args()


if __name__ == "__main__":
    main()
