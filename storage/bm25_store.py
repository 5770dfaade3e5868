"""The statistics behind BM25, open for reading: one file a release.

``storage.bm25_build`` makes the file, and nothing ever changes it. Answers are tables and arrays; formulas and rankings
are no matter of this module.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from storage.bm25_build import CHUNKS_PER_BLOCK
from storage.bm25_words import analysis_fingerprint, count_runs_and_name_terms
from storage.duck import connect
from storage.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    import duckdb
    from numpy.typing import NDArray

    from storage.bm25_words import WordAnalyser

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

_POSTINGS_AT = """
SELECT term_number, chunk_number, tf, length
FROM postings JOIN chunks USING (chunk_number)
SEMI JOIN wanted_terms USING (term_number) SEMI JOIN wanted_chunks USING (chunk_number)
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

    def postings_at(self, term_numbers: NDArray[np.int32], chunk_numbers: NDArray[np.int32]) -> pa.Table:
        """Where some terms are, in some chunks; as ``postings_of`` has it."""
        with closing(self._connection.cursor()) as cursor:
            cursor.register("wanted_terms", pa.table({"term_number": np.unique(term_numbers)}))
            cursor.register("wanted_chunks", pa.table({"chunk_number": np.unique(chunk_numbers)}))
            return cursor.sql(_POSTINGS_AT).to_arrow_table()

    def posting_blocks(self, term_numbers: NDArray[np.int32]) -> Iterator[PostingBlock]:
        """Where some terms are, ``CHUNKS_PER_BLOCK`` chunks in memory at a time."""
        for first in range(0, self.chunk_count, CHUNKS_PER_BLOCK):
            end = min(first + CHUNKS_PER_BLOCK, self.chunk_count)
            yield PostingBlock(first, end, self.postings_of(term_numbers, first, end))

    def _column(self, query: str) -> NDArray[np.int32]:
        values: NDArray[np.int32] = self._connection.sql(query).to_arrow_table().column(0).to_numpy()
        return values
