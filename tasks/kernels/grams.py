"""Which grams of queries stand in texts, compiled: a text is gone through once, whatever many queries ask of it.

A gram is a window of four characters, kept as two numbers: its first three, 21 bits each, and its last. A word of one
letter has a window of three, its last is then 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from nightrank.tasks.kernels.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPACE = 32
FREE = -1  # a slot that holds no gram


class GramTable(NamedTuple):
    """A hash table of grams, by open addressing.

    Attributes:
        firsts: uint64 (n_slots,), the first three characters of each gram; n_slots is a power of two.
        lasts: uint32 (n_slots,), its last one.
        numbers: int32 (n_slots,), of the gram; ``FREE`` where there is none.
    """

    firsts: NDArray[np.uint64]
    lasts: NDArray[np.uint32]
    numbers: NDArray[np.int32]

    @classmethod
    def empty(cls, count: int) -> Self:
        """One for so many grams, a quarter full at most."""
        slots = 1 << (4 * count).bit_length()
        return cls(np.zeros(slots, np.uint64), np.zeros(slots, np.uint32), np.full(slots, FREE, np.int32))


@compiled
def slot_of(table: GramTable, first: np.uint64, last: np.uint32) -> np.int64:
    """The slot that holds a gram, or the free one where it belongs."""
    mask = np.uint64(table.numbers.size - 1)
    mixed = (first ^ (np.uint64(last) << np.uint64(43))) * np.uint64(0x9E3779B97F4A7C15)
    slot = (mixed >> np.uint64(32)) & mask
    while table.numbers[slot] != FREE and (table.firsts[slot] != first or table.lasts[slot] != last):
        slot = (slot + np.uint64(1)) & mask
    return np.int64(slot)


@compiled
def fill(table: GramTable, firsts: NDArray[np.uint64], lasts: NDArray[np.uint32]) -> None:
    """Put distinct grams, (n,) each, numbered from 0, into an empty table of more slots."""
    for number in range(firsts.size):
        slot = slot_of(table, firsts[number], lasts[number])
        table.firsts[slot], table.lasts[slot], table.numbers[slot] = firsts[number], lasts[number], number


@compiled
def mark(
    table: GramTable,
    seen_in: NDArray[np.int64],
    codes: NDArray[np.uint32],
    text_bounds: NDArray[np.int64],
    pair_bounds: NDArray[np.int64],
    pair_queries: NDArray[np.int32],
    query_bounds: NDArray[np.int64],
    query_grams: NDArray[np.int32],
    bits: NDArray[np.uint8],
    bit_bounds: NDArray[np.int64],
) -> None:
    """Set the bits of the grams that stand in texts.

    Args:
        table: Of all grams.
        seen_in: int64 (n_grams,), scratch, all -1.
        codes: uint32, the characters of the texts; whatever is of no word is a space.
        text_bounds: int64 (n_texts + 1,), where each text begins and ends in ``codes``, a space at its end.
        pair_bounds: int64 (n_texts + 1,), where the pairs of each text begin and end.
        pair_queries: int32 (n_pairs,), the query of each.
        query_bounds: int64 (n_queries + 1,), where the grams of each query begin and end in ``query_grams``.
        query_grams: int32, their numbers.
        bits: uint8 of zeros, written: the first gram of a query is the highest bit of the first byte.
        bit_bounds: int64 (n_pairs,), where the bytes of each pair begin.
    """
    for text in range(text_bounds.size - 1):
        first = second = np.uint64(0)
        third = last = np.uint64(SPACE)
        length = 1
        for place in range(text_bounds[text], text_bounds[text + 1]):
            character = np.uint64(codes[place])
            if character == SPACE and last == SPACE:
                continue
            first, second, third, last = second, third, last, character
            length += 1
            if last == SPACE and second == SPACE:
                slot = slot_of(table, (second << np.uint64(42)) | (third << np.uint64(21)) | last, np.uint32(0))
                if table.numbers[slot] != FREE:
                    seen_in[table.numbers[slot]] = text
            elif length >= 4 and second != SPACE and third != SPACE:  # noqa: PLR1714 (numba has no tuples to look in)
                slot = slot_of(table, (first << np.uint64(42)) | (second << np.uint64(21)) | third, np.uint32(last))
                if table.numbers[slot] != FREE:
                    seen_in[table.numbers[slot]] = text
        for pair in range(pair_bounds[text], pair_bounds[text + 1]):
            begin = query_bounds[pair_queries[pair]]
            for place in range(begin, query_bounds[pair_queries[pair] + 1]):
                if seen_in[query_grams[place]] == text:
                    bit = place - begin
                    bits[bit_bounds[pair] + (bit >> 3)] |= np.uint8(128 >> (bit & 7))
