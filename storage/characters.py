r"""Characters as people see them: what prints as nothing goes, and a text has one form whatever its case and width.

One place for documents, titles, queries and keys, so that all are read alike. Texts lose what is invisible when they
are read (``visible``); queries, keys and terms are folded as well (``folded``).
"""

from __future__ import annotations

import re
import unicodedata

# Unicode's Default_Ignorable_Code_Point: soft hyphens, zero width spaces and joiners, byte order marks, marks of
# direction, variation selectors, fillers, tags.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_JOINS = frozenset("\u200c\u200d")
_JOINERS = re.compile("[\u200c\u200d]+")
# Scripts whose words are written with joiners (Arabic to Mongolian, with Arabic's presentation forms), and emoji.
_JOINED = re.compile(
    "[\u0600-\u109f\u1780-\u18af\u1900-\u1cff\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc"
    "\u203c\u2049\u2190-\u245f\u2500-\u2bff\U00010a00-\U000119ff\U0001f000-\U0001faff]"
)
# Letters that are written with a dot keep one when their case is folded, as the Turkish capital I with a dot does.
_SECOND_DOT = re.compile("([ij\u012f\u0268\u1ecb])\u0307+")
_FEW = 20  # that are replaced one after the other sooner than a text is gone through once, character by character
_ASCII = bytes(range(128))
_DOTLESS = "\u0131"


def visible(text: str) -> str:
    r"""A text without the characters that print as nothing; every other one stays as it is.

    Zero width joiners and non-joiners stay between letters of scripts that are written with them, and in emoji.

    >>> visible("Kranken\u00adversicherung, zero\u200bwidth")
    'Krankenversicherung, zerowidth'
    >>> visible("\u0645\u06cc\u200c\u062e") == "\u0645\u06cc\u200c\u062e"
    True
    """
    if text.isascii():
        return text
    # Characters beyond ASCII are few in most texts, and what is looked for among few is found sooner.
    others = text.encode("utf-8", "surrogatepass").translate(None, _ASCII).decode("utf-8", "surrogatepass")
    unseen = set(_UNSEEN.findall(others))
    text = without(text, unseen - _JOINS)
    return text if unseen.isdisjoint(_JOINS) else _JOINERS.sub(_needed, text)


def without(text: str, characters: set[str], *, instead: str = "") -> str:
    """A text in which something else, or nothing, stands for some characters.

    >>> without("a-b+c", {"-", "+"}, instead=" ")
    'a b c'
    """
    if len(characters) > _FEW:
        return text.translate(dict.fromkeys(map(ord, characters), instead))
    for character in characters:
        text = text.replace(character, instead)
    return text


def is_whole(text: str) -> bool:
    r"""Whether a text holds characters alone, and no half of one.

    Halves of surrogate pairs are what JSON and UTF-16 leave that were cut in the middle, and what stands in a command's
    arguments for bytes that are no UTF-8.

    >>> is_whole("\U0001f41d"), is_whole("\ud83d")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def folded(text: str) -> str:
    """The form in which texts are compared: visible characters, Unicode NFKC, case folded, no dot more than one.

    Case folding can leave a text that NFKC changes, such as ``ß`` with an accent, so NFKC comes again after it. The
    Turkish capital I with a dot and small i without one are both ``i``. Folding what is folded changes nothing.

    >>> folded("STRASSE"), folded("Straße"), folded("ﬁne ４２"), folded("İSTANBUL, ısparta")
    ('strasse', 'strasse', 'fine 42', 'istanbul, isparta')
    """
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKC", visible(text)).casefold()
    plain = unicodedata.normalize("NFKC", plain).replace(_DOTLESS, "i")
    return unicodedata.normalize("NFKC", visible(_SECOND_DOT.sub(r"\1", plain)))


def _needed(joiners: re.Match[str]) -> str:
    text, start, end = joiners.string, joiners.start(), joiners.end()
    if start and _JOINED.match(text, start - 1) and _JOINED.match(text, end):
        return joiners[0][0]
    return ""
