"""What memos share: a DuckDB file of values by key, to which batches are appended, each a transaction.

A process that is killed loses at most the batch that it had not committed. ``storage.release.collect`` removes what
nothing reaches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import pyarrow as pa

from nightrank.storage.files.database import connect_for_writing, only_row

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class MemoFile:
    """A memo, open for reading and writing; a context manager.

    Args:
        path: The file; made, with its folder, where it is missing.
        create: The statement that makes its table where that is missing.
        count: The statement that counts its entries.
    """

    def __init__(self, path: Path, *, create: str, count: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = connect_for_writing(path)
        self._connection.execute(create)
        self._count = count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
