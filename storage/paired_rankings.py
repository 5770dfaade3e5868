"""The published rankings of two releases side by side: what readers see, and what they would see."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from storage.duck import connect, only_row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb

BLOCK_QUERIES = 2000  # whose rankings are in memory at one time

_NOTHING_SEEN = "CREATE TEMP VIEW seen AS SELECT query_key, results FROM after.results WHERE false"
_HAS_FORMS = "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'before' AND table_name = 'forms'"
_ATTACH_BEFORE = "ATTACH $path AS before (READ_ONLY)"
_ATTACH_AFTER = "ATTACH $path AS after (READ_ONLY)"
_RESULTS_SEEN = "CREATE TEMP VIEW seen AS SELECT query_key, results FROM before.results"
_FORMS_SEEN = """
CREATE TEMP VIEW seen AS
SELECT query_key, results FROM before.results
UNION ALL SELECT form_key, results FROM before.forms JOIN before.results USING (query_key)
"""
_MADE = """
CREATE TEMP VIEW made AS
SELECT query_key, results FROM after.results
UNION ALL SELECT form_key, results FROM after.forms JOIN after.results USING (query_key)
"""

# Rankings are ids alone from here on: what a result says is not needed to compare it.
_PAIRED = """
SELECT query_key,
    json_extract_string(seen.results, '$[*].document_id') AS before,
    json_extract_string(made.results, '$[*].document_id') AS after
FROM after.results AS made LEFT JOIN seen USING (query_key) ORDER BY query_key
"""
_FORMER = """
SELECT query_key,
    json_extract_string(seen.results, '$[*].document_id') AS before,
    json_extract_string(made.results, '$[*].document_id') AS after
FROM before.results AS seen LEFT JOIN made USING (query_key) ORDER BY query_key
"""


class RankingPair(NamedTuple):
    """A query's document ids in two releases, best first, each once; None where a release does not answer it."""

    query_key: str
    before: list[str] | None
    after: list[str] | None


def paired_rankings(before: Path | None, after: Path) -> Iterator[RankingPair]:
    """Every query of a release with its ranking and with what readers got for it before.

    A query that was answered by a near-identical form's results got those.

    Args:
        before: ``results.duckdb`` of the release that readers see; None: there is none to compare with.
        after: ``results.duckdb`` of the release that was made.

    Yields:
        Pairs by query key, a block in memory at a time.
    """
    with closing(connect()) as connection:
        connection.execute(_ATTACH_AFTER, {"path": str(after)})
        if before is None:
            connection.execute(_NOTHING_SEEN)
        else:
            connection.execute(_ATTACH_BEFORE, {"path": str(before)})
            connection.execute(_FORMS_SEEN if only_row(connection, _HAS_FORMS)[0] else _RESULTS_SEEN)
        yield from _pairs(connection, _PAIRED)


def former_rankings(before: Path, after: Path) -> Iterator[RankingPair]:
    """Every query of the release that readers see with its ranking, and what they would get for it instead.

    A query that has become a near-identical form of another gets that one's results.

    Args:
        before: ``results.duckdb`` of the release that readers see.
        after: ``results.duckdb`` of the release that was made.

    Yields:
        Pairs by query key, a block in memory at a time.
    """
    with closing(connect()) as connection:
        connection.execute(_ATTACH_BEFORE, {"path": str(before)})
        connection.execute(_ATTACH_AFTER, {"path": str(after)})
        connection.execute(_MADE)
        yield from _pairs(connection, _FORMER)


def _pairs(connection: duckdb.DuckDBPyConnection, statement: str) -> Iterator[RankingPair]:
    for batch in connection.sql(statement).to_arrow_reader(BLOCK_QUERIES):
        for key, before, after in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield RankingPair(key, _each_once(before), _each_once(after))


def _each_once(ids: list[str] | None) -> list[str] | None:
    """Where chunks are the unit a document may come more than once: it stands where its best chunk stands."""
    return None if ids is None else list(dict.fromkeys(ids))
