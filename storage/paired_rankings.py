"""The published rankings of two releases side by side: what readers see, and what they would see."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from storage.duck import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK_QUERIES = 2000  # whose rankings are in memory at one time

# Rankings are ids alone from here on: what a result says is not needed to compare it.
_PAIRED = """
WITH seen AS (SELECT query_key, json_extract_string(results, '$[*].document_id') AS ids FROM before.results),
     made AS (SELECT query_key, json_extract_string(results, '$[*].document_id') AS ids FROM after.results)
SELECT query_key, seen.ids AS before, made.ids AS after FROM seen FULL JOIN made USING (query_key) ORDER BY query_key
"""

_ALONE = """
SELECT query_key, NULL::VARCHAR[] AS before, json_extract_string(results, '$[*].document_id') AS after
FROM after.results ORDER BY query_key
"""


class RankingPair(NamedTuple):
    """A query's document ids in two releases, best first, each once; None where a release does not hold the query."""

    query_key: str
    before: list[str] | None
    after: list[str] | None


def paired_rankings(before: Path | None, after: Path) -> Iterator[RankingPair]:
    """Every query of either search cache with both its rankings, by query key, a block in memory at a time.

    Args:
        before: ``results.duckdb`` of the release that readers see; None: there is none to compare with.
        after: ``results.duckdb`` of the release that was made.
    """
    with closing(connect()) as connection:
        connection.execute("ATTACH $path AS after (READ_ONLY)", {"path": str(after)})
        if before is not None:
            connection.execute("ATTACH $path AS before (READ_ONLY)", {"path": str(before)})
        rows = connection.sql(_ALONE if before is None else _PAIRED)
        for batch in rows.to_arrow_reader(BLOCK_QUERIES):
            for key, seen, made in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield RankingPair(key, _each_once(seen), _each_once(made))


def _each_once(ids: list[str] | None) -> list[str] | None:
    """Where chunks are the unit a document may come more than once: it stands where its best chunk stands."""
    return None if ids is None else list(dict.fromkeys(ids))
