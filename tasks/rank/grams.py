"""How much of a query's words stands in a candidate's text, letter by letter: shares of character 4-grams.

Inflected, compounded and misspelt words share most of their letters with those that a query asks for, where terms of
BM25 are the same or are not, and where an encoder does not know the language. A gram is four neighbouring characters
of a word, a space at either end; a word of one letter is a gram of three.

    share = sum over the query's grams in the text of weight / sum over all of the query's grams of weight
    weight = log(1 + (candidates - with the gram + 0.5) / (with the gram + 0.5))

with the query's own candidates as the collection: what all of them have tells none from another, and where hardly any
gram is found anywhere, one that is there by chance is a small share. Which grams stand in a text is a matter of query
and text alone, kept in bits, so that it is computed once; weights are of tonight's candidates, so that a share needs
nothing but these bits. One more bit, always set, follows a query's last gram, and tells how many it has.
"""

from __future__ import annotations

import sys
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import pyarrow as pa

from nightrank.storage.characters import folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.kernels.grams import GramTable

GRAM_BITS = pa.large_binary()  # what is kept of a pair
LENGTH = 4
TEXTS_A_TIME = 1024  # whose characters are in memory
MOST_GRAMS = 512  # of a query; of a longer one the first count
_WORD_CLASSES = frozenset("LMN")  # letters, marks, digits
_CHARACTER_BITS = 21


def query_grams(query: str) -> list[str]:
    """The distinct grams of a query's words, in their order.

    >>> query_grams("Read a CSV")
    [' rea', 'read', 'ead ', ' a ', ' csv', 'csv ']
    """
    spaced = "".join(character if _is_of_word(character) else " " for character in folded(query))
    padded = [f" {word} " for word in dict.fromkeys(spaced.split())]
    found = (word[at : at + LENGTH] for word in padded for at in range(max(1, len(word) - LENGTH + 1)))
    return list(dict.fromkeys(found))[:MOST_GRAMS]


class AskedGrams(NamedTuple):
    """The grams of some queries; made by ``of``.

    Attributes:
        bounds: int64 (n_queries + 1,), where those of each query begin and end in ``numbers``.
        numbers: int32 (n,), of the grams.
        firsts: uint64 (n_grams,), their first three characters.
        lasts: uint32 (n_grams,), their last.
    """

    bounds: NDArray[np.int64]
    numbers: NDArray[np.int32]
    firsts: NDArray[np.uint64]
    lasts: NDArray[np.uint32]

    @classmethod
    def of(cls, queries: Iterable[str]) -> Self:
        """Those of queries (n_queries,)."""
        number_of: dict[str, int] = {}
        numbers = [[number_of.setdefault(gram, len(number_of)) for gram in query_grams(query)] for query in queries]
        bounds = np.cumsum([0, *map(len, numbers)], dtype=np.int64)
        flat = np.array([number for of_query in numbers for number in of_query], dtype=np.int32)
        codes = np.zeros((len(number_of), LENGTH), dtype=np.uint64)
        for row, gram in enumerate(number_of):
            codes[row, : len(gram)] = [ord(character) for character in gram]
        shifts = np.array([2 * _CHARACTER_BITS, _CHARACTER_BITS, 0], dtype=np.uint64)
        firsts = np.bitwise_or.reduce(codes[:, :3] << shifts, axis=1)
        return cls(bounds, flat, firsts, codes[:, 3].astype(np.uint32))

    @property
    def bytes_of_query(self) -> NDArray[np.int64]:
        """What its bits take, the one that ends them among them: int64 (n_queries,)."""
        return np.diff(self.bounds) // 8 + 1


@dataclass(frozen=True, slots=True, eq=False)
class GramSearch:
    """Pairs of queries and texts, and which grams of the query stand in the text; made by ``of``, filled by ``look``.

    Attributes:
        asked: The grams.
        of_query: int32 (n,), the query of each pair.
        bounds: int64 (n + 1,), where the bytes of each pair begin and end.
        bits: uint8, these; a query's first gram is the highest bit of the first, and a set bit follows its last one.
        table: Of the grams.
    """

    asked: AskedGrams
    of_query: NDArray[np.int32]
    bounds: NDArray[np.int64]
    bits: NDArray[np.uint8]
    table: GramTable

    @classmethod
    def of(cls, queries: Iterable[str], of_query: NDArray[np.integer]) -> Self:
        """Pairs whose texts are still to come.

        Args:
            queries: Their texts (n_queries,).
            of_query: int (n,), the query of each pair.
        """
        asked = AskedGrams.of(queries)
        bounds = np.append(0, np.cumsum(asked.bytes_of_query[of_query])).astype(np.int64)
        bits = np.zeros(int(bounds[-1]), dtype=np.uint8)
        bits[bounds[1:] - 1] = 128 >> (np.diff(asked.bounds)[of_query] & 7)
        from nightrank.tasks.kernels.grams import GramTable, fill

        table = GramTable.empty(asked.firsts.size)
        fill(table, asked.firsts, asked.lasts)
        return cls(asked, of_query.astype(np.int32), bounds, bits, table)

    def look(self, texts: Sequence[str], pairs: NDArray[np.integer], of_text: NDArray[np.integer]) -> None:
        """Look for the grams of some pairs' queries in their texts.

        Args:
            texts: (n_texts,).
            pairs: int (m,), which.
            of_text: int (m,), the text of each, ascending.
        """
        from nightrank.tasks.kernels.grams import mark

        asked = self.asked
        bounds = np.searchsorted(of_text, np.arange(len(texts) + 1)).astype(np.int64)
        for first in range(0, len(texts), TEXTS_A_TIME):
            codes, text_bounds = _codes_of(texts[first : first + TEXTS_A_TIME])
            mark(
                self.table,
                np.full(asked.firsts.size, -1, dtype=np.int64),
                codes,
                text_bounds,
                bounds[first : first + TEXTS_A_TIME + 1],
                self.of_query[pairs],
                asked.bounds,
                asked.numbers,
                self.bits,
                self.bounds[:-1][pairs],
            )

    def found(self) -> pa.Array:
        """The bits of each pair: large_binary (n,)."""
        buffers = [None, pa.py_buffer(self.bounds), pa.py_buffer(self.bits)]
        return pa.Array.from_buffers(GRAM_BITS, self.of_query.size, buffers)


def grams_in(
    queries: Sequence[str], texts: Sequence[str], of_query: NDArray[np.integer], of_text: NDArray[np.integer]
) -> pa.Array:
    """Which grams of queries stand in texts, pair by pair: large_binary (n,), a bit for each gram, and one set.

    Args:
        queries: (n_queries,).
        texts: (n_texts,).
        of_query: int (n,), the query of each pair.
        of_text: int (n,), its text.
    """
    search = GramSearch.of(queries, of_query)
    order = np.argsort(of_text, kind="stable")
    search.look(texts, order, of_text[order])
    return search.found()


def gram_shares(queries: NDArray[np.integer], grams: pa.Array) -> NDArray[np.float64]:
    r"""The share that each candidate has of its query's grams, weighted among the query's candidates: float64 (n,).

    A query's shares depend on nothing but its own candidates; they are 0 where it has no grams, and where it is not
    known which of them a candidate has.

    Args:
        queries: int (n,), from 0, ascending.
        grams: large_binary (n,), as ``grams_in`` gives them, those of a query equally long; null where nobody looked.

    >>> gram_shares(np.array([0, 0, 1]), pa.array([b"\xa0", b"\xe0", b"\x20"], GRAM_BITS)).round(4).tolist()
    [0.2083, 1.0, 0.0]
    """
    shares, widths = np.zeros(queries.size), np.zeros(queries.size, dtype=np.int64)
    known = grams.is_valid().to_numpy(zero_copy_only=False)
    widths[known] = np.diff(_offsets(grams.drop_null()))
    for width in np.unique(widths[widths > 0]).tolist():
        rows = np.flatnonzero(widths == width)
        held = grams.take(pa.array(rows))
        start = int(_offsets(held)[0])
        found = np.frombuffer(held.buffers()[2], dtype=np.uint8)[start:].reshape(-1, width)[: rows.size]
        shares[rows] = _shares(queries[rows], found)
    return shares


def _shares(queries: NDArray[np.integer], found: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The same of queries with as many bytes of grams each: uint8 (n, width)."""
    starts = np.flatnonzero(np.append(True, np.diff(queries) != 0))
    sizes = np.diff(np.append(starts, queries.size))
    of_row = np.repeat(np.arange(starts.size), sizes)
    counts = _counts(found[starts])
    own, whole = np.zeros(queries.size), np.zeros(starts.size)
    # Gram by gram, so that sums do not depend on how many queries there are.
    for bit in range(int(counts.max())):
        has = (found[:, bit >> 3] >> (7 - (bit & 7))) & 1
        with_gram = np.add.reduceat(has, starts, dtype=np.int64)
        weight = np.where(bit < counts, np.log1p((sizes - with_gram + 0.5) / (with_gram + 0.5)), 0.0)
        own += weight[of_row] * has
        whole += weight
    return np.divide(own, whole[of_row], out=np.zeros(queries.size), where=whole[of_row] > 0)


def _counts(found: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How many grams queries have: int64 (n,), by the last bit that is set in each of uint8 (n, width).

    >>> _counts(np.array([[0, 128], [255, 1], [0, 0b01010100]], dtype=np.uint8)).tolist()
    [8, 15, 13]
    """
    last = np.unpackbits(found[:, -1:], axis=1)
    return np.asarray(8 * found.shape[1] - 1 - last[:, ::-1].argmax(axis=1), dtype=np.int64)


def _offsets(grams: pa.Array) -> NDArray[np.int64]:
    """Where the bytes of each entry without nulls begin and end: int64 (n + 1,)."""
    offsets = np.frombuffer(grams.buffers()[1], dtype=np.int64) if len(grams) else np.zeros(1, dtype=np.int64)
    return offsets[grams.offset : grams.offset + len(grams) + 1]


def _codes_of(texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The characters of texts, folded, whatever is of no word a space, and where each text begins and ends."""
    plain = [folded(text) + " " for text in texts]
    codes = np.frombuffer("".join(plain).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return np.where(_of_words()[codes], codes, np.uint32(ord(" "))), np.cumsum([0, *map(len, plain)], dtype=np.int64)


@cache
def _of_words() -> NDArray[np.bool_]:
    """Which characters are of words: bool (n_characters,)."""
    return np.array([_is_of_word(chr(code)) for code in range(sys.maxunicode + 1)])


def _is_of_word(character: str) -> bool:
    return unicodedata.category(character)[0] in _WORD_CLASSES
