"""Whether the lists of a release, each query's nearest texts, agree with its queries, chunks and candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nightrank.storage.doctor.faults import find_faults
from nightrank.storage.files.database import connect, one_file, only_row
from nightrank.storage.filters.queries import text_keys_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import duckdb

    from nightrank.storage.doctor.faults import Fault

_READ_LISTS = """
CREATE TEMP TABLE lists AS
SELECT query_key, floor, chunk_hashes, scores
FROM read_parquet($lists, hive_partitioning = false)
"""
_READ_QUERIES = "CREATE TEMP TABLE queries AS SELECT query_key FROM read_parquet($queries, hive_partitioning = false)"
_READ_CANDIDATES = {
    "dense": """
        CREATE TEMP TABLE candidates AS
        SELECT query_key, if($by_document, document_id, chunk_id) AS unit, dense_score AS leg_score
        FROM read_parquet($candidates, hive_partitioning = false) WHERE dense_score IS NOT NULL
    """,
    "sparse": """
        CREATE TEMP TABLE candidates AS
        SELECT query_key, if($by_document, document_id, chunk_id) AS unit, sparse_score AS leg_score
        FROM read_parquet($candidates, hive_partitioning = false) WHERE sparse_score IS NOT NULL
    """,
}
_READ_UNITS = """
CREATE TEMP TABLE units AS SELECT DISTINCT chunk_hash, if($by_document, document_id, chunk_id) AS unit FROM chunks
"""

_FAULTS = {
    "queries without a list": """
        SELECT query_key AS example FROM queries ANTI JOIN lists USING (query_key)
    """,
    "lists of no query of the release": """
        SELECT query_key AS example FROM lists ANTI JOIN queries USING (query_key)
    """,
    "queries that have more than one list": """
        SELECT query_key AS example FROM lists GROUP BY query_key HAVING count(*) > 1
    """,
    "lists that have not one score a text": """
        SELECT query_key AS example FROM lists WHERE len(chunk_hashes) IS DISTINCT FROM len(scores)
    """,
    "lists with a text that no chunk of the release has": """
        SELECT DISTINCT query_key AS example
        FROM (SELECT query_key, unnest(chunk_hashes) AS chunk_hash FROM lists) ANTI JOIN chunks USING (chunk_hash)
    """,
    "lists in which a text comes more than once": """
        SELECT query_key AS example FROM lists WHERE len(list_distinct(chunk_hashes)) != len(chunk_hashes)
    """,
    "lists whose scores rise": """
        SELECT query_key AS example FROM lists WHERE scores IS DISTINCT FROM list_reverse_sort(scores)
    """,
    "lists with a score that is no number above the floor": """
        SELECT query_key AS example FROM lists
        WHERE len(list_filter(scores, lambda score: isfinite(score) AND score > floor)) != len(scores)
    """,
}
_FAULTS_OF_DENSE_LISTS = {  # a text that shares no token with a query is in no sparse list
    "lists without a floor that lack a text": """
        SELECT query_key AS example FROM lists
        ANTI JOIN filtered USING (query_key)
        WHERE floor = '-inf'::FLOAT AND len(chunk_hashes) < (SELECT count(DISTINCT chunk_hash) FROM chunks)
    """,
}
_FAULTS_BESIDE_CANDIDATES = {
    "lists that give a candidate another score": """
        SELECT DISTINCT query_key AS example
        FROM (
            SELECT query_key, unit, max(score) AS score
            FROM (SELECT query_key, unnest(chunk_hashes) AS chunk_hash, unnest(scores) AS score FROM lists)
            JOIN units USING (chunk_hash)
            GROUP BY query_key, unit
        )
        JOIN candidates USING (query_key, unit)
        WHERE score IS DISTINCT FROM leg_score
    """,
}


def leg_list_faults(
    lists: Path,
    *,
    leg: Literal["dense", "sparse"],
    queries: Path,
    candidates: Path | None,
    bm25: Path,
    by_document: bool,
) -> tuple[int, list[Fault]]:
    """What is wrong with the lists of a leg over vectors, as a release keeps them.

    Args:
        lists: A Parquet file with ``query_key``, ``floor``, ``chunk_hashes`` and ``scores``, one row a query.
        leg: Which.
        queries: A file of schema QUERIES.
        candidates: A file of schema CANDIDATES; None where a run from outside stands in for the leg.
        bm25: The file with the table of chunks.
        by_document: Whether a candidate has the score of its document's best chunk; else it has its own.

    Returns:
        How many lists there are, and the faults; they name the query's key.
    """
    wanted = _FAULTS | _FAULTS_OF_DENSE_LISTS if leg == "dense" else _FAULTS
    with connect(bm25, read_only=True) as connection:
        if candidates is None:
            return _faults(connection, lists, queries, wanted)
        connection.execute(_READ_CANDIDATES[leg], {"candidates": one_file(candidates), "by_document": by_document})
        connection.execute(_READ_UNITS, {"by_document": by_document})
        return _faults(connection, lists, queries, wanted | _FAULTS_BESIDE_CANDIDATES)


def _faults(
    connection: duckdb.DuckDBPyConnection, lists: Path, queries: Path, wanted: Mapping[str, str]
) -> tuple[int, list[Fault]]:
    connection.execute(_READ_LISTS, {"lists": one_file(lists)})
    connection.execute(_READ_QUERIES, {"queries": one_file(queries)})
    connection.register("filtered", text_keys_in([queries]))  # their lists have what the filter lets through
    count = int(only_row(connection, "SELECT count(*) FROM lists")[0])
    return count, find_faults(connection, wanted)
