"""The statistics behind BM25, open for reading: one file a release.

``storage.bm25.build`` makes the file, and nothing ever changes it. Answers are tables and arrays, of chunks and terms
by their numbers; where postings lie (``storage.bm25.layout``) stays in here. Formulas and rankings are no matter of
this module.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import duckdb
import numpy as np
import pyarrow as pa
from typing_extensions import override

from nightrank.storage.bm25.languages import common_of, declare_languages
from nightrank.storage.bm25.layout import SLOTS_PER_BLOCK, has_this_layout
from nightrank.storage.bm25.terms import analysis_fingerprint, count_runs_and_name_terms
from nightrank.storage.closing import Closing
from nightrank.storage.errors import MachineError
from nightrank.storage.files.database import connect, only_row
from nightrank.storage.wide import rows_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nightrank.storage.bm25.terms import TextAnalyser

_STATISTICS = "SELECT chunk_count, total_length, analysis, ordered_slots FROM statistics"

# A word that is the same term in two languages is one term, and one that a language drops is none in any: where it is a
# stop word it says little, and where it is none it would be rare and weigh much.
_TERMS_OF = """
SELECT number AS query_number, term_number, sum(qtf)::INTEGER AS qtf
FROM (
    SELECT number, run, term, max(COUNTED * times) AS qtf
    FROM text_runs JOIN run_terms USING (run, language)
    ANTI JOIN (SELECT number, run FROM text_runs ANTI JOIN run_terms USING (run, language)) AS dropped
        USING (number, run)
    GROUP BY number, run, term
)
JOIN terms USING (term)
GROUP BY number, term_number
HAVING sum(qtf) > 0
ORDER BY number, term_number
"""

_QUERY_TERMS = _TERMS_OF.replace("COUNTED", "occurrences")
_TEXT_TERMS = _TERMS_OF.replace("COUNTED", "weighted")

_TERMS_AT = "SELECT * FROM terms SEMI JOIN wanted_terms USING (term_number) ORDER BY term_number"

_LANGUAGES = "SELECT language, count(*) FROM chunks GROUP BY language ORDER BY language"

# Postings that lie in order are read in order, twice as fast as terms are looked up and sorted.
_ORDERED_POSTINGS_IN = "SELECT term_slot, slot, tf FROM postings WHERE slot >= $first_slot AND slot < $end_slot"

_POSTINGS_IN = """
SELECT term_slot, slot, tf
FROM postings SEMI JOIN wanted_terms USING (term_slot)
WHERE slot >= $first_slot AND slot < $end_slot
ORDER BY term_slot, slot
"""

_POSTINGS_AT = """
SELECT term_number, chunk_number, tf, length
FROM postings JOIN wanted_terms USING (term_slot)
JOIN (SELECT slot, chunk_number, length FROM chunks SEMI JOIN wanted_chunks USING (chunk_number)) USING (slot)
"""

_CHUNKS_AT = "SELECT * FROM chunks SEMI JOIN wanted_chunks USING (chunk_number)"

# Share of all postings up to which those of some terms are looked up.
FEW = 0.1

_TERMS_BY_NUMBER = "SELECT term FROM terms ORDER BY term_number"

_TERMS = "SELECT term FROM terms WHERE chunk_count > 0 ORDER BY term"

_DOCUMENT_COUNT = "SELECT count(DISTINCT document_id) FROM chunks"

CHUNK_COLUMNS = (
    "chunk_number",
    "chunk_id",
    "chunk_hash",
    "document_id",
    "ordinal",
    "title",
    "body_start",
    "length",
    "language",
    "declared",
    "metadata",
)


@dataclass(frozen=True, slots=True)
class PostingBlock:
    """Postings of some chunks, which are the columns of a matrix.

    Attributes:
        chunk_numbers: int32 (n_columns,), in no order; -1 where a column has no chunk, and so no posting.
        lengths: int32 (n_columns,), of the chunks.
        first_slot: The slot of the first column; the others follow.
        places: int32 (n_term_slots,), by a term's slot, its place among those that were asked for; -1: it was not.
        postings: Parts of them, each int32 (n,) slots of terms, slots of chunks and tf: from part to part by term, then
            chunk. Some may be of terms that were not asked for.
    """

    chunk_numbers: NDArray[np.int32]
    lengths: NDArray[np.int32]
    first_slot: int
    places: NDArray[np.int32]
    postings: Sequence[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]]


class ChunkSlots(NamedTuple):
    """Some chunks, by where their postings lie.

    Attributes:
        slots: int32 (n,).
        lengths: int32 (n,), terms with their repetitions.
    """

    slots: NDArray[np.int32]
    lengths: NDArray[np.int32]


class Bm25Store(Closing):
    """The statistics of one release, open for reading; a context manager.

    Attributes:
        chunk_count: Chunks of the collection, those without a term included.
        total_length: Terms with their repetitions, over all chunks.
        analysis: The fingerprint of how its texts became terms.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        chunk_count, total_length, analysis, ordered_slots = only_row(connection, _STATISTICS)
        self.chunk_count: int = chunk_count
        self.total_length: int = total_length
        self.analysis: str = analysis
        self._ordered_slots: int = ordered_slots

    @classmethod
    def open(cls, path: Path, *, memory_limit: str = "4GB") -> Self:
        """Open the file of a release.

        Raises:
            MachineError: It is not there.
        """
        if not path.is_file():
            raise MachineError(f"{path} is not there.", remedy="Restore the release, or run a refresh to make another.")
        connection = connect(path, read_only=True, memory_limit=memory_limit)
        connection.execute("SET preserve_insertion_order = true")  # of postings that lie in order
        return cls(connection)

    @override
    def close(self) -> None:
        self._connection.close()

    @property
    def average_length(self) -> float:
        """Terms a chunk, in the unit of the field weights; 0 without chunks."""
        return self.total_length / self.chunk_count if self.chunk_count else 0.0

    def chunks(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All chunks, by number: row n is chunk n.

        Args:
            columns: Some of ``CHUNK_COLUMNS``; None: all of them.
        """
        return self.chunk_reader(CHUNK_COLUMNS if columns is None else columns).read_all()

    def chunk_reader(self, columns: Sequence[str]) -> pa.RecordBatchReader:
        """Chosen columns of all chunks, by number, about 65,536 chunks in memory at a time.

        Args:
            columns: Some of ``CHUNK_COLUMNS``.

        Returns:
            A reader that is valid while the store is open; several may be.
        """
        cursor = self._connection.cursor()  # an unread result blocks its connection
        chosen = map(duckdb.ColumnExpression, dict.fromkeys(["chunk_number", *columns]))
        # Ordered last of all: DuckDB owes an order to nothing but a query's outermost part.
        batches = cursor.table("chunks").select(*chosen).order("chunk_number").to_arrow_reader(65_536)
        schema = pa.schema([batches.schema.field(name) for name in columns])
        return pa.RecordBatchReader.from_batches(schema, _selected(cursor, batches, columns))

    def chunks_at(self, chunk_numbers: NDArray[np.int32], columns: Sequence[str]) -> pa.Table:
        """Chosen columns of some chunks: row n is chunk ``chunk_numbers[n]``; those of the others are not held.

        Args:
            chunk_numbers: int32 (n,), in any order, each as often as it is wanted.
            columns: Some of ``CHUNK_COLUMNS``.
        """
        distinct, places = np.unique(chunk_numbers, return_inverse=True)
        chosen = map(duckdb.ColumnExpression, dict.fromkeys(["chunk_number", *columns]))
        with closing(self._connection.cursor()) as cursor:
            cursor.register("wanted_chunks", pa.table({"chunk_number": distinct}))
            found = cursor.sql(_CHUNKS_AT).select(*chosen).order("chunk_number").to_arrow_table()
        return rows_at(found.select(list(columns)), places)

    def terms_by_number(self) -> pa.StringArray:
        """The terms, string (n_terms,), by their numbers, which is the order of their code points."""
        return self._connection.sql(_TERMS_BY_NUMBER).to_arrow_table().column(0).combine_chunks()

    def language_counts(self) -> dict[int, int]:
        """How many chunks were analysed in each language, by its place among the analyser's."""
        return dict(self._connection.sql(_LANGUAGES).fetchall())

    def terms(self) -> pa.ChunkedArray:
        """The terms that some chunk has, string (n,), in order."""
        return self._connection.sql(_TERMS).to_arrow_table().column(0)

    def common_languages(self) -> list[int]:
        """The languages that queries are asked in which are not clearly of one, the most frequent first."""
        counts = self.language_counts()
        return sorted(common_of(counts), key=lambda language: (-counts[language], language))

    def document_count(self) -> int:
        """How many documents have a chunk."""
        return int(only_row(self._connection, _DOCUMENT_COUNT)[0])

    def lengths(self) -> NDArray[np.int32]:
        """int32 (chunk_count,), terms with their repetitions of each chunk, in the unit of the field weights."""
        return self._column("SELECT length FROM chunks ORDER BY chunk_number")

    def query_terms(self, texts: Sequence[str], *, analyse: TextAnalyser) -> pa.Table:
        """The terms of queries, split and counted by the very SQL that documents went through.

        Args:
            texts: Query n is ``texts[n]``.
            analyse: What the collection was analysed with.

        Returns:
            query_number, term_number, qtf (the term's occurrences in the query); int32, by query, then term. Terms
            that no chunk has are left out. A query that is not clearly of one language has the terms of every
            common language of the collection.

        Raises:
            MachineError: The collection was analysed in another way, or its postings are laid out in another.
        """
        numbered = pa.table({"number": np.arange(len(texts), dtype=np.int32), "text": pa.array(texts, pa.string())})
        return self._terms_of(numbered, analyse, as_queries=True)

    def text_terms(
        self,
        texts: Sequence[str],
        *,
        analyse: TextAnalyser,
        body_starts: Sequence[int] | None = None,
        titles: Sequence[str] | None = None,
        declared: Sequence[str] | None = None,
    ) -> pa.Table:
        """The terms of texts as they would be indexed; else as ``query_terms``.

        Args:
            texts: (n,).
            analyse: What the collection was analysed with.
            body_starts: (n,), where the passage of each begins, behind title and headings; None: at its beginning.
            titles: (n,), of their documents; None: they have none.
            declared: (n,), the languages that these say they are in; None: they say none.

        Returns:
            As ``query_terms``; ``qtf`` in ``analyse.field_weights.unit``.
        """
        numbered = pa.table(
            {
                "number": np.arange(len(texts), dtype=np.int32),
                "text": pa.array(texts, pa.string()),
                "body_start": pa.array([0] * len(texts) if body_starts is None else body_starts, pa.int32()),
                "has_title": pa.array([False] * len(texts) if titles is None else list(map(bool, titles)), pa.bool_()),
                "declared": pa.array([""] * len(texts) if declared is None else declared, pa.string()),
            }
        )
        return self._terms_of(numbered, analyse, as_queries=False)

    def require_analysis(self, analyse: TextAnalyser) -> None:
        """See that texts would be analysed as the collection was.

        Raises:
            MachineError: They would not, or its postings are laid out in another way.
        """
        if not has_this_layout(self._connection):
            raise MachineError(
                "The release's postings are laid out in another way.",
                remedy="Run a refresh, or read the release with the version of Nightrank that made it.",
            )
        if analysis_fingerprint(analyse) != self.analysis:
            raise MachineError(
                "The queries would be analysed in another way than the release's chunks.",
                remedy="Run a refresh: [bm25]'s analysis, or the program, changed since the release was built.",
            )

    def _terms_of(self, numbered: pa.Table, analyse: TextAnalyser, *, as_queries: bool) -> pa.Table:
        self.require_analysis(analyse)
        with closing(self._connection.cursor()) as cursor:
            asked_in = self.language_counts() if as_queries else None
            cursor.register("numbered_texts", numbered)
            if not as_queries:
                cursor.register("named_languages", numbered.select(["number", "declared"]))
                declare_languages(cursor, marks=analyse.marks(), place_of=analyse.place_of)
            count_runs_and_name_terms(cursor, analyse=analyse, asked_in=asked_in)
            return cursor.sql(_QUERY_TERMS if as_queries else _TEXT_TERMS).to_arrow_table()

    def terms_at(self, term_numbers: NDArray[np.int32]) -> pa.Table:
        """Some terms, and in how many chunks each is: row n is term ``term_numbers[n]``.

        Args:
            term_numbers: int32 (n,), ascending, none twice.

        Returns:
            term, chunk_count.
        """
        with closing(self._connection.cursor()) as cursor:
            cursor.register("wanted_terms", pa.table({"term_number": term_numbers}))
            return cursor.sql(_TERMS_AT).to_arrow_table().select(["term", "chunk_count"])

    def chunk_counts(self) -> NDArray[np.int32]:
        """int32 (n_terms,), in how many chunks each term is, by its number."""
        return self._column("SELECT chunk_count FROM terms ORDER BY term_number")

    def postings_at(self, term_numbers: NDArray[np.int32], chunk_numbers: NDArray[np.int32]) -> pa.Table:
        """Where some terms are, in some chunks.

        Returns:
            term_number, chunk_number, tf, length (the chunk's); int32, in no order.
        """
        with closing(self._connection.cursor()) as cursor:
            cursor.register("wanted_terms", self._wanted(term_numbers))
            cursor.register("wanted_chunks", pa.table({"chunk_number": np.unique(chunk_numbers)}))
            return cursor.sql(_POSTINGS_AT).to_arrow_table()

    def slots(self) -> NDArray[np.int32]:
        """int32 (chunk_count,), the slot of each chunk: where its postings lie."""
        return self._column("SELECT slot FROM chunks ORDER BY chunk_number")

    def posting_blocks(
        self, term_numbers: NDArray[np.int32], chunks: ChunkSlots | None = None
    ) -> Iterator[PostingBlock]:
        """Where some terms are, the postings of at most ``SLOTS_PER_BLOCK`` chunks in memory at a time.

        Args:
            term_numbers: int32 (n,), ascending.
            chunks: Those that are wanted, by whose places in here the blocks number them; None: all.
        """
        slots, lengths_of = (self.slots(), self.lengths()) if chunks is None else chunks
        first, end = (int(slots.min()), int(slots.max()) + 1) if slots.size else (0, 0)
        chunk_numbers = np.full(end - first, -1, dtype=np.int32)
        chunk_numbers[slots - first] = np.arange(slots.size, dtype=np.int32)
        lengths = np.zeros(chunk_numbers.size, dtype=np.int32)
        lengths[slots - first] = lengths_of
        term_slots = self._term_slots()
        places = np.full(term_slots.max(initial=-1) + 1, -1, dtype=np.int32)
        places[term_slots[term_numbers]] = np.arange(term_numbers.size, dtype=np.int32)
        counts = self.chunk_counts()
        are_few = counts[term_numbers].sum() <= FEW * counts.sum()
        for start in range(first - first % SLOTS_PER_BLOCK, end, SLOTS_PER_BLOCK):
            block = slice(max(start, first), min(start + SLOTS_PER_BLOCK, end))  # within one of those that they lie by
            with closing(self._connection.cursor()) as cursor:
                cursor.register("wanted_terms", pa.table({"term_slot": term_slots[term_numbers]}))
                bounds = {"first_slot": block.start, "end_slot": block.stop}
                in_order = block.stop <= self._ordered_slots and not are_few
                statement = _ORDERED_POSTINGS_IN if in_order else _POSTINGS_IN
                batches = cursor.sql(statement, params=bounds).to_arrow_table().to_batches()
            postings = [tuple(column.to_numpy() for column in batch.columns) for batch in batches]
            columns = slice(block.start - first, block.stop - first)
            yield PostingBlock(chunk_numbers[columns], lengths[columns], block.start, places, postings)

    def _wanted(self, term_numbers: NDArray[np.int32]) -> pa.Table:
        numbers = np.unique(term_numbers)
        return pa.table({"term_number": numbers, "term_slot": self._term_slots()[numbers]})

    def _term_slots(self) -> NDArray[np.int32]:
        return self._column("SELECT term_slot FROM terms ORDER BY term_number")

    def _column(self, query: str) -> NDArray[np.int32]:
        values: NDArray[np.int32] = self._connection.sql(query).to_arrow_table().column(0).to_numpy()
        return values


def _selected(
    cursor: duckdb.DuckDBPyConnection, batches: pa.RecordBatchReader, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    with closing(cursor):
        for batch in batches:
            yield batch.select(list(columns))
