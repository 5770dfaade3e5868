"""Whether the candidates of a release agree with its chunks, its queries, their own scores and the memo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from nightrank.storage.doctor.faults import find_faults
from nightrank.storage.errors import WorkspaceBusy
from nightrank.storage.files.database import connect, one_file, only_row
from nightrank.storage.filters.queries import text_keys_in

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.doctor.faults import Fault

_READ_CANDIDATES = """
CREATE TEMP TABLE candidates AS
SELECT query_key || ' ' || chunk_id AS name, * EXCLUDE (file_row_number), file_row_number AS position,
    if($by_document, document_id, chunk_id) AS unit
FROM read_parquet($candidates, hive_partitioning = false, file_row_number = true)
"""
_READ_QUERIES = "CREATE TEMP TABLE queries AS SELECT query_key FROM read_parquet($queries, hive_partitioning = false)"


def _misplaced(rank: str, score: str) -> str:
    """SQL for candidates whose rank, a column, is not the place of their unit's score, another one."""
    return f"""
        WITH placed AS (
            SELECT query_key, unit,
                row_number() OVER (PARTITION BY query_key ORDER BY {score} DESC, chunk_number) AS place
            FROM candidates WHERE {score} IS NOT NULL
        ), units AS (
            SELECT query_key, unit, row_number() OVER (PARTITION BY query_key ORDER BY min(place)) AS expected
            FROM placed GROUP BY query_key, unit
        )
        SELECT name AS example FROM candidates LEFT JOIN units USING (query_key, unit)
        WHERE {rank} IS DISTINCT FROM expected
    """  # noqa: S608 (names of columns, written here)


_FAULTS = {
    "candidates that are no chunk of the release": """
        SELECT name AS example FROM candidates
        ANTI JOIN chunks USING (chunk_number, chunk_id, chunk_hash, document_id)
    """,
    "candidates of no query of the release": """
        SELECT name AS example FROM candidates ANTI JOIN queries USING (query_key)
    """,
    "candidates that come more than once": """
        SELECT name AS example FROM candidates GROUP BY query_key, chunk_number, name HAVING count(*) > 1
    """,
    "candidates whose fused rank is not the place of their fused score": _misplaced("fused_rank", "fused_score"),
    "candidates whose rank is not the place of their score": """
        SELECT name AS example
        FROM (
            SELECT name, rank, row_number() OVER (PARTITION BY query_key ORDER BY score DESC, chunk_number) AS place
            FROM candidates
        )
        WHERE rank IS DISTINCT FROM place
    """,
    "candidates whose BM25 rank is not the place of their BM25 score": _misplaced("bm25_rank", "bm25_score"),
    "candidates whose dense rank is not the place of their dense score": _misplaced("dense_rank", "dense_score"),
    "candidates whose sparse rank is not the place of their sparse score": _misplaced("sparse_rank", "sparse_score"),
    "candidates that stand elsewhere in the file than their rank says": """
        SELECT name AS example
        FROM (
            SELECT name, rank, position - min(position) OVER (PARTITION BY query_key) + 1 AS place FROM candidates
        )
        WHERE rank IS DISTINCT FROM place
    """,
}

_READ_PAIRS = """
CREATE TEMP TABLE pairs AS
SELECT query_key || ' ' || chunk_id AS name, try_cast(coalesce(text_key, query_key) AS UUID) AS query_key,
    try_cast(chunk_hash AS UUID) AS chunk_hash, pair_score
FROM read_parquet($candidates, hive_partitioning = false) LEFT JOIN text_keys USING (query_key)
WHERE pair_score IS NOT NULL
"""
_REMEMBERED = "SELECT count(*) FROM pairs JOIN pair_scores USING (query_key, chunk_hash)"
_OF_PAIRS = {
    "pair scores that are not the memo's": """
        SELECT name AS example FROM pairs JOIN pair_scores AS memo USING (query_key, chunk_hash)
        WHERE pair_score IS DISTINCT FROM memo.score
    """,
}


def candidate_faults(candidates: Path, *, queries: Path, bm25: Path, by_document: bool) -> tuple[int, list[Fault]]:
    """What is wrong with the candidates of a release; faults name query key and chunk id.

    Args:
        candidates: A file of schema CANDIDATES.
        queries: A file of schema QUERIES.
        bm25: The file with the table of chunks.
        by_document: Whether ranks and the legs' scores are those of documents; else they are those of chunks.

    Returns:
        How many candidates there are, and the faults.
    """
    with connect(bm25, read_only=True) as connection:
        connection.execute(_READ_CANDIDATES, {"candidates": one_file(candidates), "by_document": by_document})
        connection.execute(_READ_QUERIES, {"queries": one_file(queries)})
        count = int(only_row(connection, "SELECT count(*) FROM candidates")[0])
        return count, find_faults(connection, _FAULTS)


def pair_score_faults(candidates: Path, *, queries: Path, memo: Path) -> tuple[int, list[Fault]]:
    """Which pair scores are not what the memo remembers; what it no longer remembers is passed over.

    Args:
        candidates: A file of schema CANDIDATES.
        queries: A file of schema QUERIES.
        memo: The memo's file.

    Returns:
        How many scores were compared, and the faults.

    Raises:
        WorkspaceBusy: A run is writing the memo.
    """
    with _open_memo(memo) as connection:
        connection.register("text_keys", text_keys_in([queries]))
        connection.execute(_READ_PAIRS, {"candidates": one_file(candidates)})
        return int(only_row(connection, _REMEMBERED)[0]), find_faults(connection, _OF_PAIRS)


def _open_memo(memo: Path) -> duckdb.DuckDBPyConnection:
    try:
        return connect(memo, read_only=True)
    except duckdb.IOException as error:
        if "lock" not in str(error):
            raise
        message = f"A refresh is writing {memo}, so it cannot be read now."
        raise WorkspaceBusy(message, remedy="Wait for it to end, then run again.") from error
