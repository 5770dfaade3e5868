"""Do the first-stage legs give the figures that the literature has for them?

SciFact and ArguAna in BEIR layout, whole documents (models truncate, as the published runs did), no reranker:

    python -m benchmarks.published_figures --data FOLDER

Published nDCG@10: BM25 on SciFact 0.665 (BEIR, Anserini flat) to 0.690 (bm25s); all-MiniLM-L6-v2 0.645 on SciFact and
0.502 on ArguAna (its model card's MTEB table).
"""

from __future__ import annotations

import json

from rich.console import Console
from rich.table import Table

from benchmarks.inputs.beir_folders import arguments, run_night, write_settings

# collection, stage, measure, the range to be in, what is published
EXPECTED = (
    ("scifact", "dense", "nDCG@10", 0.635, 0.655, "0.645"),
    ("scifact", "bm25", "nDCG@10", 0.670, 1.0, "0.665 to 0.690"),
    ("scifact", "fused", "nDCG@10", 0.710, 1.0, "-"),
    ("scifact", "fused", "R@100", 0.940, 1.0, "-"),
    ("arguana", "dense", "nDCG@10", 0.485, 0.515, "0.502"),
    ("arguana", "bm25", "nDCG@10", 0.0, 1.0, "-"),
    ("arguana", "fused", "nDCG@10", 0.0, 1.0, "-"),
)


def main() -> None:
    """Print the table; the exit code is 1 where a figure is out of its range."""
    options = arguments(__doc__ or "")
    found = {}
    for name in ("scifact", "arguana"):
        settings_file = write_settings(
            options.data / name,
            options.work / name,
            "published_figures",
            split="test",
            sections={
                "chunking": {"method": "whole"},
                "embedder": {"precision": options.precision},
                "reranker": {"model": "none"},
                # ArguAna's queries are documents of the collection: the query's own is left out.
                "judgments": {"ignore_identical_ids": name == "arguana"},
            },
        )
        found[name] = run_night(settings_file).manifest.measures
    rows = [
        {
            "collection": name,
            "stage": stage,
            "measure": measure,
            "found": found[name][stage][measure],
            "at_least": low,
            "at_most": high,
            "published": published,
            "passed": low <= found[name][stage][measure] <= high,
        }
        for name, stage, measure, low, high, published in EXPECTED
    ]
    if options.json:
        print(json.dumps({"rows": rows}))
    else:
        table = Table("collection", "stage", "measure", "found", "published", "expected", "")
        for row in rows:
            expected = f"{row['at_least']:.3f} to {row['at_most']:.3f}" if row["at_least"] else "-"
            verdict = "ok" if row["passed"] else "MISSED"
            cells = [
                row["collection"],
                row["stage"],
                row["measure"],
                f"{row['found']:.4f}",
                row["published"],
                expected,
                verdict,
            ]
            table.add_row(*map(str, cells))
        Console(width=110).print(table)
    raise SystemExit(not all(row["passed"] for row in rows))


if __name__ == "__main__":
    main()
