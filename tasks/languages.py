"""The languages that are known by a name or a code: what they are called, and what they are written in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

LATIN, CYRILLIC, ARABIC, DEVANAGARI = "latin", "cyrillic", "arabic", "devanagari"
UNSPACED = "unspaced"


@dataclass(frozen=True, slots=True)
class Language:
    """A language.

    Attributes:
        name: In English, lower case; Snowball's where it has a stemmer.
        codes: Of ISO 639, with those that librarians use.
        scripts: That it is written in, as ``tasks.bm25.languages.script_of`` names them.
        stems: How its words become terms: by Snowball, by ``tasks.bm25.light_stems``, or as they are.
    """

    name: str
    codes: tuple[str, ...]
    scripts: tuple[str, ...]
    stems: Literal["snowball", "beginning", "hebrew", "none"] = "snowball"


LANGUAGES: Mapping[str, Language] = {
    language.name: language
    for language in (
        Language("arabic", ("ar", "ara"), (ARABIC,)),
        Language("armenian", ("hy", "hye", "arm"), ("armenian",)),
        Language("basque", ("eu", "eus", "baq"), (LATIN,)),
        Language("bulgarian", ("bg", "bul"), (CYRILLIC,), stems="beginning"),
        Language("burmese", ("my", "mya", "bur"), (UNSPACED,), stems="none"),
        Language("catalan", ("ca", "cat"), (LATIN,)),
        Language("chinese", ("zh", "zho", "chi", "cmn", "yue"), (UNSPACED,), stems="none"),
        Language("czech", ("cs", "ces", "cze"), (LATIN,)),
        Language("danish", ("da", "dan"), (LATIN,)),
        Language("dutch", ("nl", "nld", "dut"), (LATIN,)),
        Language("dutch_porter", (), (LATIN,)),
        Language("english", ("en", "eng"), (LATIN,)),
        Language("esperanto", ("eo", "epo"), (LATIN,)),
        Language("estonian", ("et", "est"), (LATIN,)),
        Language("finnish", ("fi", "fin"), (LATIN,)),
        Language("french", ("fr", "fra", "fre"), (LATIN,)),
        Language("german", ("de", "deu", "ger"), (LATIN,)),
        Language("greek", ("el", "ell", "gre"), ("greek",)),
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
        Language("norwegian", ("no", "nor", "nb", "nob", "nn", "nno"), (LATIN,)),
        Language("persian", ("fa", "fas", "per"), (ARABIC,)),
        Language("polish", ("pl", "pol"), (LATIN,)),
        Language("porter", (), (LATIN,)),
        Language("portuguese", ("pt", "por"), (LATIN,)),
        Language("romanian", ("ro", "ron", "rum"), (LATIN,)),
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
    """The language of a name or a code, whatever its case and whatever region or script stands behind it.

    >>> [language_called(name).name for name in ("German", "de-AT", "zh_Hant", "nb", "Portuguese (Brazil)")]
    ['german', 'german', 'chinese', 'norwegian', 'portuguese']
    >>> language_called("klingon") is None
    True
    """
    wanted = name.partition("(")[0].strip().casefold().replace("_", "-")
    return LANGUAGES.get(wanted.replace("-", "_")) or _by_code().get(wanted.partition("-")[0])


@cache
def _by_code() -> Mapping[str, Language]:
    return {code: language for language in LANGUAGES.values() for code in language.codes}
