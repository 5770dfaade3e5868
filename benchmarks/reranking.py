"""What is the packaged reranker worth? Five collections: fused order, reranker alone, and both weighed.

300 test queries each of SciFact, FairytaleQA and ArguAna (whose queries are documents: the query's own is left out),
all 225 of Cranfield, and the demo; the fused top 50 is reranked, in the demo as many as its settings say:

    python -m benchmarks.reranking --data FOLDER [--collection NAME ...]

SciFact's and FairytaleQA's train splits were part of the reranker's training; ArguAna, Cranfield and the demo were not
seen at all. The final order also reads the legs' own scores: the column "without" is that order at weight 0, so that
what the reranker itself adds can be told from what they add.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.inputs.beir_folders import parsed, parser, run_night, write_settings
from benchmarks.inputs.demo_settings import write_demo_settings
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import read_manifest
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.evaluate.measures import evaluate_runs, named_queries, rows_of_queries, run_of
from nightrank.tasks.evaluate.significance import compare_paired
from nightrank.tasks.rank.order import Weighing, entries_of, rank_candidates
from nightrank.tasks.rank.order_file import learned_order
from nightrank.tasks.read.account import Account

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from benchmarks.parts.settings_files import Sections

COLLECTIONS = ("scifact", "fairytaleqa", "cran", "arguana", "demo")
DEPTH = 50
QUERIES = 300
MEASURE = "nDCG@10"
# Nowhere so much below the fused order, and so much above it on so many collections.
ALLOWED_LOSS, EXPECTED_GAIN, EXPECTED_COLLECTIONS = 0.005, 0.01, 3


@dataclass(frozen=True, slots=True)
class Row:
    """nDCG@10 of each stage on one collection, and what the reranking cost where this run had to do it.

    Attributes:
        without: The final order at weight 0: fused order and legs' scores.
        gain: Of the weighted order over the fused one.
        low: Lower end of its 95% bootstrap interval.
        high: Its upper end.
    """

    collection: str
    queries: int
    bm25: float
    dense: float
    fused: float
    without: float
    reranker: float
    reranked: float
    gain: float
    low: float
    high: float
    pairs_scored: int
    rerank_seconds: float


def main() -> None:
    """Print the table; the exit code is 1 where the weighted order falls short."""
    command = parser(__doc__ or "")
    command.add_argument("--collection", choices=COLLECTIONS, nargs="+", default=list(COLLECTIONS))
    command.add_argument("--model", default="nightrank-minilm", help="a name, a folder or a hub id")
    options = parsed(command)
    rows = [row_of(name, options) for name in options.collection]
    gained = sum(row.gain >= EXPECTED_GAIN for row in rows)
    held = all(row.gain >= -ALLOWED_LOSS for row in rows)
    passed = held and (gained >= EXPECTED_COLLECTIONS or len(rows) < len(COLLECTIONS))
    if options.json:
        print(json.dumps({"depth": DEPTH, "passed": passed, "rows": [asdict(row) for row in rows]}))
    else:
        Console(width=130).print(table_of(rows))
        print(
            f"{EXPECTED_GAIN:g} or more above the fused order: {gained} of {len(rows)} {'ok' if passed else 'MISSED'}"
        )
        for row in rows:
            if row.pairs_scored:
                rate = row.pairs_scored / row.rerank_seconds
                print(f"{row.collection}: {row.pairs_scored} pairs, {rate:.0f} a second")
    raise SystemExit(not passed)


def row_of(name: str, options: argparse.Namespace) -> Row:
    """Run a collection's night, and measure it."""
    settings_file = _settings(name, options)
    summary = run_night(settings_file)
    manifest = summary.manifest
    workspace = FolderWorkspace(settings_file.parent / "workspace")
    folder = workspace.release(workspace.require_current())
    evaluation = ReleaseFiles(folder).evaluation.read()
    fused, reranked = (_values(evaluation, stage) for stage in ("fused", "reranked"))
    comparison = compare_paired(fused, reranked, generator=np.random.default_rng(0))
    return Row(
        collection=name,
        queries=comparison.queries,
        **{stage: manifest.measures[stage][MEASURE] for stage in ("bm25", "dense", "fused", "reranker", "reranked")},
        without=_without(folder, settings_file, ignore_identical_ids=name == "arguana"),
        gain=comparison.difference,
        low=comparison.low,
        high=comparison.high,
        pairs_scored=summary.counts.pairs_scored,
        rerank_seconds=summary.seconds.get("rerank", 0.0),
    )


def table_of(rows: list[Row]) -> Table:
    """The rows for people."""
    table = Table(MEASURE, "queries", "BM25", "dense", "fused", "without", "reranker alone", "weighted", "gain", "95%")
    for row in rows:
        values = (row.bm25, row.dense, row.fused, row.without, row.reranker, row.reranked)
        interval = f"{row.low:+.4f} to {row.high:+.4f}"
        table.add_row(
            row.collection, str(row.queries), *(f"{value:.4f}" for value in values), f"{row.gain:+.4f}", interval
        )
    return table


def _settings(name: str, options: argparse.Namespace) -> Path:
    sections: Sections = {
        "embedder": {"precision": options.precision},
        "reranker": {"model": options.model, "precision": options.precision},
    }
    if name == "demo":
        return write_demo_settings(options.work / name, "reranking", sections=sections)
    return write_settings(
        options.data / name,
        options.work / name,
        "reranking",
        split="test",
        query_limit=QUERIES,
        sections={
            **sections,
            "reranker": {**sections["reranker"], "depth": DEPTH},
            "judgments": {"ignore_identical_ids": name == "arguana"},
        },
    )


def _values(evaluation: pa.Table, stage: str) -> NDArray[np.float64]:
    """The measure of each query, float64 (n_queries,), by query id."""
    rows = [row for row in evaluation.to_pylist() if (row["stage"], row["measure"]) == (stage, MEASURE)]
    return np.array([row["value"] for row in sorted(rows, key=lambda row: str(row["query_id"]))])


def _without(folder: Path, settings_file: Path, *, ignore_identical_ids: bool) -> float:
    """The mean of the measure in the final order of the same candidates without the reranker."""
    from nightrank.flows.settings_file import load_settings
    from nightrank.tasks.trec.qrels import read_judgments

    configuration = load_settings(settings_file)
    settings, qrels = configuration.settings, configuration.settings.judgments.qrels
    assert qrels is not None  # every collection here is judged
    judgments = read_judgments(configuration.base / qrels, name=qrels, account=Account())
    ids = named_queries(ReleaseFiles(folder).queries.read(), {judgment.query_id for judgment in judgments})
    rows = rows_of_queries(ReleaseFiles(folder).candidates.read(), ids).sort_by("query_key")
    groups = rows.column("query_key").combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    log = read_manifest(configuration.workspace, folder.name).log_means
    weighing = Weighing.of(settings, learned_order(settings, base=configuration.base), weight=0.0, log=log or None)
    scores = weighing.final_scores(entries_of(rows, queries=groups), np.full(rows.num_rows, np.nan))
    order, _ = rank_candidates(groups, scores, rows.column("chunk_number").to_numpy())
    run = run_of(rows.take(order), ids, ignore_identical_ids=ignore_identical_ids)
    evaluation = evaluate_runs({"without": run}, judgments, [MEASURE])
    return float(_values(evaluation, "without").mean())


if __name__ == "__main__":
    main()
