"""Builds the statistics behind BM25, in one file of DuckDB, from the file of the night before.

What the file holds is in ``storage.bm25.layout``, what changes from night to night in ``storage.bm25.changes``, when it
is written anew in ``storage.bm25.compact``. Frequencies and lengths are stored; idf and the average length are
computed from them by whoever scores. Reading is ``storage.bm25.index``'s matter.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.bm25.changes import apply_changes
from nightrank.storage.bm25.compact import is_disordered, write_in_order
from nightrank.storage.bm25.layout import has_this_layout
from nightrank.storage.bm25.terms import analysis_fingerprint
from nightrank.storage.files.atomic import replacing
from nightrank.storage.files.database import connect, only_row

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.bm25.changes import TextsOf
    from nightrank.storage.bm25.terms import TextAnalyser

_COUNTS = """
SELECT chunk_count, (SELECT count(*) FROM terms), (SELECT count(*) FROM postings), total_length FROM statistics
"""


@dataclass(frozen=True, slots=True)
class Bm25Counts:
    """How much is indexed, and how much of it was done now.

    Attributes:
        chunks: Chunks, those without a term included.
        terms: Distinct terms.
        postings: (term, chunk) pairs.
        total_length: Terms with their repetitions, over all chunks.
        postings_written: Postings of chunks that the file before had not.
        postings_removed: Postings of the file before whose chunks are gone.
    """

    chunks: int
    terms: int
    postings: int
    total_length: int
    postings_written: int
    postings_removed: int


def build_bm25(
    path: Path,
    chunks: Path,
    *,
    texts_of: TextsOf,
    analyse: TextAnalyser,
    before: Path | None = None,
    memory_limit: str = "4GB",
) -> Bm25Counts:
    """Write the statistics of a collection; the file appears when it is whole.

    The outcome is the same with a file before and without. Memory is bounded by ``memory_limit``, beyond which DuckDB
    spills into the file's own folder, and by the number of distinct words of new texts.

    Args:
        path: The file to write; replaced where it exists.
        chunks: A Parquet file with the columns of ``storage.records.CHUNKS``, all chunks of the collection; the text
            is not read.
        texts_of: Gives the texts of chunks by their hashes (string, distinct): batches with the columns chunk_hash and
            text, one row a hash, in any order. Asked for what is new alone, at most once.
        analyse: What becomes of the words.
        before: The file of the release before, which stays as it is. Where it is missing, analysed in another way or
            of another layout, all is built from nothing.
        memory_limit: In DuckDB's words.

    Raises:
        MachineError: Two chunks have one id, or a text is missing.
    """
    with replacing(path) as temporary:
        if before is not None and _can_be_continued(before, analyse):
            shutil.copyfile(before, temporary)
        with closing(connect(temporary, memory_limit=memory_limit, spill_folder=path.parent)) as connection:
            written, removed = apply_changes(connection, chunks, texts_of=texts_of, analyse=analyse)
            connection.execute("CHECKPOINT")
            chunk_count, terms, postings, total_length = only_row(connection, _COUNTS)
            disordered = is_disordered(connection)
        if disordered:
            with replacing(temporary) as ordered:
                write_in_order(ordered, temporary, memory_limit=memory_limit)
    return Bm25Counts(chunk_count, terms, postings, total_length, written, removed)


def _can_be_continued(before: Path, analyse: TextAnalyser) -> bool:
    if not before.is_file():
        return False
    with closing(connect(before, read_only=True)) as connection:
        if not has_this_layout(connection):
            return False
        return bool(only_row(connection, "SELECT analysis FROM statistics")[0] == analysis_fingerprint(analyse))
