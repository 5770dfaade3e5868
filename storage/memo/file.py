"""What memos share: a DuckDB file of values by key, to which batches are appended, each a transaction.

A process that is killed loses at most the batch that it had not committed. ``storage.release.prune`` removes what
nothing reaches.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
from typing_extensions import override

from nightrank.storage.closing import Closing
from nightrank.storage.files.atomic import replacing
from nightrank.storage.files.database import connect, connect_for_reading, connect_for_writing, only_row
from nightrank.storage.files.headers import log_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb


@contextmanager
def written_anew(path: Path, memo: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """A new file that takes a memo's place when the block ends; killed at any point, this leaves the old or the new.

    Args:
        path: The memo.
        memo: A connection to it, to read from in the block; closed after it.

    Yields:
        A connection to the new file, in which there is nothing yet.
    """
    with replacing(path) as temporary:
        with closing(connect(temporary)) as anew:
            yield anew
        # A log that outlived the file would be taken for the new file's own, and one that goes before it has been
        # taken in would take rows along.
        memo.execute("CHECKPOINT")
        memo.close()
        log_of(path).unlink(missing_ok=True)


def remove_memo(path: Path) -> None:
    """Remove a memo: it is whole or gone. A log without its file is none's, and DuckDB removes it."""
    path.unlink()
    log_of(path).unlink(missing_ok=True)


class MemoFile(Closing):
    """A memo, open for reading and writing; a context manager.

    Args:
        path: The file; made, with its folder, where it is missing.
        create: The statement that makes its table where that is missing.
        count: The statement that counts its entries.
        read_only: Only for reading, beside other readers; the file must be there.

    Attributes:
        path: As given.
    """

    def __init__(self, path: Path, *, create: str, count: str, read_only: bool = False) -> None:
        self.path, self._count = path, count
        if read_only:
            self._connection = connect_for_reading(path)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = connect_for_writing(path)
        self._connection.execute(create)

    @override
    def close(self) -> None:
        self._connection.close()

    def __len__(self) -> int:
        return int(only_row(self._connection, self._count)[0])

    def run_over(self, name: str, table: pa.Table, statement: str) -> pa.Table:
        """Run a statement that reads ``table`` under a name.

        Returns:
            What a query gives; of any other statement, a table without rows.
        """
        self._connection.register(name, table)
        try:
            relation = self._connection.sql(statement)
            return pa.table({}) if relation is None else relation.to_arrow_table()
        finally:
            self._connection.unregister(name)
