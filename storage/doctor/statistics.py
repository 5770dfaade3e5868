"""Whether the stored BM25 statistics are those that the chunks' texts give.

Chunks go by their id and terms by their text: two files may number either in their own way and say the same.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from nightrank.storage.bm25.changes import TEXTS
from nightrank.storage.doctor.faults import Fault, find_faults
from nightrank.storage.files.database import connect, only_row
from nightrank.storage.files.parquet import table_writer
from nightrank.storage.records import CHUNKS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.storage.lance.table import ChunkTable

_KEEP_TEXTS = """
CREATE TEMP TABLE texts AS
SELECT chunk_hash, any_value(text) AS text FROM streamed SEMI JOIN chunks USING (chunk_hash) GROUP BY chunk_hash
"""
_CHUNKS_WITH_TEXT = """
SELECT chunk_id, chunk_hash, document_id, ordinal, title, body_start, metadata, declared AS language
FROM chunks SEMI JOIN texts USING (chunk_hash)
"""
_TEXTS = "SELECT chunk_hash, text FROM texts"

# What a file of statistics says, whatever its numbers.
_FREQUENCIES = """
SELECT chunk_id, term, tf FROM postings JOIN chunks USING (slot) JOIN terms USING (term_slot)
"""
_KEEP_STORED = f"CREATE TEMP TABLE stored AS {_FREQUENCIES}"
_KEEP_REBUILT = "CREATE TEMP TABLE rebuilt AS SELECT * FROM streamed"
_KEEP_REBUILT_CHUNKS = "CREATE TEMP TABLE rebuilt_chunks AS SELECT * FROM streamed"
_COUNTS = "SELECT (SELECT count(*) FROM rebuilt_chunks), (SELECT count(*) FROM terms), (SELECT count(*) FROM stored)"
_ANALYSIS = "SELECT analysis FROM statistics"

_FAULTS = {
    "postings of no chunk": """
        SELECT 'slot ' || slot AS example FROM postings ANTI JOIN chunks USING (slot)
    """,
    "postings of no term": """
        SELECT 'term slot ' || term_slot AS example FROM postings ANTI JOIN terms USING (term_slot)
    """,
    "terms that come more than once": """
        SELECT term AS example FROM terms GROUP BY term HAVING count(*) > 1
    """,
    "term frequencies that the texts do not give": """
        SELECT chunk_id || ' ' || term AS example
        FROM (
            SELECT chunk_id, term, tf FROM stored SEMI JOIN rebuilt_chunks USING (chunk_id)
            EXCEPT ALL
            SELECT chunk_id, term, tf FROM rebuilt
        )
    """,
    "term frequencies of the texts that are missing": """
        SELECT chunk_id || ' ' || term AS example
        FROM (SELECT chunk_id, term, tf FROM rebuilt EXCEPT ALL SELECT chunk_id, term, tf FROM stored)
    """,
    "chunks whose length is not the sum of their term frequencies": """
        SELECT chunk_id AS example
        FROM chunks LEFT JOIN (SELECT chunk_id, sum(tf) AS total FROM stored GROUP BY chunk_id) USING (chunk_id)
        WHERE length IS DISTINCT FROM coalesce(total, 0)
    """,
    "terms whose chunk count is not the number of chunks that have them": """
        SELECT term AS example
        FROM terms LEFT JOIN (SELECT term, count(*) AS total FROM stored GROUP BY term) USING (term)
        WHERE chunk_count IS DISTINCT FROM coalesce(total, 0)
    """,
    "totals that are not those of the chunks": """
        SELECT 'chunk_count' AS example FROM statistics WHERE chunk_count != (SELECT count(*) FROM chunks)
        UNION ALL
        SELECT 'total_length' FROM statistics WHERE total_length != (SELECT coalesce(sum(length), 0) FROM chunks)
    """,
}


@dataclass(frozen=True, slots=True)
class StatisticsCompared:
    """How much of the statistics was compared: chunks whose text is there, terms, (term, chunk) pairs."""

    chunks: int
    terms: int
    postings: int


def write_chunks_and_texts(chunks: Path, texts: Path, *, bm25: Path, table: ChunkTable) -> None:
    """Write the chunks of a release whose text is in the table, and their distinct texts.

    Args:
        chunks: The file to write, of schema CHUNKS.
        texts: The file to write, with the columns chunk_hash and text.
        bm25: The file with the table of chunks.
        table: Where the texts are.
    """
    with (
        connect(bm25, read_only=True) as connection,
        table_writer(chunks, CHUNKS) as chunk_writer,
        table_writer(texts, TEXTS) as text_writer,
    ):
        connection.register("streamed", pa.RecordBatchReader.from_batches(TEXTS, table.stream(TEXTS.names)))
        connection.execute(_KEEP_TEXTS)
        connection.unregister("streamed")
        for query, writer in ((_CHUNKS_WITH_TEXT, chunk_writer), (_TEXTS, text_writer)):
            for batch in connection.sql(query).to_arrow_reader(4096):
                writer.write_table(pa.Table.from_batches([batch]).cast(writer.schema))


def read_texts(texts: Path) -> Iterator[pa.RecordBatch]:
    """The texts that ``write_chunks_and_texts`` wrote, in bounded batches."""
    with pq.ParquetFile(texts) as file:
        yield from file.iter_batches(4096)


def statistics_faults(stored: Path, rebuilt: Path) -> tuple[StatisticsCompared, list[Fault]]:
    """What is wrong with the statistics of a release.

    That every frequency is what the texts give, and that lengths, chunk counts and totals are the sums of the
    frequencies, makes all of them what the texts give.

    Args:
        stored: The release's file.
        rebuilt: The same chunks, built from nothing; chunks whose text is lost may be missing in it.
    """
    with connect(stored, read_only=True) as connection, connect(rebuilt, read_only=True) as other:
        analyses = {only_row(opened, _ANALYSIS)[0] for opened in (connection, other)}
        connection.execute(_KEEP_STORED)
        for query, keep in ((_FREQUENCIES, _KEEP_REBUILT), ("SELECT chunk_id FROM chunks", _KEEP_REBUILT_CHUNKS)):
            with closing(other.cursor()) as cursor:
                connection.register("streamed", cursor.sql(query).to_arrow_reader(65_536))
                connection.execute(keep)
                connection.unregister("streamed")
        faults = [Fault("the texts became terms in another way than they do now")] if len(analyses) > 1 else []
        return StatisticsCompared(*only_row(connection, _COUNTS)), [*faults, *find_faults(connection, _FAULTS)]
