"""Read the current release with SQL: its measures, its results, and the candidates behind them.

    python read_with_duckdb.py nightrank-demo/workspace

A release is a folder of Parquet files and one SQLite file that never change once they are published.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa

MEASURES = """
SELECT stage, measure, round(avg(value), 4) AS mean, count(*) AS queries
FROM read_parquet($folder || '/evaluation.parquet')
GROUP BY ALL ORDER BY measure, mean DESC
"""

# Results are JSON in the SQLite file: one row a query, best first.
RESULTS = """
SELECT query, entry.rank AS rank, entry.document_id AS document_id, round(entry.score, 4) AS score
FROM (
    SELECT query, unnest(from_json(results, '[{"rank": "INTEGER", "document_id": "VARCHAR", "score": "DOUBLE"}]'))
        AS entry
    FROM answers
)
ORDER BY query, rank LIMIT 10
"""

# What reranking changed: chunks that all legs together put below rank 10, and the final order among the first 3.
LIFTED = """
SELECT queries.text AS query, document_id, bm25_rank, dense_rank, fused_rank, rank
FROM read_parquet($folder || '/candidates.parquet')
JOIN read_parquet($folder || '/queries.parquet') AS queries USING (query_key)
WHERE rank <= 3 AND fused_rank > 10
ORDER BY fused_rank - rank DESC, query LIMIT 10
"""


def current_release(workspace: Path) -> Path:
    """The folder of the release that is live."""
    pointer = json.loads((workspace / "current.json").read_text(encoding="utf-8"))
    return workspace / "releases" / str(pointer["release_id"])


def answers(workspace: Path, release: Path) -> pa.Table:
    """Every answered query with its results as JSON, without documents that were taken down."""
    rows = results_in(release / "results.sqlite")
    if (workspace / "retracted.json").exists():
        listed = json.loads((workspace / "retracted.json").read_text(encoding="utf-8"))
        replaced = listed["releases"].get(release.name)
        if listed["documents"] and replaced is None:
            sys.exit("Documents were taken down, and nobody has looked at this release: run `nightrank retract`.")
        if replaced is not None and replaced["file"] is not None:
            rows |= results_in(workspace / "retracted" / replaced["file"])
    queries, results = zip(*rows.values(), strict=True)
    return pa.table({"query": pa.array(queries), "results": pa.array(results)})


def results_in(path: Path) -> dict[str, tuple[str, str]]:
    """The queries of a results file, with their results as JSON, by key."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file:
        rows = file.execute("SELECT query_key, query, results FROM results").fetchall()
    return {key: (query, results) for key, query, results in rows}


def main(workspace: Path) -> None:
    """Print three tables."""
    release = current_release(workspace)
    folder = {"folder": str(release)}
    with duckdb.connect() as connection:
        connection.register("answers", answers(workspace, release))
        if (release / "evaluation.parquet").exists():  # where there are judgments
            sys.stdout.write(f"Measures of each stage\n{connection.sql(MEASURES, params=folder)}\n")
        sys.stdout.write(f"Results\n{connection.sql(RESULTS)}\n")
        sys.stdout.write(f"Lifted by the reranker\n{connection.sql(LIFTED, params=folder)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
