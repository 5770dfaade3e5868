"""Builds the statistics behind BM25, in one file of DuckDB.

    chunks      chunk_number, chunk_id, chunk_hash, document_id, ordinal, title, body_start, length, metadata
    terms       term_number, term, chunk_count
    postings    term_number, chunk_number, tf
    statistics  chunk_count, total_length, analysis (the fingerprint of how texts become terms)

Frequencies and lengths are stored; idf and the average length are computed from them by whoever scores. Chunks are
numbered from 0 by document id descending (as trec_eval breaks ties), then ordinal, and terms in code-point order: the
same chunks give the same numbers and, to the last bit, the same scores. Reading is ``storage.bm25_store``'s matter.
"""

from __future__ import annotations

import glob
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.bm25_words import analysis_fingerprint, count_runs_and_name_terms
from storage.duck import connect
from storage.errors import MachineError

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from storage.bm25_words import WordAnalyser

# Postings lie by blocks of this many chunks, by term within: a range of chunks and a few terms both read little.
CHUNKS_PER_BLOCK = 65_536

_NUMBER = """
CREATE TEMP TABLE numbers AS
SELECT (row_number() OVER (ORDER BY document_id DESC, ordinal) - 1)::INTEGER AS number, chunk_id
FROM chunk_rows
"""

_TEXTS = """
CREATE TEMP VIEW numbered_texts AS
SELECT number, text FROM chunk_rows JOIN numbers USING (chunk_id)
"""

_TERMS = """
CREATE TEMP TABLE named AS
SELECT (row_number() OVER (ORDER BY term) - 1)::INTEGER AS term_number, term
FROM (SELECT DISTINCT term FROM run_terms)
"""

_POSTINGS = """
CREATE TABLE postings AS
SELECT term_number, number AS chunk_number, sum(occurrences * times)::INTEGER AS tf
FROM run_counts JOIN run_terms USING (run) JOIN named USING (term)
GROUP BY term_number, chunk_number
ORDER BY chunk_number // $chunks_per_block, term_number, chunk_number
"""

_TERM_COUNTS = """
CREATE TABLE terms AS
SELECT term_number, term, chunk_count
FROM named
JOIN (SELECT term_number, count(*)::INTEGER AS chunk_count FROM postings GROUP BY term_number) USING (term_number)
ORDER BY term_number
"""

_CHUNKS = """
CREATE TABLE chunks AS
SELECT number AS chunk_number, chunk_id, chunk_hash, document_id, ordinal, title, body_start,
    coalesce(length, 0)::INTEGER AS length, metadata
FROM chunk_rows JOIN numbers USING (chunk_id)
LEFT JOIN (SELECT chunk_number AS number, sum(tf) AS length FROM postings GROUP BY chunk_number) USING (number)
ORDER BY chunk_number
"""

_STATISTICS = """
CREATE TABLE statistics AS
SELECT count(*) AS chunk_count, coalesce(sum(length), 0)::BIGINT AS total_length, $analysis AS analysis FROM chunks
"""

_COUNTS = """
SELECT (SELECT count(*) FROM chunks), (SELECT count(*) FROM terms), (SELECT count(*) FROM postings), total_length
FROM statistics
"""


@dataclass(frozen=True, slots=True)
class Bm25Counts:
    """How much was indexed.

    Attributes:
        chunks: Chunks, those without a term included.
        terms: Distinct terms.
        postings: (term, chunk) pairs.
        total_length: Terms with their repetitions, over all chunks.
    """

    chunks: int
    terms: int
    postings: int
    total_length: int


def build_bm25(path: Path, chunks: Path, *, analyse: WordAnalyser, memory_limit: str = "4GB") -> Bm25Counts:
    """Write the statistics of a collection; the file appears when it is whole.

    Memory is bounded by ``memory_limit``, beyond which DuckDB spills into the file's own folder, and by the number of
    distinct words.

    Args:
        path: The file to write; replaced where it exists.
        chunks: A Parquet file with the schema ``storage.records.CHUNKS``.
        analyse: What becomes of each distinct word.
        memory_limit: In DuckDB's words.

    Raises:
        MachineError: Two chunks have one id.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    _remove(temporary)
    try:
        with closing(connect(temporary, memory_limit=memory_limit, spill_folder=path.parent)) as connection:
            counts = _fill(connection, chunks, analyse)
            connection.execute("CHECKPOINT")
        temporary.replace(path)
    finally:
        _remove(temporary)
    return counts


def _fill(connection: duckdb.DuckDBPyConnection, chunks: Path, analyse: WordAnalyser) -> Bm25Counts:
    connection.read_parquet(glob.escape(str(chunks))).create_view("chunk_rows")
    connection.execute(_NUMBER)
    if _rows(connection, "SELECT chunk_id FROM numbers GROUP BY chunk_id HAVING count(*) > 1 LIMIT 1"):
        raise MachineError(f"{chunks} has two chunks of one id.", remedy="Chunk the collection again.")
    connection.execute(_TEXTS)
    count_runs_and_name_terms(connection, analyse=analyse)
    connection.execute(_TERMS)
    connection.execute(_POSTINGS, {"chunks_per_block": CHUNKS_PER_BLOCK})
    connection.execute(_TERM_COUNTS)
    connection.execute(_CHUNKS)
    connection.execute("DROP VIEW numbered_texts; DROP VIEW chunk_rows")
    connection.execute(_STATISTICS, {"analysis": analysis_fingerprint(analyse)})
    return Bm25Counts(*_rows(connection, _COUNTS)[0])


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[int, ...]]:
    return connection.execute(query).fetchall()


def _remove(temporary: Path) -> None:
    temporary.unlink(missing_ok=True)
    temporary.with_name(f"{temporary.name}.wal").unlink(missing_ok=True)
