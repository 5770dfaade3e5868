"""Misspellings: words that one edit turns into one another, found by what is left where a letter is taken out.

The edits are an insertion, a deletion, a substitution, and a transposition of neighbours (Damerau 1964, "A technique
for computer detection and correction of spelling errors"). Two words that are one edit apart share a word that is left
where at most one letter of each is taken out, which is how SymSpell finds candidates in one look-up.
"""

from __future__ import annotations

from nightrank.storage.keys import short_key


def deletions(word: str) -> list[int]:
    """The keys of a word and of what is left of it where one letter is taken out, distinct, in order.

    The first letter stays: people seldom mistype it, and another one is most often another word.
    """
    left = {word, *(word[:place] + word[place + 1 :] for place in range(1, len(word)))}
    return sorted(short_key("near spelling", one) for one in left)


def is_one_edit(left: str, right: str) -> bool:
    """Whether one edit behind the first letter turns a word into another.

    >>> [is_one_edit("python", other) for other in ("pyhton", "pythn", "pythons", "pithon", "python", "cython", "pyht")]
    [True, True, True, True, False, False, False]
    """
    if left == right or abs(len(left) - len(right)) > 1 or left[:1] != right[:1]:
        return False
    start = next((place for place, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]), None)
    if start is None:
        return True  # one is the beginning of the other
    if len(left) != len(right):
        short, long = sorted((left, right), key=len)
        return short[start:] == long[start + 1 :]
    if left[start + 1 :] == right[start + 1 :]:
        return True
    swapped = left[start + 1 : start + 2] + left[start] + left[start + 2 :]
    return swapped == right[start:]
