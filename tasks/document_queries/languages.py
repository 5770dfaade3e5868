"""The language that a text is likeliest in, by its script and its function words: for people, and for no term.

What a chunk's terms are is decided in `storage.bm25.languages`; this tells somebody what a collection is in.
"""

from __future__ import annotations

import re
from collections import Counter

from nightrank.storage.characters import folded
from nightrank.tasks.bm25.languages import MAIN_LANGUAGES, script_of
from nightrank.tasks.document_queries.words import LEAST_MARKS, marks_found
from nightrank.tasks.languages import LANGUAGES, LATIN

CHARACTERS = 3000  # of a text that are looked at
LEAST_WORDS = 5
LEAST_KANA = 0.05  # of the characters, for a text with Han to be Japanese
_WORD = re.compile(r"[^\W\d_]+")
_BY_CHARACTER = (
    ("korean", re.compile("[\u1100-\u11ff\uac00-\ud7a3]")),
    ("thai", re.compile("[\u0e00-\u0e7f]")),
    ("lao", re.compile("[\u0e80-\u0eff]")),
    ("burmese", re.compile("[\u1000-\u109f]")),
    ("khmer", re.compile("[\u1780-\u17ff]")),
)
_KANA, _HAN = re.compile("[\u3040-\u30ff]"), re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")


def language_of(text: str, *, declared: str = "") -> str | None:
    """The name of a language; None where neither script nor words tell.

    Args:
        text: Of a document.
        declared: The name of the language that it says; believed where the text's words do not tell.

    >>> [language_of(text) for text in ("The tea is hot and it is black.", "Der Tee ist heiß, und die Tasse ist voll.")]
    ['english', 'german']
    >>> language_of("これは日本語のテキストです"), language_of("чай и это не кофе, но он здесь"), language_of("0 1 2")
    ('japanese', 'russian', None)
    """
    head = folded(text[:CHARACTERS])
    letters = sum(map(str.isalpha, head))
    if not letters:
        return declared or None
    for name, of in _BY_CHARACTER:
        if 2 * len(of.findall(head)) > letters:
            return name
    kana, han = len(_KANA.findall(head)), len(_HAN.findall(head))
    if 2 * (kana + han) > letters:
        return "japanese" if kana > LEAST_KANA * letters else "chinese"
    words = _WORD.findall(head)
    if len(words) < LEAST_WORDS:
        return declared or None
    script = Counter(map(script_of, words)).most_common(1)[0][0]
    name, count = marks_found(set(words))
    if count >= LEAST_MARKS and script in LANGUAGES[name].scripts:
        return name
    return declared or (MAIN_LANGUAGES.get(script) if script != LATIN else None)
