"""Texts of scripts without spaces cut into terms: words by ICU's dictionaries, of Korean its pairs of syllables.

ICU has dictionaries of Chinese, Japanese, Thai, Lao, Khmer and Burmese; in other scripts it ends a word at each
character, or cluster of them. Words were better than pairs of characters for Chinese and Japanese, and as good for
Thai; for Korean, whose words carry their particles and stand between spaces, pairs were (``benchmarks.languages``).
"""

from __future__ import annotations

import re
from itertools import pairwise

from icu4py import icu_version
from icu4py.breakers import WordBreaker

# Whose dictionaries cut: part of the analyser's fingerprint.
SEGMENTER = f"icu {icu_version}"

_HANGUL = re.compile("([\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e]+)")
_BREAK = "\n"  # always a boundary, and in no text


def split_words(texts: list[str]) -> list[list[str]]:
    """The terms of each text of letters, marks and digits, in order.

    >>> split_words(["プログラミングガイド", "รองเท้าผ้าใบ", "신발은", "책"])
    [['プログラミング', 'ガイド'], ['รองเท้า', 'ผ้าใบ'], ['신발', '발은'], ['책']]
    """
    found: list[list[str]] = [[]]
    for word in WordBreaker(_BREAK.join(texts), "en"):
        if word == _BREAK:
            found.append([])
        elif _HANGUL.search(word):
            found[-1] += [term for part in _HANGUL.split(word) for term in _pairs(part)]
        else:
            found[-1].append(word)
    return found[: len(texts)]


def _pairs(part: str) -> list[str]:
    if len(part) < 2 or not _HANGUL.fullmatch(part):
        return [part] if part else []
    return [first + second for first, second in pairwise(part)]
