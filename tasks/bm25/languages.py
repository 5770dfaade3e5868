"""The languages that the lexical leg knows: codes, scripts, whether there is a stemmer, and their commonest words.

Stemmers are Snowball's, and simple ones for some languages that Snowball lacks. The lists of stop words lie in
``stop_words.json``, each with its source and licence.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from nightrank.storage.characters import folded

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Language:
    """A language.

    Attributes:
        name: In English, lower case; Snowball's where it has a stemmer.
        codes: Of ISO 639.
        scripts: That it is written in, as ``script_of`` names them.
        stems: How its words become terms: by Snowball, by ``tasks.bm25.light_stems``, or as they are.
    """

    name: str
    codes: tuple[str, ...]
    scripts: tuple[str, ...]
    stems: Literal["snowball", "beginning", "hebrew", "none"] = "snowball"


@dataclass(frozen=True, slots=True)
class WordLists:
    """What is known of a language's most frequent words.

    Attributes:
        stop_words: Those that are dropped, folded as words of texts are.
        marks: Those that it is known by, in small letters.
    """

    stop_words: frozenset[str]
    marks: frozenset[str]


LATIN, CYRILLIC, ARABIC, DEVANAGARI = "latin", "cyrillic", "arabic", "devanagari"
UNSPACED = "unspaced"

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

LANGUAGES: Mapping[str, Language] = {
    language.name: language
    for language in (
        Language("arabic", ("ar", "ara"), (ARABIC,)),
        Language("armenian", ("hy", "hye"), ("armenian",)),
        Language("basque", ("eu", "eus"), (LATIN,)),
        Language("bulgarian", ("bg", "bul"), (CYRILLIC,), stems="beginning"),
        Language("burmese", ("my", "mya"), (UNSPACED,), stems="none"),
        Language("catalan", ("ca", "cat"), (LATIN,)),
        Language("chinese", ("zh", "zho", "cmn", "yue"), (UNSPACED,), stems="none"),
        Language("czech", ("cs", "ces"), (LATIN,)),
        Language("danish", ("da", "dan"), (LATIN,)),
        Language("dutch", ("nl", "nld"), (LATIN,)),
        Language("dutch_porter", (), (LATIN,)),
        Language("english", ("en", "eng"), (LATIN,)),
        Language("esperanto", ("eo", "epo"), (LATIN,)),
        Language("estonian", ("et", "est"), (LATIN,)),
        Language("finnish", ("fi", "fin"), (LATIN,)),
        Language("french", ("fr", "fra"), (LATIN,)),
        Language("german", ("de", "deu"), (LATIN,)),
        Language("greek", ("el", "ell"), ("greek",)),
        Language("hebrew", ("he", "heb", "iw"), ("hebrew",), stems="hebrew"),
        Language("hindi", ("hi", "hin"), (DEVANAGARI,)),
        Language("hungarian", ("hu", "hun"), (LATIN,)),
        Language("indonesian", ("id", "ind"), (LATIN,)),
        Language("irish", ("ga", "gle"), (LATIN,)),
        Language("italian", ("it", "ita"), (LATIN,)),
        Language("japanese", ("ja", "jpn"), (UNSPACED,), stems="none"),
        Language("kazakh", ("kk", "kaz"), (CYRILLIC,), stems="beginning"),
        Language("khmer", ("km", "khm"), (UNSPACED,), stems="none"),
        Language("korean", ("ko", "kor"), (UNSPACED,), stems="none"),
        Language("lao", ("lo", "lao"), (UNSPACED,), stems="none"),
        Language("latvian", ("lv", "lav"), (LATIN,), stems="beginning"),
        Language("lithuanian", ("lt", "lit"), (LATIN,)),
        Language("nepali", ("ne", "nep"), (DEVANAGARI,)),
        Language("norwegian", ("no", "nor", "nb", "nn"), (LATIN,)),
        Language("persian", ("fa", "fas"), (ARABIC,)),
        Language("polish", ("pl", "pol"), (LATIN,)),
        Language("porter", (), (LATIN,)),
        Language("portuguese", ("pt", "por"), (LATIN,)),
        Language("romanian", ("ro", "ron"), (LATIN,)),
        Language("russian", ("ru", "rus"), (CYRILLIC,)),
        Language("serbian", ("sr", "srp"), (CYRILLIC, LATIN)),
        Language("sesotho", ("st", "sot"), (LATIN,)),
        Language("spanish", ("es", "spa"), (LATIN,)),
        Language("swedish", ("sv", "swe"), (LATIN,)),
        Language("tamil", ("ta", "tam"), ("tamil",)),
        Language("thai", ("th", "tha"), (UNSPACED,), stems="none"),
        Language("turkish", ("tr", "tur"), (LATIN,)),
        Language("ukrainian", ("uk", "ukr"), (CYRILLIC,), stems="beginning"),
        Language("vietnamese", ("vi", "vie"), (LATIN,), stems="none"),
        Language("yiddish", ("yi", "yid"), ("hebrew",)),
    )
}


def language_called(name: str) -> Language | None:
    """The language of a name or a code, whatever its case and whatever region or script stands behind the code.

    >>> [language_called(name).name for name in ("German", "de-AT", "zh_Hant", "nb")]
    ['german', 'german', 'chinese', 'norwegian']
    >>> language_called("klingon") is None
    True
    """
    wanted = name.strip().casefold().replace("_", "-")
    return LANGUAGES.get(wanted.replace("-", "_")) or _by_code().get(wanted.partition("-")[0])


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


@cache
def _by_code() -> Mapping[str, Language]:
    return {code: language for language in LANGUAGES.values() for code in language.codes}
