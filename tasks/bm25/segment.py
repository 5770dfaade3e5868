"""Texts of scripts without spaces cut into terms: words by ICU's dictionaries, and elsewhere pairs of characters.

ICU has dictionaries of Chinese, Japanese, Thai, Lao, Khmer and Burmese. Their words were better than pairs of
characters for Chinese and Japanese, and as good for Thai; for Korean, whose words carry their particles and stand
between spaces, pairs of syllables were better (``benchmarks.languages``). A character is what a reader takes for one,
marks and joined consonants included.
"""

from __future__ import annotations

import re
from itertools import pairwise

from icu4py import icu_version
from icu4py.breakers import CharacterBreaker, WordBreaker

# Whose dictionaries cut: part of the analyser's fingerprint.
SEGMENTER = f"icu {icu_version}"

_SYLLABLES = "\uac00-\ud7a3"
# Hangul, Bopomofo, Yi, Tai Le, New Tai Lue, Tai Tham, Balinese, Javanese, Tai Viet.
_PAIRED = (
    rf"{_SYLLABLES}\u1100-\u11ff\u3131-\u318e\u3105-\u312f\ua000-\ua48f\u1950-\u19df\u1a20-\u1aaf\u1b00-\u1b7f"
    r"\ua980-\ua9df\uaa80-\uaadf"
)
_IN_PAIRS = re.compile(f"([{_PAIRED}]+)")
_ALL_SYLLABLES = re.compile(f"[{_SYLLABLES}]+")
# NFKC takes the vowel am of Thai and Lao apart, and dictionaries have it whole.
_AM = (("\u0e4d\u0e32", "\u0e33"), ("\u0ecd\u0eb2", "\u0eb3"))
_BREAK = "\n"  # always a boundary, and in no text


def split_words(texts: list[str]) -> list[list[str]]:
    """The terms of each text of letters, marks and digits, in order.

    >>> split_words(["プログラミングガイド", "รองเท้าผ้าใบ", "신발은", "책"])
    [['プログラミング', 'ガイド'], ['รองเท้า', 'ผ้าใบ'], ['신발', '발은'], ['책']]
    """
    found: list[list[str]] = [[]]
    joined = with_vowels_whole(_BREAK.join(texts))
    for word in WordBreaker(joined, "en"):
        if word == _BREAK:
            found.append([])
        elif _IN_PAIRS.search(word):
            found[-1] += [term for part in _IN_PAIRS.split(word) for term in _pairs(part)]
        else:
            found[-1].append(word)
    return found[: len(texts)]


def with_vowels_whole(text: str) -> str:
    """A folded text with the vowels that folding takes apart and dictionaries have whole."""
    for apart, whole in _AM:
        text = text.replace(apart, whole)
    return text


def _pairs(part: str) -> list[str]:
    if not _IN_PAIRS.fullmatch(part):
        return [part] if part else []
    characters = list(part) if _ALL_SYLLABLES.fullmatch(part) else list(CharacterBreaker(part, "en"))
    return [first + second for first, second in pairwise(characters)] or [part]
