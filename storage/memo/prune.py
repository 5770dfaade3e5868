"""Upkeep of the memos: a file in which much is reached by no release, or much is free, is written anew without it.

DuckDB gives the room of deleted rows back slowly, and deleting a few rows here and there writes almost as much as the
file holds; appending to a file now and then doubles it. So what nothing reaches stays until it is worth a new file, and
then all of it goes.

Scores that were paid for are never dropped for that a release does not reach them: a comparison or a tuning may have
asked for them, or settings that come back will. They go with the texts that they are about.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.bm25.held import reachable_chunks
from nightrank.storage.files.atomic import remove_unfinished
from nightrank.storage.files.database import connect_for_writing, one_file, only_row
from nightrank.storage.files.listing import entries
from nightrank.storage.filters.queries import text_keys_in
from nightrank.storage.memo.file import written_anew
from nightrank.storage.memo.pair_scores import CREATE_PAIR_SCORES, PAID
from nightrank.storage.memo.query_vectors import CREATE_QUERY_VECTORS
from nightrank.storage.memo.sparse_vectors import CREATE_SPARSE_VECTORS, QUERIES_PREFIX, TEXTS_PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Of a memo's entries, or of its bytes: a new file writes at most four living entries for each dead one.
DEAD_SHARE = 0.2
DEAD_BYTES = 500_000  # so much may be free in any case: DuckDB takes room by 256 kB

_BYTES = """
SELECT block_size * total_blocks, block_size * free_blocks FROM pragma_database_size()
WHERE database_name = current_database()
"""


@dataclass(frozen=True, slots=True)
class MemoKind:
    """What a kind of memo looks like.

    Attributes:
        prefix: Of its files' names.
        create: Makes its table.
        reachable: Makes the temporary table of the keys that releases' files reach, from these and ``text_keys``; None
            where whatever is about their chunks is kept.
        count: Gives how many entries there are, and how many of them are reached.
        living: Gives the entries that are reached.
        insert: Takes them from ``living``.
    """

    prefix: str
    create: str
    reachable: str | None
    count: str
    living: str
    insert: str


PAIRS = MemoKind(
    prefix="pairs-",
    create=CREATE_PAIR_SCORES,
    reachable="""
CREATE TEMP TABLE reached AS
SELECT DISTINCT coalesce(text_key, query_key)::UUID AS query_key, chunk_hash::UUID AS chunk_hash
FROM (
    FROM read_parquet($files, hive_partitioning = false, filename = true)
    -- A query that a spending cap left unfinished shows no score, and what was paid for it is wanted the next night.
    QUALIFY pair_score IS NOT NULL OR count(pair_score) OVER (PARTITION BY filename, query_key) = 0
) LEFT JOIN text_keys USING (query_key)
""",
    count="""
SELECT (SELECT count(*) FROM pair_scores),
       (SELECT count(*) FROM pair_scores SEMI JOIN reached USING (query_key, chunk_hash))
""",
    living="SELECT query_key, chunk_hash, score FROM pair_scores SEMI JOIN reached USING (query_key, chunk_hash)",
    insert="INSERT INTO pair_scores SELECT query_key::UUID, chunk_hash::UUID, score FROM living",
)

# Of rerankers whose scores cost money. Their files are among those of ``PAIRS``.
PAID_PAIRS = MemoKind(
    prefix=f"{PAIRS.prefix}{PAID}",
    create=CREATE_PAIR_SCORES,
    reachable=None,
    count="""
SELECT (SELECT count(*) FROM pair_scores),
       (SELECT count(*) FROM pair_scores WHERE chunk_hash IN (SELECT chunk_hash::UUID FROM reached))
""",
    living="""
SELECT query_key, chunk_hash, score FROM pair_scores WHERE chunk_hash IN (SELECT chunk_hash::UUID FROM reached)
""",
    insert=PAIRS.insert,
)

QUERIES = MemoKind(
    prefix="queries-",
    create=CREATE_QUERY_VECTORS,
    reachable="""
CREATE TEMP TABLE reached AS
SELECT DISTINCT coalesce(text_key, query_key)::UUID AS query_key
FROM read_parquet($files, hive_partitioning = false) LEFT JOIN text_keys USING (query_key)
""",
    count="""
SELECT (SELECT count(*) FROM query_vectors), (SELECT count(*) FROM query_vectors SEMI JOIN reached USING (query_key))
""",
    living="SELECT query_key, vector FROM query_vectors SEMI JOIN reached USING (query_key)",
    insert="INSERT INTO query_vectors SELECT query_key::UUID, vector FROM living",
)

_INSERT_SPARSE = "INSERT INTO sparse_vectors SELECT key::UUID, tokens, weights FROM living"

SPARSE_TEXTS = MemoKind(
    prefix=TEXTS_PREFIX,
    create=CREATE_SPARSE_VECTORS,
    reachable=None,
    count="""
SELECT (SELECT count(*) FROM sparse_vectors),
       (SELECT count(*) FROM sparse_vectors WHERE key IN (SELECT chunk_hash::UUID FROM reached))
""",
    living="SELECT key, tokens, weights FROM sparse_vectors WHERE key IN (SELECT chunk_hash::UUID FROM reached)",
    insert=_INSERT_SPARSE,
)

SPARSE_QUERIES = MemoKind(
    prefix=QUERIES_PREFIX,
    create=CREATE_SPARSE_VECTORS,
    reachable=QUERIES.reachable,
    count="""
SELECT (SELECT count(*) FROM sparse_vectors),
       (SELECT count(*) FROM sparse_vectors WHERE key IN (SELECT query_key FROM reached))
""",
    living="SELECT key, tokens, weights FROM sparse_vectors WHERE key IN (SELECT query_key FROM reached)",
    insert=_INSERT_SPARSE,
)


def memo_path(folder: Path, kind: MemoKind, fingerprint: str) -> Path:
    """The file of a model's memo."""
    return folder / f"{kind.prefix}{fingerprint}.duckdb"


def memos(folder: Path, kind: MemoKind) -> list[Path]:
    """The files of all memos of a kind."""
    return entries(folder, f"{kind.prefix}*.duckdb")


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes were still writing, and logs whose memos they had removed."""
    remove_unfinished(folder)
    for log in entries(folder, "*.duckdb.wal"):
        if not log.with_suffix("").exists():
            log.unlink()


def keep_reachable(
    path: Path, kind: MemoKind, *, files: Sequence[Path], queries: Sequence[Path], thorough: bool, dry_run: bool
) -> int:
    """Write a memo anew without what no release reaches, where a fifth of it is dead or free; at once or not at all.

    Args:
        path: The memo.
        kind: What it holds.
        files: Of the releases that the memo serves, what names the keys that they reach: the candidates for pairs, the
            statistics for paid ones and for texts, the queries for queries.
        queries: Their queries.
        thorough: Write it anew wherever anything is dead.
        dry_run: Only count.

    Returns:
        How many entries went.
    """
    with closing(connect_for_writing(path)) as memo:
        if kind.reachable is None:
            reachable_chunks(memo, files)
        else:
            memo.register("text_keys", text_keys_in(queries))
            memo.execute(kind.reachable, {"files": [one_file(file) for file in files]})
            memo.unregister("text_keys")
        entries, living = only_row(memo, kind.count)
        dead = int(entries - living)
        size, free = only_row(memo, _BYTES)
        alive = (size - free) * living / max(1, entries)
        is_due = dead > DEAD_SHARE * entries or size > alive / (1 - DEAD_SHARE) + DEAD_BYTES
        if not (is_due or (thorough and dead)):
            return 0
        if dry_run:
            return dead
        with written_anew(path, memo) as anew:
            anew.execute(kind.create)
            anew.register("living", memo.sql(kind.living).to_arrow_reader())
            anew.execute(kind.insert)
            anew.unregister("living")
    return dead
