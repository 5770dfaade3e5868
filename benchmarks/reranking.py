"""What is the packaged reranker worth? Fused order, reranker alone, and both weighed, on the fused top 50.

300 test queries each of SciFact and FairytaleQA, all 225 of Cranfield, default settings but for the depth:

    python -m benchmarks.reranking --data FOLDER

SciFact's and FairytaleQA's train splits were part of the reranker's training; Cranfield was not seen at all.
"""

from __future__ import annotations

import json

from rich.console import Console
from rich.table import Table

from benchmarks.beir_folders import arguments, run_night, write_settings

COLLECTIONS = ("scifact", "fairytaleqa", "cran")
DEPTH = 50
# At most so much below the fused order anywhere, and at least so much above it on FairytaleQA.
ALLOWED_LOSS = 0.005
EXPECTED_GAIN = {"fairytaleqa": 0.05}


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
            sections={"reranker": {"depth": DEPTH}},
        )
        summary = run_night(settings_file)
        figures = {stage: values["nDCG@10"] for stage, values in summary.manifest.measures.items()}
        gain = figures["reranked"] - figures["fused"]
        rows.append(
            {
                "collection": name,
                "queries": summary.counts.queries_judged,
                **{stage: figures[stage] for stage in ("bm25", "dense", "fused", "reranker", "reranked")},
                "gain": gain,
                "passed": gain >= EXPECTED_GAIN.get(name, -ALLOWED_LOSS),
                "pairs": summary.counts.pairs,
                "pairs_scored": summary.counts.pairs_scored,
                "rerank_seconds": summary.seconds.get("rerank", 0.0),
            }
        )
    if options.json:
        print(json.dumps({"depth": DEPTH, "rows": rows}))
    else:
        table = Table("nDCG@10", "queries", "BM25", "dense", "fused", "reranker alone", "weighted", "gain", "")
        for row in rows:
            figures = {key: f"{row[key]:.4f}" for key in ("bm25", "dense", "fused", "reranker", "reranked")}
            cells = [row["collection"], row["queries"], *figures.values(), f"{row['gain']:+.4f}"]
            table.add_row(*map(str, cells), "ok" if row["passed"] else "MISSED")
        Console().print(table)
        for row in rows:
            if row["pairs_scored"]:
                rate = float(row["pairs_scored"]) / float(row["rerank_seconds"])
                print(f"{row['collection']}: {row['pairs_scored']} pairs, {rate:.0f} a second")
    raise SystemExit(not all(row["passed"] for row in rows))


if __name__ == "__main__":
    main()
