"""One night's changes to the statistics behind BM25, in the file that is being made.

A chunk of tonight takes over the slot of a chunk of yesterday that said the same, wherever either of them stands, so
a move, a new name or an edit of metadata costs no posting. Slots that nobody takes over go, with their postings; chunks
that find none get new slots, and postings from their texts. The tables of chunks and terms are written anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

import duckdb
import pyarrow as pa

from nightrank.storage.bm25.languages import declare_languages
from nightrank.storage.bm25.layout import LAYOUT, SLOTS_PER_BLOCK, TABLES
from nightrank.storage.bm25.terms import analysis_fingerprint, count_runs_and_name_terms
from nightrank.storage.errors import MachineError
from nightrank.storage.files.database import one_file, only_row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.storage.bm25.terms import TextAnalyser

# Distinct chunk hashes in, batches with the columns chunk_hash and text out, one row a hash, in any order.
TextsOf: TypeAlias = Callable[[pa.Array], Iterable[pa.RecordBatch]]

TEXTS = pa.schema([pa.field("chunk_hash", pa.string()), pa.field("text", pa.string())])

_TAKE_DOWN = """
CREATE TEMP TABLE slots_before AS
SELECT slot, chunk_hash, body_start, title <> '' AS has_title, declared, length, language,
    row_number() OVER (PARTITION BY chunk_hash, body_start, title <> '', declared ORDER BY slot) AS copy
FROM chunks;
CREATE TEMP TABLE terms_before AS SELECT term_slot, term, chunk_count FROM terms;
CREATE TEMP TABLE ordered_before AS SELECT ordered_slots FROM statistics;
DROP TABLE chunks;
DROP TABLE terms;
DROP TABLE statistics;
"""

_NUMBER = """
CREATE TEMP TABLE tonight AS
SELECT chunk_id, chunk_hash, body_start, title <> '' AS has_title, language AS declared,
    (row_number() OVER (ORDER BY document_id DESC, ordinal) - 1)::INTEGER AS chunk_number,
    row_number() OVER (
        PARTITION BY chunk_hash, body_start, title <> '', language ORDER BY document_id DESC, ordinal
    ) AS copy
FROM chunk_rows
"""

_TWO_OF_ONE_ID = "SELECT chunk_id FROM tonight GROUP BY chunk_id HAVING count(*) > 1 LIMIT 1"

# Beyond those in order, also where the last of them are gone: what came later must not lie among them.
_FIRST_NEW_SLOT = """
SELECT greatest(
    coalesce((SELECT max(slot) + 1 FROM slots_before), 0), coalesce((SELECT ordered_slots FROM ordered_before), 0)
)
"""

_FIRST_NEW_TERM = "SELECT coalesce(max(term_slot) + 1, 0) FROM terms_before"

_SLOTS = """
CREATE TEMP TABLE slots AS
SELECT chunk_id, chunk_hash, body_start, has_title, declared, chunk_number, length, language,
    coalesce(slot, $first_new + row_number() OVER (PARTITION BY slot IS NULL ORDER BY chunk_number) - 1)::INTEGER
        AS slot
FROM tonight LEFT JOIN slots_before USING (chunk_hash, body_start, has_title, declared, copy)
"""

_GONE = "CREATE TEMP TABLE gone AS SELECT slot FROM slots_before ANTI JOIN slots USING (slot)"

_COUNT_REMOVED = """
CREATE TEMP TABLE removed AS
SELECT term_slot, count(*) AS chunks FROM postings SEMI JOIN gone USING (slot) GROUP BY term_slot
"""

_REMOVE = "DELETE FROM postings WHERE slot IN (SELECT slot FROM gone)"

# A text of the same fields and language is analysed once, whatever the number of its copies.
_NEW_TEXTS = """
CREATE TEMP TABLE new_texts AS
SELECT min(slot) AS number, chunk_hash, body_start, has_title, declared
FROM slots WHERE slot >= $first_new GROUP BY chunk_hash, body_start, has_title, declared
"""

_NUMBERED_TEXTS = """
CREATE TEMP VIEW numbered_texts AS
SELECT number, text, body_start, has_title FROM incoming_texts JOIN new_texts USING (chunk_hash)
"""

_NAMED_LANGUAGES = "CREATE OR REPLACE TEMP VIEW named_languages AS SELECT number, declared FROM new_texts"

_NAMED = """
CREATE TEMP TABLE named AS
SELECT term,
    coalesce(term_slot, $first_new + row_number() OVER (PARTITION BY term_slot IS NULL ORDER BY term) - 1)::INTEGER
        AS term_slot
FROM (SELECT DISTINCT term FROM run_terms) LEFT JOIN terms_before USING (term)
"""

# Strings are joined in small tables alone: what has a row for each word of each text meets numbers, but for its runs.
_RUN_SLOTS = """
CREATE TEMP TABLE run_slots AS SELECT run, language, term_slot, times FROM run_terms JOIN named USING (term)
"""

_COPIES = """
CREATE TEMP TABLE copies AS
SELECT number, slot
FROM new_texts JOIN slots USING (chunk_hash, body_start, has_title, declared)
WHERE slot >= $first_new
"""

_ADD = """
INSERT INTO postings
SELECT term_slot, slot, tf
FROM (
    SELECT term_slot, number, sum(weighted * times)::INTEGER AS tf
    FROM text_runs JOIN run_slots USING (run, language)
    GROUP BY term_slot, number
    HAVING tf > 0
)
JOIN copies USING (number)
ORDER BY slot // $slots_per_block, term_slot, slot
"""

_COUNT_ADDED = """
CREATE TEMP TABLE added AS
SELECT term_slot, count(*) AS chunks FROM postings WHERE slot >= $first_new GROUP BY term_slot
"""

_TERMS = """
INSERT INTO terms
SELECT row_number() OVER (ORDER BY term) - 1, term_slot, term, chunk_count
FROM (
    SELECT term_slot, term,
        coalesce(chunk_count, 0) - coalesce(removed.chunks, 0) + coalesce(added.chunks, 0) AS chunk_count
    FROM terms_before FULL JOIN named USING (term_slot, term)
    LEFT JOIN removed USING (term_slot) LEFT JOIN added USING (term_slot)
)
WHERE chunk_count > 0
ORDER BY term
"""

_CHUNKS = """
INSERT INTO chunks
SELECT chunk_number, slot, chunk_id, chunk_rows.chunk_hash, document_id, ordinal, title, chunk_rows.body_start,
    coalesce(slots.length, added_lengths.length, 0), coalesce(slots.language, added_languages.language, 0),
    slots.declared, metadata
FROM chunk_rows JOIN slots USING (chunk_id)
LEFT JOIN (SELECT slot, language FROM copies JOIN text_languages USING (number)) AS added_languages USING (slot)
LEFT JOIN (SELECT slot, sum(tf) AS length FROM postings WHERE slot >= $first_new GROUP BY slot) AS added_lengths
    USING (slot)
ORDER BY chunk_number
"""

# What comes into an empty file comes in order.
_STATISTICS = """
INSERT INTO statistics
SELECT count(*), coalesce(sum(length), 0),
    coalesce((SELECT ordered_slots FROM ordered_before), max(slot) + 1, 0), $analysis, $layout
FROM chunks
"""

_WRITTEN = "SELECT coalesce(sum(chunks), 0)::BIGINT FROM added"

_REMOVED = "SELECT coalesce(sum(chunks), 0)::BIGINT FROM removed"


def apply_changes(
    connection: duckdb.DuckDBPyConnection, chunks: Path, *, texts_of: TextsOf, analyse: TextAnalyser
) -> tuple[int, int]:
    """Bring a file to what a collection is tonight.

    Memory is bounded by the connection's limit, beyond which DuckDB spills, and by the number of distinct words among
    the new texts.

    Args:
        connection: On the file, of layout ``LAYOUT`` and analysed as ``analyse`` does, or on an empty one.
        chunks: A Parquet file with the columns of ``storage.records.CHUNKS``; the text is not read.
        texts_of: Gives the texts of chunks that are new.
        analyse: What becomes of the words.

    Returns:
        Postings written, postings removed.

    Raises:
        MachineError: Two chunks have one id, or a text is missing.
    """
    connection.execute(TABLES)
    connection.execute(_TAKE_DOWN)
    connection.execute("CHECKPOINT")  # gives the room of the dropped tables to those that follow
    connection.execute(TABLES)
    connection.read_parquet(one_file(chunks), hive_partitioning=False).create_view("chunk_rows")
    connection.execute(_NUMBER)
    if connection.execute(_TWO_OF_ONE_ID).fetchall():
        raise MachineError(f"{chunks} has two chunks of one id.", remedy="Chunk the collection again.")
    first_new = {"first_new": only_row(connection, _FIRST_NEW_SLOT)[0]}
    connection.execute(_SLOTS, first_new)
    connection.execute(_GONE)
    connection.execute(_COUNT_REMOVED)
    connection.execute(_REMOVE)
    _count_new_texts(connection, first_new, texts_of=texts_of, analyse=analyse)
    connection.execute(_NAMED, {"first_new": only_row(connection, _FIRST_NEW_TERM)[0]})
    connection.execute(_RUN_SLOTS)
    connection.execute(_COPIES, first_new)
    connection.execute(_ADD, {"slots_per_block": SLOTS_PER_BLOCK})
    connection.execute(_COUNT_ADDED, first_new)
    connection.execute(_TERMS)
    connection.execute(_CHUNKS, first_new)
    connection.execute("DROP VIEW chunk_rows")
    connection.execute(_STATISTICS, {"analysis": analysis_fingerprint(analyse), "layout": LAYOUT})
    return int(only_row(connection, _WRITTEN)[0]), int(only_row(connection, _REMOVED)[0])


def _count_new_texts(
    connection: duckdb.DuckDBPyConnection, first_new: dict[str, int], *, texts_of: TextsOf, analyse: TextAnalyser
) -> None:
    connection.execute(_NEW_TEXTS, first_new)
    wanted = connection.sql("SELECT DISTINCT chunk_hash FROM new_texts").to_arrow_table().column(0).combine_chunks()
    texts = _Texts(texts_of(wanted) if len(wanted) else ())
    connection.register("incoming_texts", pa.RecordBatchReader.from_batches(TEXTS, iter(texts)))
    connection.execute(_NUMBERED_TEXTS)
    connection.execute(_NAMED_LANGUAGES)
    declare_languages(connection, marks=analyse.marks(), place_of=analyse.place_of)
    try:
        count_runs_and_name_terms(connection, analyse=analyse)
    except duckdb.Error as error:
        if texts.fault is not None:
            raise texts.fault from error  # DuckDB wraps what a stream raises
        raise
    connection.execute("DROP VIEW numbered_texts")
    connection.unregister("incoming_texts")
    if texts.count != len(wanted):
        message = f"{texts.count} of {len(wanted)} new texts were found."
        raise MachineError(message, remedy="Run `nightrank doctor`: the table of chunks may have lost rows.")


class _Texts:
    """Batches on their way to DuckDB, counted, and what went wrong on the way."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self.count = 0
        self.fault: Exception | None = None
        self._batches = batches

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._batches:
                self.count += batch.num_rows
                yield pa.RecordBatch.from_arrays([batch.column(name) for name in TEXTS.names], schema=TEXTS)
        except Exception as error:
            self.fault = error
            raise
