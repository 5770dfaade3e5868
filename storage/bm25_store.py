"""The statistics behind BM25: one DuckDB file a release, built whole and then only read.

    chunks      chunk_number, chunk_id, chunk_hash, document_id, ordinal, title, body_start, length, metadata
    terms       term_number, term, chunk_count
    postings    term_number, chunk_number, tf
    statistics  chunk_count, total_length, analysis (the fingerprint of how texts become terms)

Frequencies and lengths are stored; idf and the average length are computed from them by whoever scores. Chunks are
numbered from 0 by document id descending (as trec_eval breaks ties), then ordinal, and terms in code-point order: the
same chunks give the same numbers and, to the last bit, the same scores. Formulas are no matter of this module.
"""

from __future__ import annotations

import glob
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from storage.bm25_words import WordAnalyser, analysis_fingerprint, count_runs_and_name_terms
from storage.duck import connect
from storage.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    import duckdb
    from numpy.typing import NDArray

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

_QUERY_TERMS = """
SELECT number AS query_number, term_number, sum(occurrences * times)::INTEGER AS qtf
FROM run_counts JOIN run_terms USING (run) JOIN terms USING (term)
GROUP BY number, term_number
ORDER BY number, term_number
"""

_POSTINGS_OF = """
SELECT term_number, chunk_number, tf, length
FROM postings JOIN chunks USING (chunk_number) SEMI JOIN wanted_terms USING (term_number)
WHERE chunk_number >= $first_chunk AND chunk_number < $end_chunk
"""

_COUNTS = """
SELECT (SELECT count(*) FROM chunks), (SELECT count(*) FROM terms), (SELECT count(*) FROM postings), total_length
FROM statistics
"""

_ALL_CHUNKS = "SELECT * FROM chunks ORDER BY chunk_number"


@dataclass(frozen=True, slots=True)
class PostingBlock:
    """The postings of a range of chunks.

    Attributes:
        first_chunk: The first chunk's number.
        end_chunk: One past the last chunk's number.
        postings: term_number, chunk_number, tf, length; int32, in no order.
    """

    first_chunk: int
    end_chunk: int
    postings: pa.Table


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


class Bm25Store:
    """The statistics of one release, open for reading; a context manager.

    Attributes:
        chunk_count: Chunks of the collection, those without a term included.
        total_length: Terms with their repetitions, over all chunks.
        analysis: The fingerprint of how its texts became terms.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        rows = connection.execute("SELECT chunk_count, total_length, analysis FROM statistics").fetchall()
        self.chunk_count: int = rows[0][0]
        self.total_length: int = rows[0][1]
        self.analysis: str = rows[0][2]

    @classmethod
    def open(cls, path: Path, *, memory_limit: str = "4GB") -> Self:
        """Open the file of a release.

        Raises:
            MachineError: It is not there.
        """
        if not path.is_file():
            raise MachineError(f"{path} is not there.", remedy="Restore the release, or run a refresh to make another.")
        return cls(connect(path, read_only=True, memory_limit=memory_limit))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @property
    def average_length(self) -> float:
        """Terms a chunk; 0 without chunks."""
        return self.total_length / self.chunk_count if self.chunk_count else 0.0

    def chunks(self) -> pa.Table:
        """All chunks, by number: row n is chunk n."""
        return self._connection.sql(_ALL_CHUNKS).to_arrow_table()

    def chunk_batches(self, *, rows: int = 65_536) -> Iterator[pa.RecordBatch]:
        """All chunks, by number, about ``rows`` in memory at a time."""
        with closing(self._connection.cursor()) as cursor:  # an unread result blocks its connection
            yield from cursor.sql(_ALL_CHUNKS).to_arrow_reader(rows)

    def lengths(self) -> NDArray[np.int32]:
        """int32 (chunk_count,), terms with their repetitions of each chunk."""
        return self._column("SELECT length FROM chunks ORDER BY chunk_number")

    def query_terms(self, texts: Sequence[str], *, analyse: WordAnalyser) -> pa.Table:
        """The terms of queries, split and counted by the very SQL that documents went through.

        Args:
            texts: Query n is ``texts[n]``.
            analyse: What the collection was analysed with.

        Returns:
            query_number, term_number, qtf (the term's occurrences in the query); int32, by query, then term. Terms
            that no chunk has are left out.

        Raises:
            MachineError: The collection was analysed in another way.
        """
        if analysis_fingerprint(analyse) != self.analysis:
            raise MachineError(
                "The queries would be analysed in another way than the release's chunks.",
                remedy="Run a refresh: the language, stop words or the program changed since the release was built.",
            )
        numbered = pa.table({"number": np.arange(len(texts), dtype=np.int32), "text": pa.array(texts, pa.string())})
        with closing(self._connection.cursor()) as cursor:
            cursor.register("numbered_texts", numbered)
            count_runs_and_name_terms(cursor, analyse=analyse)
            return cursor.sql(_QUERY_TERMS).to_arrow_table()

    def chunk_counts(self, term_numbers: NDArray[np.int32] | None = None) -> NDArray[np.int32]:
        """int32 (n,), in how many chunks each of the terms is; of all terms, by number, where none are named."""
        counts = self._column("SELECT chunk_count FROM terms ORDER BY term_number")
        return counts if term_numbers is None else counts[term_numbers]

    def postings_of(self, term_numbers: NDArray[np.int32], first_chunk: int, end_chunk: int) -> pa.Table:
        """Where some terms are, in a range of chunks.

        Returns:
            term_number, chunk_number, tf, length (the chunk's); int32, in no order. Chunks from ``first_chunk`` to
            ``end_chunk - 1``.
        """
        with closing(self._connection.cursor()) as cursor:
            cursor.register("wanted_terms", pa.table({"term_number": np.unique(term_numbers)}))
            bounds = {"first_chunk": first_chunk, "end_chunk": end_chunk}
            return cursor.sql(_POSTINGS_OF, params=bounds).to_arrow_table()

    def posting_blocks(self, term_numbers: NDArray[np.int32]) -> Iterator[PostingBlock]:
        """Where some terms are, ``CHUNKS_PER_BLOCK`` chunks in memory at a time."""
        for first in range(0, self.chunk_count, CHUNKS_PER_BLOCK):
            end = min(first + CHUNKS_PER_BLOCK, self.chunk_count)
            yield PostingBlock(first, end, self.postings_of(term_numbers, first, end))

    def _column(self, query: str) -> NDArray[np.int32]:
        values: NDArray[np.int32] = self._connection.sql(query).to_arrow_table().column(0).to_numpy()
        return values


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
