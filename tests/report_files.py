"""Plausible files of an evaluation beside a real release's, so that every section of a report has something to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from storage.evaluations import COMPARISON, COVERAGE, DEPTHS, DIAGNOSIS, DROPS, EVALUATION, Timings
from storage.records import BAD_ROWS
from storage.tables import read_table, write_table
from tasks.diagnosis import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STATIC = 0.7  # what static embeddings are worth against the dual encoder


def write_evaluation_files(folder: Path, *, before: Path | None, qrels: Sequence[tuple[str, str, int]]) -> None:
    """Write what an evaluation leaves into a copy of a release's folder.

    Args:
        folder: With evaluation.parquet and queries.parquet of a real run.
        before: The folder of the release before, or None.
        qrels: (query id, document id, grade).
    """
    generator = np.random.default_rng(7)
    evaluation = _with_static(read_table(folder / "evaluation.parquet"))
    write_table(folder / "evaluation.parquet", evaluation)
    rows = evaluation.to_pylist()
    _write(folder / "depths.parquet", DEPTHS, _depths(rows))
    _write(folder / "diagnosis.parquet", DIAGNOSIS, _diagnosis(qrels, generator))
    _write(folder / "coverage.parquet", COVERAGE, _coverage())
    reasons = {"a replay of our own": (420, 8123), "a robot": (133, 5210), "seen by fewer than 3 people": (2310, 2544)}
    _write(folder / "drops.parquet", DROPS, [(reason, *counts) for reason, counts in reasons.items()])
    bad = [("corpus.jsonl", 4, "the text is empty"), ("corpus.jsonl", 9, "the text is empty")]
    _write(folder / "bad_rows.parquet", BAD_ROWS, [*bad, ("queries.jsonl", 2, "`query` is missing")])
    if before is not None:
        _write(folder / "comparison.parquet", COMPARISON, _comparison(read_table(before / "evaluation.parquet"), rows))
    costs = {"static": 0.21, "bm25": 0.93, "dense": 9.4, "fused": 10.5, "reranked": 712.0}
    timings = Timings(milliseconds=costs, queries=5, measured_in="20260101T000000-000Z", machine="2 cores, CPU")
    (folder / "timings.json").write_text(timings.model_dump_json(), encoding="utf-8")


def _write(path: Path, schema: pa.Schema, rows: Sequence[tuple[object, ...]]) -> None:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    write_table(path, pa.table(arrays, schema=schema))


def _with_static(evaluation: pa.Table) -> pa.Table:
    rows = [row for row in evaluation.to_pylist() if row["stage"] != "static"]
    static = [{**row, "stage": "static", "value": STATIC * row["value"]} for row in rows if row["stage"] == "dense"]
    return pa.Table.from_pylist([*static, *rows], schema=EVALUATION)


def _depths(rows: Sequence[dict[str, object]]) -> list[tuple[object, ...]]:
    worth = {(row["stage"], row["query_id"], row["measure"]): row["value"] for row in rows}
    found: list[tuple[object, ...]] = []
    for depth, share in ((0, 0.0), (10, 0.55), (20, 0.8), (50, 0.97), (100, 1.0)):
        for (stage, query_id, measure), value in worth.items():
            if stage == "fused":
                below, above = float(str(value)), float(str(worth["reranked", query_id, measure]))
                found.append((depth, query_id, measure, below + share * (above - below)))
    return found


def _diagnosis(qrels: Sequence[tuple[str, str, int]], generator: np.random.Generator) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for query_id, document_id, grade in sorted(qrels):
        if grade < 1:
            continue
        outcome = OUTCOMES[generator.choice(len(OUTCOMES), p=_shares())]
        ranks: list[int | None] = [int(rank) for rank in generator.integers(1, 90, size=5)]
        if outcome == "found":
            ranks[4] = int(generator.integers(1, 11))
        else:
            ranks[4] = None
        if outcome in {"not in the collection", "no query", "lost in both legs"}:
            ranks = [None] * 5
        rows.append((query_id, document_id, grade, outcome, *ranks))
    return rows


def _shares() -> list[float]:
    shares = [0.62, 0.02, 0.02, 0.1, 0.05, 0.07, 0.12]
    return shares if len(OUTCOMES) == len(shares) else [1 / len(OUTCOMES)] * len(OUTCOMES)


def _coverage() -> list[tuple[object, ...]]:
    budgets = (500, 1000, 2500, 5000, 7500, 10_000)
    return [
        (strategy, budget, budget * 80, 1 - (1 + budget / scale) ** -0.7)
        for strategy, scale in (("chosen", 1500), ("frequency", 2100))
        for budget in budgets
    ]


def _comparison(before: pa.Table, after: Sequence[dict[str, object]]) -> list[tuple[object, ...]]:
    then = {(row["stage"], row["measure"], row["query_id"]): float(row["value"]) for row in before.to_pylist()}
    pairs: dict[tuple[object, object], list[tuple[float, float]]] = {}
    for row in after:
        key = (row["stage"], row["measure"], row["query_id"])
        if key in then:
            pairs.setdefault(key[:2], []).append((then[key], float(str(row["value"]))))
    rows: list[tuple[object, ...]] = []
    for (stage, measure), values in pairs.items():
        left, right = np.array(values).T
        difference, error = float(np.mean(right - left)), 0.004 + float(np.std(right - left)) / len(values) ** 0.5
        p_value = float(np.exp(-abs(difference) / error))
        rows.append(
            (
                stage,
                measure,
                len(values),
                float(left.mean()),
                float(right.mean()),
                difference,
                difference - 2 * error,
                difference + 2 * error,
                p_value,
                min(1.0, p_value * 3),
                int((right > left).sum()),
                int((right == left).sum()),
                int((right < left).sum()),
            )
        )
    return rows
