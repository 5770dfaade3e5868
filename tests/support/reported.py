"""Releases as a report finds them: a manifest and the files of an evaluation, written by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from nightrank.storage.files.parquet import write_table
from nightrank.storage.keys import query_key
from nightrank.storage.records import BAD_ROWS, QUERIES
from nightrank.storage.release.evaluation import (
    COMPARISON,
    COVERAGE,
    DEPTHS,
    DIAGNOSIS,
    DROPPED,
    EVALUATION,
    GAPS,
    Timings,
)
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import ChunkTableVersion, Counts, Inputs, Manifest
from nightrank.storage.release.results.file import write_results_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FIRST, SECOND = "20260101T030405-000Z", "20260102T030405-000Z"
MEASURES = {"nDCG@10": 0.5, "R@100": 0.75}

# A passage of every result, hostile in what is highlighted and beside it.
PASSAGE = {
    "text": "Before. An <i>answer</i> & more. After.",
    "snippet": {"start": 8, "end": 32, "cut_start": False, "cut_end": False, "highlights": [[14, 20]]},
}


def manifest_of(release_id: str = SECOND, **changes: Any) -> Manifest:  # noqa: ANN401 (any field of it)
    """A manifest whose fields are as given, else of little interest."""
    manifest = Manifest(
        release_id=release_id,
        created_at=NOW,
        status="accepted",
        previous=None if release_id == FIRST else FIRST,
        nightrank="0.1.0",
        inputs=Inputs.model_validate(dict.fromkeys(Inputs.model_fields, "0123456789abcdef")),
        settings={"workspace": "w", "bm25": {"k1": 1.2}},
        chunk_table=ChunkTableVersion(name="chunks", version=1),
        counts=Counts.model_validate(dict.fromkeys(Counts.model_fields, 0)),
        seconds={"total": 9.0, "read": 1.0, "embed": 4.0},
        measures={"bm25": MEASURES, "fused": MEASURES, "reranker": MEASURES, "reranked": MEASURES, "results": MEASURES},
        gates=[],
        files={},
    )
    return manifest.model_copy(update=changes)


def write_rows(path: Path, schema: pa.Schema, rows: Sequence[tuple[Any, ...]]) -> None:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    write_table(path, pa.table(arrays, schema=schema))


def write_answers(folder: Path, answers: Mapping[str, tuple[str, Sequence[tuple[str, str]]]]) -> None:
    """Write the queries and the search cache: by query id, its text and the (document id, title) of its results."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = {query_id: query_key(text) for query_id, (text, _) in answers.items()}
    rows: list[tuple[Any, ...]] = [
        (keys[query_id], text, 1, [query_id], [], None, "log") for query_id, (text, _) in answers.items()
    ]
    write_rows(folder / "queries.parquet", QUERIES, rows)
    cached = (
        (keys[query_id], text, json.dumps([_entry(*entry) for entry in enumerate(results, start=1)]))
        for query_id, (text, results) in answers.items()
    )
    write_results_file(ReleaseFiles(folder).results.path, cached)


def write_worth(
    folder: Path, values: Mapping[str, float], *, measure: str = "nDCG@10", name: str = "evaluation.parquet"
) -> None:
    """Write a file of schema EVALUATION: what the results of each query are worth."""
    rows = [("results", query_id, measure, value) for query_id, value in values.items()]
    write_rows(folder / name, EVALUATION, rows)


def write_everything_else(folder: Path, diagnosis: Sequence[tuple[Any, ...]]) -> None:
    """Write every further file that a report can tell of."""
    write_rows(folder / "diagnosis.parquet", DIAGNOSIS, diagnosis)
    depths = [(depth, "q", "nDCG@10", value) for depth, value in ((0, 0.4), (10, 0.5), (100, 0.55))]
    write_rows(folder / "depths.parquet", DEPTHS, depths)
    coverage = [
        ("chosen", 10, 50, 0.2),
        ("chosen", 20, 90, 0.3),
        ("frequency", 10, 50, 0.1),
        ("frequency", 20, 95, 0.2),
    ]
    write_rows(folder / "coverage.parquet", COVERAGE, coverage)
    write_rows(folder / "dropped.parquet", DROPPED, [("a robot", 2, 9), ("a replay", 1, 40)])
    write_rows(folder / "bad_rows.parquet", BAD_ROWS, [("log.csv", 3, "no query"), ("log.csv", 8, "no query")])
    compared = [
        ("results", "nDCG@10", 2, 0.5, 0.25, -0.25, -0.4, -0.1, 0.001, 0.02, 0, 1, 1),
        ("bm25", "nDCG@10", 2, 0.5, 0.5, 0.0, -0.1, 0.1, 1.0, 1.0, 0, 2, 0),
    ]
    write_rows(folder / "comparison.parquet", COMPARISON, compared)
    gaps = [
        ("</td><b>no answer</b>", '{"a":"<i>"}', 9, ["no results", "no clicks"], 0, None, None, 40, 0),
        ("weak", None, 3, ["low score"], 10, "pair_score", -7.25, None, None),
    ]
    write_rows(folder / "gaps.parquet", GAPS, gaps)
    timings = Timings(
        milliseconds={"bm25": 1.0, "fused": 9.0, "reranked": 700.0}, queries=5, measured_in=FIRST, machine="CPU"
    )
    (folder / "timings.json").write_text(timings.model_dump_json(), encoding="utf-8")


def _entry(rank: int, result: tuple[str, str]) -> dict[str, object]:
    document_id, title = result
    shown = {"document_id": document_id, "chunk_id": f"{document_id}#0", "title": title}
    return {"rank": rank, **shown, "score": 1 / rank, **PASSAGE, "metadata": {}}
