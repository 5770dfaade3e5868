"""Misspellings that are planted into known queries: of these it is known what was meant.

What a misspelt query is answered with says little of what was meant, for nothing holds the misspelt word. So the first
tier's spelling is measured on known queries with one edit in one word, whose right answer is that of the query itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.keys import short_key
from nightrank.tasks.near.calibrate import HeldOutPair
from nightrank.tasks.near.find import Move, find_near
from nightrank.tasks.near.reading import MIN_LETTERS

if TYPE_CHECKING:
    from nightrank.tasks.near.known import KnownQueries
    from nightrank.tasks.near.reading import QueryReader

EDITS = 4


def planted_pairs(known: KnownQueries, read: QueryReader, *, seed: int, most: int) -> list[HeldOutPair]:
    """Known queries that a misspelling of theirs is, or is not, taken for, in the order of the draw.

    Args:
        known: All of them.
        read: Reads queries as the release's analysis does.
        seed: Decides which queries, and what is done to them.
        most: Pairs.
    """
    pairs: list[HeldOutPair] = []
    drawn = sorted(known.queries, key=lambda query: short_key("near planted", str(seed), query.query_key))
    for query in drawn:
        if len(pairs) == most:
            break
        reading = read(query.text)
        long = [word for word in reading.words if word.is_long]
        if not long:
            continue
        chance = short_key("near edit", str(seed), query.query_key)
        word = long[chance % len(long)]
        tokens = list(reading.tokens)
        tokens[word.place] = misspelt(word.text, chance // len(long))
        found = find_near(
            " ".join(tokens), query.condition, read=read, known=known.without(None), moves=frozenset(Move)
        )
        if found is not None and found.move is Move.SPELLING:
            pairs.append(HeldOutPair(query.query_key, found.query_key))
    return pairs


def misspelt(word: str, chance: int) -> str:
    """A word with one edit behind its first letter: a letter too few, twice, swapped with the next, or for another.

    Args:
        word: Of some letters.
        chance: At least 0; decides which.

    >>> [misspelt("python", 4 * 1 + kind) for kind in range(4)]
    ['pyhon', 'pytthon', 'pyhton', 'pyyhon']
    """
    assert len(word) >= MIN_LETTERS
    kind, chance = chance % EDITS, chance // EDITS
    place = 1 + chance % (len(word) - 2)
    before, letter, after = word[:place], word[place], word[place + 1 :]
    edited = {
        0: before + after,
        1: before + letter + letter + after,
        2: before + after[:1] + letter + after[1:],
        3: before + word[place - 1] + after,
    }
    return edited[kind]
