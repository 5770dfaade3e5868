"""What is the packaged reranker worth? Fused order, reranker alone, and both weighed, on the fused top 50.

300 test queries each of SciFact and FairytaleQA, all 225 of Cranfield, default settings but for the depth:

    python -m benchmarks.reranking --data FOLDER

SciFact's and FairytaleQA's train splits were part of the reranker's training; Cranfield was not seen at all.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.beir_folders import arguments, run_night, write_settings

COLLECTIONS = ("scifact", "fairytaleqa", "cran")
DEPTH = 50
# At most so much below the fused order anywhere, and at least so much above it on FairytaleQA.
ALLOWED_LOSS = 0.005
EXPECTED_GAIN = {"fairytaleqa": 0.05}


@dataclass(frozen=True, slots=True)
class Row:
    """nDCG@10 of each stage on one collection, and what the reranking cost where this run had to do it."""

    collection: str
    queries: int
    bm25: float
    dense: float
    fused: float
    reranker: float
    reranked: float
    pairs_scored: int
    rerank_seconds: float

    @property
    def gain(self) -> float:
        """Of the weighted order over the fused one."""
        return self.reranked - self.fused

    @property
    def passed(self) -> bool:
        """Whether the gain is what it should be."""
        return self.gain >= EXPECTED_GAIN.get(self.collection, -ALLOWED_LOSS)


def main() -> None:
    """Print the table; the exit code is 1 where the weighted order falls short."""
    options = arguments(__doc__ or "")
    rows = []
    for name in COLLECTIONS:
        settings_file = write_settings(
            options.data / name,
            options.work / name,
            "reranking",
            split="test",
            query_limit=300,
            sections={
                "embedder": {"precision": options.precision},
                "reranker": {"depth": DEPTH, "precision": options.precision},
            },
        )
        summary = run_night(settings_file)
        figures = {
            stage: values["nDCG@10"] for stage, values in summary.manifest.measures.items() if stage != "results"
        }
        row = Row(
            collection=name,
            queries=summary.counts.queries_judged,
            **figures,
            pairs_scored=summary.counts.pairs_scored,
            rerank_seconds=summary.seconds.get("rerank", 0.0),
        )
        rows.append(row)
    if options.json:
        print(json.dumps({"depth": DEPTH, "rows": [asdict(row) | {"gain": row.gain} for row in rows]}))
    else:
        table = Table("nDCG@10", "queries", "BM25", "dense", "fused", "reranker alone", "weighted", "gain", "")
        for row in rows:
            figures_shown = (f"{value:.4f}" for value in (row.bm25, row.dense, row.fused, row.reranker, row.reranked))
            verdict = "ok" if row.passed else "MISSED"
            table.add_row(row.collection, str(row.queries), *figures_shown, f"{row.gain:+.4f}", verdict)
        Console(width=110).print(table)
        for row in rows:
            if row.pairs_scored:
                rate = row.pairs_scored / row.rerank_seconds
                print(f"{row.collection}: {row.pairs_scored} pairs, {rate:.0f} a second")
    raise SystemExit(not all(row.passed for row in rows))


if __name__ == "__main__":
    main()
