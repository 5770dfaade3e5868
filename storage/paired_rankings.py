"""The published rankings of two releases side by side: what readers see, and what they would see."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from storage.duck import connect, only_row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK_QUERIES = 2000  # whose rankings are in memory at one time

_NOTHING_SEEN = "CREATE TEMP VIEW seen AS SELECT query_key, results FROM after.results WHERE false"
_HAS_FORMS = "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'before' AND table_name = 'forms'"
_RESULTS_SEEN = "CREATE TEMP VIEW seen AS SELECT query_key, results FROM before.results"
_FORMS_SEEN = """
CREATE TEMP VIEW seen AS
SELECT query_key, results FROM before.results
UNION ALL SELECT form_key, results FROM before.forms JOIN before.results USING (query_key)
"""

# Rankings are ids alone from here on: what a result says is not needed to compare it.
_PAIRED = """
SELECT query_key,
    json_extract_string(seen.results, '$[*].document_id') AS before,
    json_extract_string(made.results, '$[*].document_id') AS after
FROM after.results AS made LEFT JOIN seen USING (query_key) ORDER BY query_key
"""


class RankingPair(NamedTuple):
    """A query's document ids in two releases, best first, each once; None where the one before did not answer it."""

    query_key: str
    before: list[str] | None
    after: list[str]


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
        connection.execute("ATTACH $path AS after (READ_ONLY)", {"path": str(after)})
        if before is None:
            connection.execute(_NOTHING_SEEN)
        else:
            connection.execute("ATTACH $path AS before (READ_ONLY)", {"path": str(before)})
            connection.execute(_FORMS_SEEN if only_row(connection, _HAS_FORMS)[0] else _RESULTS_SEEN)
        for batch in connection.sql(_PAIRED).to_arrow_reader(BLOCK_QUERIES):
            for key, seen, made in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield RankingPair(key, None if seen is None else _each_once(seen), _each_once(made))


def _each_once(ids: list[str]) -> list[str]:
    """Where chunks are the unit a document may come more than once: it stands where its best chunk stands."""
    return list(dict.fromkeys(ids))
