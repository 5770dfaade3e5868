"""What is asked of the rows of a chunk table, wherever they are: in LanceDB (``table``) or held (``held``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa


class TextRows(Protocol):
    """What texts say, and their vectors."""

    @property
    def name(self) -> str:
        """Of the table."""
        ...

    @property
    def dimensions(self) -> int:
        """Of a vector."""
        ...

    def rows(self, chunk_hashes: pa.Array, columns: Sequence[str]) -> pa.Table:
        """``chunk_hash`` and chosen columns of some texts, string (n,) hashes, distinct, in no particular order."""
        ...
