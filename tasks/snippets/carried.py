"""Snippets on their way from night to night, each by the key of everything that it depends on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.files.parquet import table_writer
from nightrank.storage.keys import KEY_LENGTH
from nightrank.storage.release.snippets import SNIPPETS
from nightrank.storage.serving.cache import Snippet
from nightrank.storage.wide import WideRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow.parquet as pq
    from numpy.typing import NDArray

    from nightrank.storage.release.files import CarriedSnippets

_KEY = f"S{KEY_LENGTH}"
_BLANK = Snippet(0, 0, cut_start=False, cut_end=False, highlights=())  # stands for none


class SnippetCarrier:
    """Takes snippets over from a release, has the others made, and writes down all of them; made by ``carrying``.

    Attributes:
        made: Those that were not there.
    """

    def __init__(self, before: pa.Table, writer: pq.ParquetWriter) -> None:
        self.made = 0
        self._writer = writer
        keys = _as_bytes(before.column("snippet_key").to_pylist())
        order = np.argsort(keys)
        self._before, self._keys, self._rows = WideRows(before), keys[order], order

    def snippets(
        self, keys: Sequence[str], make: Callable[[Sequence[int]], Sequence[Snippet | None]]
    ) -> list[Snippet | None]:
        """The snippets of some results.

        Args:
            keys: Of all that each depends on, (n,).
            make: Makes those of some, by their places, ascending.
        """
        rows = self._find(keys)
        there, missing = np.flatnonzero(rows >= 0).tolist(), np.flatnonzero(rows < 0).tolist()
        made = make(missing)
        self.made += len(made)
        known = self._before.at(rows[there])
        found: list[Snippet | None] = [None] * len(keys)
        for places, snippets in ((there, _snippets_in(known)), (missing, made)):
            for place, snippet in zip(places, snippets, strict=True):
                found[place] = snippet
        both = pa.concat_tables([known, _table_of([keys[place] for place in missing], made)])
        in_order = both.take(pa.array(np.argsort(np.concatenate([there, missing]))))
        _, firsts = np.unique(_as_bytes(keys), return_index=True)
        self._writer.write_table(in_order.take(pa.array(np.sort(firsts))))
        return found

    def _find(self, keys: Sequence[str]) -> NDArray[np.intp]:
        """The row of each key (n,) in the release before; -1 where it has none."""
        wanted = _as_bytes(keys)
        if not self._keys.size:
            return np.full(wanted.size, -1)
        places = np.minimum(np.searchsorted(self._keys, wanted), self._keys.size - 1)
        return np.where(self._keys[places] == wanted, self._rows[places], -1)


@contextmanager
def carrying(file: CarriedSnippets, *, before: CarriedSnippets | None) -> Iterator[SnippetCarrier]:
    """What carries snippets over into a release; its file appears when the block ends without an error.

    Args:
        file: Of the release that is being made.
        before: Of the one that it builds upon; None where there is none.
    """
    known = SNIPPETS.empty_table() if before is None else before.read()
    with table_writer(file.path, SNIPPETS) as writer:
        yield SnippetCarrier(known, writer)


def _as_bytes(keys: Sequence[str]) -> NDArray[np.bytes_]:
    return np.array(keys, dtype=_KEY)


def _snippets_in(rows: pa.Table) -> Iterator[Snippet | None]:
    for row in zip(*(column.to_pylist() for column in rows.columns[1:]), strict=True):
        start, end, cut_start, cut_end, bounds = row
        pairs = tuple(zip(bounds[::2], bounds[1::2], strict=True))
        yield Snippet(start, end, cut_start, cut_end, pairs) if end else None


def _table_of(keys: Sequence[str], snippets: Sequence[Snippet | None]) -> pa.Table:
    shown = [_BLANK if snippet is None else snippet for snippet in snippets]
    columns = [
        keys,
        [snippet.start for snippet in shown],
        [snippet.end for snippet in shown],
        [snippet.cut_start for snippet in shown],
        [snippet.cut_end for snippet in shown],
        [[bound for pair in snippet.highlights for bound in pair] for snippet in shown],
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SNIPPETS, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SNIPPETS)
