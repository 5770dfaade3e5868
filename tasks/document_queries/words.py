"""Texts as segments of words, for phrases: no phrase reaches over a comma, the end of a sentence or a cell of a table.

Words are as they are written, since people read what becomes of them; what stemming makes of words is no query.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from typing import TYPE_CHECKING

from nightrank.tasks.bm25.languages import word_lists
from nightrank.tasks.bm25.segment import split_words

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from collections.abc import Set as AbstractSet

# Scripts that ICU has dictionaries of: Thai, Lao, Burmese, Khmer, Kana and Han. Hangul has spaces between its words.
UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{UNSPACED}]+|[^\W{UNSPACED}]+(?:['\u2019.-][^\W{UNSPACED}]+)*[+#]*")
_WITHIN = re.compile(r"[ \t]*\n?[ \t]*")  # what may stand between two words of a phrase
_UNSPACED_END = re.compile(rf"[{UNSPACED}]\Z")
_UNSPACED_START = re.compile(rf"[{UNSPACED}]")
LEAST_MARKS = 2  # different function words by which a language is known
MAIN = "english"  # of a text that no language is known by


def segments(text: str) -> list[list[str]]:
    r"""The words of a text, in runs that nothing but blanks or one line feed interrupts.

    Args:
        text: Folded.

    >>> segments("read a csv file, or c++\n\nos.path")
    [['read', 'a', 'csv', 'file'], ['or', 'c++'], ['os.path']]
    >>> segments("東京の天気 today")
    [['東京', 'の', '天気', 'today']]
    """
    found: list[list[str]] = []
    last = -1
    for match in _WORD.finditer(text):
        if last < 0 or not _WITHIN.fullmatch(text, last, match.start()):
            found.append([])
        word, last = match.group(), match.end()
        words = split_words([word])[0] if _UNSPACED_START.match(word) else [word]
        found[-1] += map(sys.intern, words)  # the same words come in text after text
    return found


def joined(words: Sequence[str]) -> str:
    """Words as a text, without blanks where their script has none.

    >>> joined(["東京", "の", "天気", "today"]), joined(["point", "of", "sale"])
    ('東京の天気 today', 'point of sale')
    """
    text = ""
    for word in words:
        is_glued = not text or (_UNSPACED_END.search(text) and _UNSPACED_START.match(word))
        text += word if is_glued else f" {word}"
    return text


def is_unspaced(word: str) -> bool:
    """Whether a word is of a script without spaces."""
    return _UNSPACED_START.match(word) is not None


def function_words(words: Collection[str], *, declared: str) -> AbstractSet[str]:
    """The function words of the language that a text's words are in.

    Args:
        words: All of the text, folded.
        declared: The name of the language that its document says; empty without one. What it says is believed.

    >>> "der" in function_words({"der", "hund", "und", "die", "katze"}, declared="")
    True
    >>> "der" in function_words({"the", "dog", "and"}, declared="")
    False
    """
    lists = _lists()
    if declared in lists:
        return lists[declared]
    best, count = marks_found(words)
    return lists[best if count >= LEAST_MARKS else MAIN]


def marks_found(words: Collection[str]) -> tuple[str, int]:
    """The language that some words have most function words of, and how many different ones.

    Args:
        words: Folded.
    """
    distinct = words if isinstance(words, set | frozenset) else set(words)
    found = {name: len(distinct & marks) for name, marks in _lists().items()}
    best = max(found, key=lambda name: (found[name], name == MAIN, name))
    return best, found[best]


@cache
def _lists() -> Mapping[str, frozenset[str]]:
    """Of each language that has any, by its name."""
    return {name: of.stop_words | of.marks for name, of in word_lists().items() if of.stop_words or of.marks}
