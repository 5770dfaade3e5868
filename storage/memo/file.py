"""What memos share: a DuckDB file of values by key, to which batches are appended, each a transaction.

A process that is killed loses at most the batch that it had not committed. ``nightrank.storage.release.collect`` removes what nothing
reaches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from nightrank.storage.files.database import connect_for_writing, only_row
from nightrank.storage.errors import MachineError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray


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


def require_finite(values: NDArray[np.float32], *, what: str, section: str) -> None:
    """Refuse values that are not numbers before they are remembered for ever.

    Args:
        values: float32, of any shape; a value, or a row of them, for each entry.
        what: The entries' name for people, in the plural.
        section: Of the settings, where the model's precision is set.

    Raises:
        MachineError: One is infinite or not a number.
    """
    sound = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    if not sound.all():
        message = f"{np.count_nonzero(~sound)} of {len(values)} {what} are not finite."
        remedy = f'The model\'s arithmetic may overflow on this device: set `{section}.precision = "float32"`.'
        raise MachineError(message, remedy=remedy)
