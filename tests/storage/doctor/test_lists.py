from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from nightrank.storage.doctor.lists import leg_list_faults
from nightrank.storage.files.database import connect
from nightrank.storage.files.parquet import write_table
from nightrank.storage.records import QUERIES

if TYPE_CHECKING:
    from pathlib import Path

LISTS = pa.schema(
    [
        pa.field("query_key", pa.string()),
        pa.field("floor", pa.float32()),
        pa.field("chunk_hashes", pa.list_(pa.string())),
        pa.field("scores", pa.list_(pa.float32())),
    ]
)
Row = tuple[str, float, list[str], list[float | None]]

SOUND: list[Row] = [
    ("q1", 0.25, ["a", "b", "c"], [0.75, 0.5, 0.5]),
    ("q2", -1.0, ["c"], [-0.5]),
    ("q3", 0.5, [], []),
]


CANDIDATES: dict[str, object] = {
    "query_key": ["q1", "q1", "q2", "q3"],
    "document_id": ["one", "one", "two", "one"],
    "chunk_id": ["one#0", "one#1", "two#0", "one#0"],
    "dense_score": pa.array([0.75, None, -0.5, 0.25], pa.float32()),
}


CHUNKS = """
CREATE OR REPLACE TABLE chunks AS SELECT * FROM (VALUES
    ('one', 'one#0', 'a'), ('one', 'one#1', 'b'), ('two', 'two#0', 'c'), ('two', 'two#1', 'c')
) AS rows (document_id, chunk_id, chunk_hash)
"""


def faults_of(
    folder: Path, rows: list[Row], *, candidates: dict[str, object] = CANDIDATES, by_document: bool = False
) -> tuple[int, list[str]]:
    """How many lists there are and what is wrong with them, for the queries q1 to q3 and the texts a, b, c."""
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), LISTS, strict=True)]
    write_table(folder / "dense.parquet", pa.table(columns, schema=LISTS))
    keys = ["q1", "q2", "q3"]
    queries = [
        {"query_key": key, "text": "x", "count": 1, "query_ids": [], "aliases": [], "origin": "log"} for key in keys
    ]
    write_table(folder / "queries.parquet", pa.Table.from_pylist(queries, schema=QUERIES))
    write_table(folder / "candidates.parquet", pa.table(candidates))
    with connect(folder / "bm25.duckdb") as connection:
        connection.execute(CHUNKS)
    count, faults = leg_list_faults(
        folder / "dense.parquet",
        leg="dense",
        queries=folder / "queries.parquet",
        candidates=folder / "candidates.parquet",
        bm25=folder / "bm25.duckdb",
        by_document=by_document,
    )
    return count, [str(fault) for fault in faults]


def test_sound_lists_have_no_fault_an_empty_one_included(tmp_path: Path) -> None:
    assert faults_of(tmp_path, SOUND) == (3, [])


def test_a_list_without_a_floor_holds_every_text(tmp_path: Path) -> None:
    everything: Row = ("q1", float("-inf"), ["a", "b", "c"], [0.75, 0.5, -0.5])
    assert faults_of(tmp_path, [*SOUND[1:], everything]) == (3, [])
    lacking: Row = ("q1", float("-inf"), ["a", "b"], [0.75, 0.5])
    assert faults_of(tmp_path, [*SOUND[1:], lacking]) == (3, ["lists without a floor that lack a text (1): q1"])


def test_a_list_gives_a_candidate_the_score_that_it_has(tmp_path: Path) -> None:
    other: Row = ("q1", 0.25, ["a", "b"], [0.625, 0.5])
    assert faults_of(tmp_path, [*SOUND[1:], other]) == (3, ["lists that give a candidate another score (1): q1"])


def test_a_candidate_that_is_a_document_has_the_score_of_its_best_chunk(tmp_path: Path) -> None:
    by_best = {**CANDIDATES, "dense_score": pa.array([0.75, 0.75, -0.5, 0.25], pa.float32())}
    assert faults_of(tmp_path, SOUND, candidates=by_best, by_document=True) == (3, [])
    by_own = {**CANDIDATES, "dense_score": pa.array([0.75, 0.5, -0.5, 0.25], pa.float32())}
    assert faults_of(tmp_path, SOUND, candidates=by_own) == (3, [])
    told = ["lists that give a candidate another score (1): q1"]
    assert faults_of(tmp_path, SOUND, candidates=by_own, by_document=True) == (3, told)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (SOUND[:2], "queries without a list (1): q3"),
        ([*SOUND, ("q9", 0.0, ["a"], [0.5])], "lists of no query of the release (1): q9"),
        ([*SOUND, SOUND[1]], "queries that have more than one list (1): q2"),
        ([*SOUND[1:], ("q1", 0.0, ["b", "c"], [0.5])], "lists that have not one score a text (1): q1"),
        (
            [*SOUND[1:], ("q1", 0.0, ["z", "y"], [0.5, 0.5])],
            "lists with a text that no chunk of the release has (1): q1",
        ),
        ([*SOUND[1:], ("q1", 0.0, ["b", "b"], [0.5, 0.5])], "lists in which a text comes more than once (1): q1"),
        ([*SOUND[1:], ("q1", 0.0, ["b", "a"], [0.5, 0.75])], "lists whose scores rise (1): q1"),
        (
            [*SOUND[1:], ("q1", 0.5, ["a", "b"], [0.75, 0.5])],
            "lists with a score that is no number above the floor (1): q1",
        ),
    ],
)
def test_a_fault_of_a_list_is_named_with_its_query(tmp_path: Path, rows: list[Row], says: str) -> None:
    assert faults_of(tmp_path, rows) == (len(rows), [says])


@pytest.mark.parametrize("scores", [[0.5, None], [float("nan"), 0.5]])
def test_a_score_that_is_no_number_is_a_fault(tmp_path: Path, scores: list[float | None]) -> None:
    count, faults = faults_of(tmp_path, [*SOUND[1:], ("q1", 0.0, ["b", "c"], scores)])
    assert count == 3
    assert faults == ["lists with a score that is no number above the floor (1): q1"]
