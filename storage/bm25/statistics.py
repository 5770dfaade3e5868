"""What is asked of a collection's statistics, wherever they are: in a file (``index``) or in memory (``in_memory``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from nightrank.storage.bm25.terms import TextAnalyser


class Bm25Statistics(Protocol):
    """The chunks of one release, and the terms of queries there."""

    @property
    def chunk_count(self) -> int:
        """Chunks of the collection, those without a term included."""
        ...

    def chunks(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All chunks, by number: row n is chunk n; some of ``CHUNK_COLUMNS``, or all of them."""
        ...

    def chunk_reader(self, columns: Sequence[str]) -> pa.RecordBatchReader:
        """Chosen columns of all chunks, by number, about 65,536 chunks at a time."""
        ...

    def chunks_at(self, chunk_numbers: NDArray[np.int32], columns: Sequence[str]) -> pa.Table:
        """Chosen columns of some chunks: row n is chunk ``chunk_numbers[n]``, int32 (n,)."""
        ...

    def query_terms(self, texts: Sequence[str], *, analyse: TextAnalyser) -> pa.Table:
        """The terms of queries: query_number, term_number, qtf; int32, by query, then term."""
        ...

    def terms_at(self, term_numbers: NDArray[np.int32]) -> pa.Table:
        """``term`` and ``chunk_count`` of some terms, int32 (n,), ascending, none twice."""
        ...
