"""The grams of candidates: what the last release knows of pairs, and for the others what their texts say.

Which grams of a query stand in a text never changes, so that a night reads the texts of new pairs alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.records import CANDIDATES
from nightrank.storage.wide import coded
from nightrank.tasks.rank.documents import pairs_of
from nightrank.tasks.rank.grams import GRAM_BITS, GramSearch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

PAIR_GRAMS = pa.schema([CANDIDATES.field(name) for name in ("query_key", "chunk_hash", "grams")])
QUERIES_HELD = 50_000  # whose grams are in memory at one time
TEXTS_HELD = 32_768  # likewise texts


class ChunkTexts(Protocol):
    """What chunks say, as a chunk table does."""

    def rows(self, chunk_hashes: pa.Array, columns: Sequence[str]) -> pa.Table:
        """``chunk_hash`` and ``text`` of some chunks, string (n,) distinct, in no particular order."""
        ...


def with_grams(
    candidates: pa.Table, queries: Mapping[str, str], texts: ChunkTexts, *, known: pa.Table | None = None
) -> pa.Table:
    """Candidates with the column ``grams``, as ``tasks.rank.grams`` keeps them.

    Args:
        candidates: ``query_key`` and ``chunk_hash`` at least.
        queries: The queries' texts, by key.
        texts: What chunks say; asked for the texts of pairs that are not known.
        known: Schema PAIR_GRAMS, some pairs; null where they are not known after all.

    Raises:
        KeyError: There is no such query, or no such text.
    """
    return candidates.append_column(CANDIDATES.field("grams"), grams_of(candidates, queries, texts, known=known))


def grams_of(
    pairs: pa.Table, queries: Mapping[str, str], texts: ChunkTexts, *, known: pa.Table | None = None
) -> pa.Array:
    """The grams of pairs, large_binary (n,), as of ``with_grams``.

    Args:
        pairs: ``query_key`` and ``chunk_hash`` (n,).
        queries: The queries' texts, by key.
        texts: What chunks say.
        known: Schema PAIR_GRAMS.
    """
    numbered = _Coded.of(pairs)
    carried, places = numbered.known(PAIR_GRAMS.empty_table() if known is None else known)
    unknown = np.flatnonzero(places < 0)
    parts, at = [carried], len(carried)
    by_query = unknown[np.argsort(numbered.queries[unknown], kind="stable")]
    blocks = np.arange(0, len(numbered.keys) + QUERIES_HELD, QUERIES_HELD)
    starts = np.searchsorted(numbered.queries[by_query], blocks)
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        rows = by_query[start:end]
        parts.append(_looked_for(numbered, rows, queries, texts))
        places[rows] = np.arange(at, at + rows.size)
        at += rows.size
    return pa.concat_arrays(parts).take(pa.array(places))


def of_this_version(candidates: pa.Table) -> pa.Table:
    """Candidates of whatever version as schema CANDIDATES has them: those of older ones have no grams."""
    if "grams" not in candidates.column_names:
        candidates = candidates.append_column(CANDIDATES.field("grams"), pa.nulls(candidates.num_rows, GRAM_BITS))
    return candidates.select(CANDIDATES.names).cast(CANDIDATES)


def texts_by_key(queries: pa.Table) -> dict[str, str]:
    """What queries, ``query_key`` and ``text``, say, by key."""
    keys, texts = (queries.column(name).to_pylist() for name in ("query_key", "text"))
    return dict(zip(keys, texts, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class _Coded:
    """Pairs by numbers.

    Attributes:
        keys: Distinct ones of queries.
        hashes: Distinct ones of texts.
        queries: int32 (n,), of each pair among the keys.
        texts: int32 (n,), among the hashes.
    """

    keys: pa.Array
    hashes: pa.Array
    queries: NDArray[np.int32]
    texts: NDArray[np.int32]

    @classmethod
    def of(cls, pairs: pa.Table) -> Self:
        columns = [coded(pairs.column(name)) for name in ("query_key", "chunk_hash")]
        return cls(
            *(one.dictionary for one in columns),
            *(one.indices.to_numpy(zero_copy_only=False).astype(np.int32) for one in columns),
        )

    def known(self, known: pa.Table) -> tuple[pa.Array, NDArray[np.int64]]:
        """What is known of any of the pairs, and where each pair stands in it, int64 (n,); -1 where it does not."""
        known = known.filter(pc.is_valid(known.column("grams")))
        query = pc.index_in(known.column("query_key"), value_set=self.keys)
        text = pc.index_in(known.column("chunk_hash"), value_set=self.hashes)
        wanted = pc.and_(pc.is_valid(query), pc.is_valid(text))
        grams = known.column("grams").filter(wanted).combine_chunks()
        stored = pairs_of(query.filter(wanted).to_numpy(), text.filter(wanted).to_numpy())
        order = np.argsort(stored, kind="stable")
        asked = pairs_of(self.queries, self.texts)
        places = np.full(asked.size, -1, dtype=np.int64)
        if stored.size:
            found = np.minimum(np.searchsorted(stored[order], asked), stored.size - 1)
            there = stored[order][found] == asked
            places[there] = order[found[there]]
        return grams.cast(GRAM_BITS), places


def _looked_for(numbered: _Coded, rows: NDArray[np.intp], queries: Mapping[str, str], texts: ChunkTexts) -> pa.Array:
    """The grams of some pairs, by their rows (m,), from their texts."""
    own, of_query = np.unique(numbered.queries[rows], return_inverse=True)
    wanted, of_text = np.unique(numbered.texts[rows], return_inverse=True)
    search = GramSearch.of([queries[key] for key in numbered.keys.take(pa.array(own)).to_pylist()], of_query)
    by_text = np.argsort(of_text, kind="stable")
    for start in range(0, wanted.size, TEXTS_HELD):
        hashes = numbered.hashes.take(pa.array(wanted[start : start + TEXTS_HELD]))
        held = texts.rows(hashes, ["text"])
        order = pc.index_in(hashes, value_set=held.column("chunk_hash").combine_chunks())
        if order.null_count:
            raise KeyError(hashes.filter(order.is_null())[0].as_py())
        said = held.column("text").take(order)
        begin, end = np.searchsorted(of_text[by_text], [start, start + TEXTS_HELD])
        pairs = by_text[begin:end]
        search.look(said.to_pylist(), pairs, of_text[pairs] - start)
    return search.found()
