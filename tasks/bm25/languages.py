"""What the lexical leg knows of languages: their scripts, and their commonest words.

The lists of stop words lie in ``stop_words.json``, each with its source and licence. Names and codes are in
``tasks.languages``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from nightrank.storage.characters import folded
from nightrank.tasks.languages import ARABIC, CYRILLIC, DEVANAGARI, LATIN

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class WordLists:
    """What is known of a language's most frequent words.

    Attributes:
        stop_words: Those that are dropped, folded as words of texts are.
        marks: Those that it is known by, in small letters.
    """

    stop_words: frozenset[str]
    marks: frozenset[str]


# First code points of scripts that more than one thing can be done with; what is in none is in the last.
_SCRIPTS = (
    (0x0000, LATIN),
    (0x0370, "greek"),
    (0x0400, CYRILLIC),
    (0x0530, "armenian"),
    (0x0590, "hebrew"),
    (0x0600, ARABIC),
    (0x0780, "other"),
    (0x0900, DEVANAGARI),
    (0x0980, "other"),
    (0x0B80, "tamil"),
    (0x0C00, "other"),
    (0x1E00, LATIN),
    (0x1F00, "greek"),
    (0x2000, "other"),
    (0x2C60, LATIN),
    (0x2C80, "other"),
    (0xA640, CYRILLIC),
    (0xA6A0, "other"),
    (0xA720, LATIN),
    (0xA800, "other"),
    (0xAB30, LATIN),
    (0xABC0, "other"),
)

# The language that words of a script are taken for where nothing else is said.
MAIN_LANGUAGES: Mapping[str, str] = {
    LATIN: "english",
    "greek": "greek",
    CYRILLIC: "russian",
    "armenian": "armenian",
    ARABIC: "arabic",
    DEVANAGARI: "hindi",
    "tamil": "tamil",
    "hebrew": "hebrew",
}


def script_of(word: str) -> str:
    """The script of a word, by its first character.

    >>> [script_of(word) for word in ("wort", "ўсё", "خانه", "ｗ", "가")]
    ['latin', 'cyrillic', 'arabic', 'other', 'other']
    """
    point = ord(word[0])
    if point < 0x370:
        return LATIN
    return next((script for first, script in reversed(_SCRIPTS) if point >= first), "other")


@cache
def word_lists() -> Mapping[str, WordLists]:
    """The lists that there are, by language."""
    read = json.loads(files("nightrank.tasks.bm25").joinpath("stop_words.json").read_text(encoding="utf-8"))
    lists = {}
    for name, one in read.items():
        lists[name] = WordLists(frozenset(map(folded, one["words"])), frozenset(one.get("marks", one["words"])))
    return lists
