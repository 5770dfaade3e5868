"""The rows of a chunk table that one release reaches, held for as long as that release is served.

They are copied once into files without a name (``storage.files.mapped``), so that nothing keeps others from pruning the
table meanwhile, and a row is found without a scan. Rows are asked for as of ``ChunkTable.rows``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from nightrank.storage.errors import MachineError
from nightrank.storage.files.mapped import UnnamedFile
from nightrank.storage.lance.table import vectors_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.lance.table import ChunkTable

    # The number of each text, int32 (n,), of hashes, string (n,); -1 for what is no text of the release.
    NumbersOf = Callable[[pa.ChunkedArray | pa.Array], NDArray[np.int32]]


@dataclass(frozen=True, slots=True, eq=False)
class HeldRows:
    """Texts and vectors by row, in the order in which the table had them; made by ``of``. Threads may share one.

    Attributes:
        name: Of the table.
        numbers: int32 (n,), the number of each row's text.
        vectors: float32 (n, dim).
        tokens: int32 (n,), how long the texts are.
        size_bytes: What is mapped.
    """

    name: str
    numbers: NDArray[np.int32]
    vectors: NDArray[np.float32]
    tokens: NDArray[np.int32]
    size_bytes: int
    _texts: memoryview
    _bounds: NDArray[np.int64]
    _row_of: NDArray[np.int32]
    _numbers_of: NumbersOf

    @classmethod
    def of(cls, table: ChunkTable, *, numbers_of: NumbersOf, count: int) -> Self:
        """The rows of a release's texts.

        Args:
            table: At a version that has all of them.
            numbers_of: Gives the numbers of texts by their hashes.
            count: Of the texts, numbered from 0.

        Raises:
            MachineError: The table lacks one.
            OSError: The disk of temporary files is full.
        """
        numbers, tokens, lengths = ([np.zeros(0, np.int32)] for _ in range(3))
        with UnnamedFile() as vectors, UnnamedFile() as texts:
            for batch in table.stream(["chunk_hash", "text", "tokens", "vector"]):
                of_batch = numbers_of(batch.column("chunk_hash"))
                if not (known := of_batch >= 0).any():
                    continue
                kept = batch.filter(pa.array(known))
                said = [text.encode() for text in kept.column("text").to_pylist()]
                numbers.append(of_batch[known])
                tokens.append(kept.column("tokens").to_numpy())
                lengths.append(np.array([len(text) for text in said], dtype=np.int32))
                vectors.write(np.ascontiguousarray(vectors_of(kept, table.dimensions)).data)
                texts.write(b"".join(said))
            matrix = np.frombuffer(vectors.mapped(), dtype=np.float32).reshape(-1, table.dimensions)
            all_said = texts.mapped()
        of_rows = np.concatenate(numbers)
        row_of = np.full(count, -1, dtype=np.int32)
        row_of[of_rows] = np.arange(of_rows.size, dtype=np.int32)
        if missing := int((row_of < 0).sum()):
            message = f"LanceDB's table {table.name} lacks {missing} of the release's {count} texts."
            raise MachineError(message, remedy="Run `nightrank doctor`, or `nightrank refresh`.")
        bounds = np.append(0, np.cumsum(np.concatenate(lengths), dtype=np.int64)).astype(np.int64)
        size = matrix.nbytes + all_said.nbytes
        return cls(table.name, of_rows, matrix, np.concatenate(tokens), size, all_said, bounds, row_of, numbers_of)

    @property
    def dimensions(self) -> int:
        """Of a vector."""
        return int(self.vectors.shape[1])

    def rows(self, chunk_hashes: pa.Array, columns: Sequence[str]) -> pa.Table:
        """Chosen columns of some texts; those that the release does not have are missing.

        Args:
            chunk_hashes: string (n,), distinct.
            columns: Of ``text``, ``tokens`` and ``vector``; ``chunk_hash`` comes first.
        """
        numbers = self._numbers_of(chunk_hashes)
        known = numbers >= 0
        rows = self._row_of[numbers[known]]
        made: dict[str, Callable[[], pa.Array]] = {
            "text": lambda: pa.array([self._text(row) for row in rows.tolist()], pa.string()),
            "tokens": lambda: pa.array(self.tokens[rows]),
            "vector": lambda: pa.FixedSizeListArray.from_arrays(pa.array(self.vectors[rows].ravel()), self.dimensions),
        }
        hashes = chunk_hashes.filter(pa.array(known))
        return pa.table({"chunk_hash": hashes, **{name: made[name]() for name in columns}})

    def _text(self, row: int) -> str:
        start, end = self._bounds[row : row + 2].tolist()
        return bytes(self._texts[start:end]).decode()
