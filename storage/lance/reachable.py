"""What releases reach in LanceDB's tables, and what they do not, answered by DuckDB over the releases' own files."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from nightrank.storage.bm25.held import reachable_chunks
from nightrank.storage.errors import MachineError
from nightrank.storage.files.database import connect, only_row

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_PRESENT = "CREATE TEMP TABLE present AS SELECT chunk_hash, _rowid FROM table_rows"
_MISSING = "SELECT count(DISTINCT chunk_hash) FROM reached ANTI JOIN present USING (chunk_hash)"
_UNREACHED = "SELECT _rowid FROM present ANTI JOIN reached USING (chunk_hash) ORDER BY _rowid"


def unreachable_rows(rows: pa.RecordBatchReader, statistics: Iterable[Path]) -> NDArray[np.uint64]:
    """The rows of a table of chunks whose texts no release holds.

    Args:
        rows: ``chunk_hash`` and ``_rowid`` of every row.
        statistics: The files ``bm25.duckdb`` of the releases whose chunks the table has.

    Returns:
        Row ids, uint64 (n,), ascending.

    Raises:
        MachineError: A release holds a text that the table does not have.
    """
    with closing(connect()) as connection:
        connection.register("table_rows", rows)
        connection.execute(_PRESENT)
        connection.unregister("table_rows")
        reachable_chunks(connection, statistics)
        [missing] = only_row(connection, _MISSING)
        if missing:
            message = f"LanceDB lacks {missing} texts that kept releases hold; nothing is removed."
            raise MachineError(message, remedy="Run `nightrank doctor` to see which release is damaged, and remove it.")
        row_ids: NDArray[np.uint64] = connection.sql(_UNREACHED).to_arrow_table().column("_rowid").to_numpy()
        return row_ids
