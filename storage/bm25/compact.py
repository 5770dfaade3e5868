"""Puts the statistics behind BM25 back in order, once enough of a file is out of it.

Night by night a file collects slots that nobody holds any more, whose postings leave holes, and short runs of postings
at its end, which pack and prune worse than whole blocks. A file written anew is what a build from nothing gives.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from nightrank.storage.bm25.layout import SLOTS_PER_BLOCK, TABLES
from nightrank.storage.files.database import connect, only_row

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

# Slots without a chunk, or with postings out of order, that a file may have for each of its chunks.
DISORDER = 0.125

_COUNTS = """
SELECT chunk_count, ordered_slots, coalesce((SELECT max(slot) + 1 FROM chunks), 0) FROM statistics
"""

_CHUNKS = """
INSERT INTO chunks SELECT * REPLACE (chunk_number AS slot) FROM grown.chunks ORDER BY chunk_number
"""

_TERMS = """
INSERT INTO terms SELECT * REPLACE (term_number AS term_slot) FROM grown.terms ORDER BY term_number
"""

_POSTINGS = """
INSERT INTO postings
SELECT term_number, chunk_number, tf
FROM grown.postings JOIN grown.terms USING (term_slot) JOIN grown.chunks USING (slot)
ORDER BY chunk_number // $slots_per_block, term_number, chunk_number
"""

_STATISTICS = "INSERT INTO statistics SELECT * REPLACE (chunk_count AS ordered_slots) FROM grown.statistics"


def is_disordered(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether more of a file is out of order than ``DISORDER`` allows."""
    chunks, ordered_slots, slots = only_row(connection, _COUNTS)
    return bool(slots - min(chunks, ordered_slots) > DISORDER * chunks)


def write_in_order(path: Path, grown: Path, *, memory_limit: str) -> None:
    """Write what a file says into a new one, where slots are numbers again.

    Args:
        path: The file to write; nothing is there yet.
        grown: The file to read.
        memory_limit: In DuckDB's words.
    """
    with closing(connect(path, memory_limit=memory_limit, spill_folder=path.parent)) as connection:
        connection.execute(TABLES)
        connection.execute("ATTACH $grown AS grown (READ_ONLY)", {"grown": str(grown)})
        connection.execute(_CHUNKS)
        connection.execute(_TERMS)
        connection.execute(_POSTINGS, {"slots_per_block": SLOTS_PER_BLOCK})
        connection.execute(_STATISTICS)
        connection.execute("CHECKPOINT")
