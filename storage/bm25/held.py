"""Which texts releases hold, read from the statistics that each of them carries."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from nightrank.storage.files.database import connect

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import duckdb

_REACHED = "CREATE TEMP TABLE reached (chunk_hash VARCHAR NOT NULL)"
_HASHES = "SELECT DISTINCT chunk_hash FROM chunks"
_REACH = "INSERT INTO reached SELECT chunk_hash FROM hashes"


def reachable_chunks(connection: duckdb.DuckDBPyConnection, statistics: Iterable[Path]) -> None:
    """Make the temporary table ``reached`` of the ``chunk_hash`` of all texts that releases hold.

    Args:
        connection: Where.
        statistics: The releases' files ``bm25.duckdb``.
    """
    connection.execute(_REACHED)
    for path in statistics:
        with closing(connect(path, read_only=True)) as release:
            connection.register("hashes", release.sql(_HASHES).to_arrow_reader())
            connection.execute(_REACH)
            connection.unregister("hashes")
