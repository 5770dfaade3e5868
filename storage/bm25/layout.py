"""The file behind BM25: its tables, and the numbers that hold it together.

Readers know chunks and terms by their numbers, which are places in an order: chunks by document id descending (as
trec_eval breaks ties), then ordinal; terms by code points. The same chunks give the same numbers and, to the last bit,
the same scores. Numbers shift whenever a chunk or a term comes or goes, so postings are keyed by slots: what a chunk or
a term got when it came and keeps while it lives. The tables of chunks and terms, small ones, say which slot has which
number today.
"""

from __future__ import annotations

import duckdb

from nightrank.storage.files.database import only_row

# Raise it when a file of today would be misread: nothing is taken over from files of another layout.
LAYOUT = 4

# Postings lie by blocks of this many slots, by term within: a range of slots and a few terms both read little. A slot's
# place in its block is a number of 16 bits.
SLOTS_PER_BLOCK = 65_536

# `language`: that its text is analysed in, a place among the analyser's languages; `declared`: that its document says.
# `ordered_slots`: up to here the postings lie in the order above; those of later slots lie as night by night they came.
TABLES = """
CREATE TABLE IF NOT EXISTS chunks (
    chunk_number INTEGER, slot INTEGER, chunk_id VARCHAR, chunk_hash VARCHAR, document_id VARCHAR, ordinal INTEGER,
    title VARCHAR, body_start INTEGER, length INTEGER, language UTINYINT, declared VARCHAR,
    metadata VARCHAR
);
CREATE TABLE IF NOT EXISTS terms (term_number INTEGER, term_slot INTEGER, term VARCHAR, chunk_count INTEGER);
CREATE TABLE IF NOT EXISTS postings (term_slot INTEGER, slot INTEGER, tf INTEGER);
CREATE TABLE IF NOT EXISTS statistics (
    chunk_count BIGINT, total_length BIGINT, ordered_slots INTEGER, analysis VARCHAR, layout INTEGER
);
"""


def has_this_layout(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether a file was written as this module has it."""
    try:
        layout = only_row(connection, "SELECT layout FROM statistics")[0]
    except (duckdb.BinderException, duckdb.CatalogException):  # from before layouts were numbered
        return False
    return bool(layout == LAYOUT)
