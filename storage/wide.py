"""Rows of tables whose texts may be more than 2 GiB a column, which is what the offsets of Arrow's ``string`` reach.

Tables that grow with queries times depth hold as much from some 60 million entries on: a key has 32 characters. Arrow
filters and streams these, block by block, but to take, join or sort rows it would make one block of a column.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

ROWS = 1 << 20  # of a block that is taken
BLOCK_BYTES = (1 << 31) - 1  # that a column of a block may have

_WIDE = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}


class WideRows:
    """A table from which rows are taken, held once with offsets of 64 bits.

    Args:
        table: Its columns may have any number of blocks.
    """

    def __init__(self, table: pa.Table) -> None:
        self._schema = table.schema
        fields = [field.with_type(_WIDE.get(field.type, field.type)) for field in table.schema]
        self._wide = table.cast(pa.schema(fields, table.schema.metadata)).combine_chunks()
        self._rows = ROWS
        for field, column in zip(table.schema, self._wide.columns, strict=True):
            if field.type in _WIDE:
                longest = pc.max(pc.binary_length(column)).as_py() or 0
                self._rows = max(1, min(self._rows, BLOCK_BYTES // max(1, longest)))

    def at(self, places: ArrayLike) -> pa.Table:
        """Some rows, as the table has them: row n is that at ``places[n]``, in as many blocks as their texts ask for.

        Args:
            places: int (n,), in any order, each as often as it is wanted.
        """
        wanted = np.asarray(places)
        blocks = [
            self._wide.take(pa.array(wanted[start : start + self._rows])).cast(self._schema)
            for start in range(0, wanted.size, self._rows)
        ]
        return pa.concat_tables([self._schema.empty_table(), *blocks]) if len(blocks) != 1 else blocks[0]


def rows_at(table: pa.Table, places: ArrayLike) -> pa.Table:
    """Rows of a table, (n,); ``WideRows`` says how."""
    return WideRows(table).at(places)


def sorted_rows(table: pa.Table, order: Sequence[tuple[str, str]]) -> pa.Table:
    """The rows of a table by some columns, each ``ascending`` or ``descending``."""
    return rows_at(table, pc.sort_indices(table, list(order)))


def coded(column: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    """A column (n,) whose distinct values are held once, in order of their first coming.

    >>> coded(pa.chunked_array([["b", "a"], ["b"]])).indices.to_pylist()
    [0, 1, 0]
    """
    found = column.dictionary_encode()
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def codes_of(column: pa.Array | pa.ChunkedArray) -> NDArray[np.int32]:
    """Numbers that stand for the distinct values of a column, int32 (n,), in order of their first coming."""
    codes: NDArray[np.int32] = coded(column).indices.to_numpy(zero_copy_only=False)
    return codes


def first_of_each(*columns: pa.Array | pa.ChunkedArray) -> NDArray[np.intp]:
    """The rows at which each combination of values of some columns, (n,) each without nulls, comes first, ascending.

    >>> first_of_each(pa.array(["b", "a", "b"]), pa.array(["x", "x", "x"])).tolist()
    [0, 1]
    """

    def together(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
        numbers: NDArray[np.int64] = np.unique((left << 32) | right, return_inverse=True)[1].astype(np.int64)
        return numbers

    numbers = reduce(together, [codes_of(column).astype(np.int64) for column in columns])
    _, first = np.unique(numbers, return_index=True)
    return np.sort(first)
