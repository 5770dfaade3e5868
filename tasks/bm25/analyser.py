"""How a word becomes a term of the lexical leg: stop words, then a Snowball stem, each of the word's language.

A word is of the text's language where that is written in the word's script, and else of the language that most texts in
that script are in. Splitting texts into words, and deciding a text's language, is ``storage.bm25``'s matter; here each
distinct word is seen once.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections import Counter, defaultdict
from dataclasses import astuple, dataclass
from functools import cache
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import Stemmer

from nightrank.storage.bm25.fields import PLAIN, FieldWeights
from nightrank.storage.bm25.languages import FULL_WEIGHT
from nightrank.storage.errors import InputError
from nightrank.storage.keys import fingerprint
from nightrank.tasks.bm25.languages import MAIN_LANGUAGES, script_of, word_lists
from nightrank.tasks.bm25.light_stems import LIGHT_STEMS, beginning, hebrew_stem
from nightrank.tasks.bm25.segment import SEGMENTER, split_words
from nightrank.tasks.languages import LANGUAGES, LATIN, UNSPACED, language_called

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.tasks.settings.index import Bm25Settings

NO_LANGUAGE = "none"
AUTO = "auto"

_MARKS = pa.schema([("run", pa.string()), ("language", pa.uint8()), ("word", pa.int32()), ("weight", pa.int64())])

# Letters of Latin script that no mark can be taken off.
_PLAIN_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d"}
)


@dataclass(frozen=True, slots=True)
class Analyser:
    """Maps case-folded words to terms; the same for documents and queries of a release.

    Attributes:
        languages: Names of ``LANGUAGES`` that texts are told apart by, or ``none``: every word is its own term. The
            first is that of texts of which nothing tells.
        drops_stop_words: Whether words of a language's list are dropped, as they are written, before stemming.
        folds_accents: Whether Latin and Greek letters lose their accents before stemming.
        field_weights: What a word of a document counts by the field that it is in.

    >>> Analyser(("english",))(["the", "rankings", "ranked", "книги"], 0)
    [None, 'rank', 'rank', 'книг']
    >>> Analyser(("none",))(["the", "rankings"], 0)
    ['the', 'rankings']
    >>> Analyser(("french",), folds_accents=True)(["été", "ete", "öl"], 0)
    ['ete', 'ete', 'ol']
    """

    languages: tuple[str, ...]
    drops_stop_words: bool = True
    folds_accents: bool = False
    field_weights: FieldWeights = PLAIN

    @classmethod
    def of(cls, settings: Bm25Settings) -> Self:
        """The analyser that the settings ask for.

        Raises:
            InputError: The language is not known.
        """
        return cls(_languages(settings.language), settings.stop_words, settings.fold_accents, settings.fields.weights)

    def __call__(self, words: list[str], language: int, /) -> Sequence[str | None]:
        """The term of each word, in order; None for a stop word.

        Args:
            words: Case-folded.
            language: Of the text that they are in: a place among ``languages``.
        """
        terms: list[str | None] = list(words)
        by_language: dict[str, list[int]] = defaultdict(list)
        for place, word in enumerate(words):
            by_language[language_in(script_of(word), self.languages[language])].append(place)
        for name, places in by_language.items():
            for place, term in zip(places, self._terms([words[place] for place in places], name), strict=True):
                terms[place] = term
        return terms

    def place_of(self, declared: str, /) -> int | None:
        """The place among ``languages`` of one that a document says it is in; None where the settings name one.

        Languages whose words are told by their script alone, as those of Russian, Greek and Chinese texts, have no
        place of their own.

        Args:
            declared: A name of ``LANGUAGES``.
        """
        if len(self.languages) == 1 or declared not in LANGUAGES:
            return None
        return self.languages.index(declared) if declared in self.languages else 0

    def split(self, texts: list[str], /) -> Sequence[Sequence[str]]:
        """The terms of each case-folded text in scripts without spaces."""
        return split_words(texts)

    def marks(self) -> pa.Table:
        """The words that tell the languages apart, in small letters, in capitals, and with one; composed or not."""
        return _marks(self.languages)

    def fingerprint(self) -> str:
        """The key of everything that decides a text's terms: languages, lists, the stemmers' and ICU's versions."""
        how = [LIGHT_STEMS, self.languages, self.drops_stop_words, self.folds_accents]
        how += [] if self.field_weights.are_plain else [astuple(self.field_weights)]
        return fingerprint(["snowball", Stemmer.version(), SEGMENTER, *how, _lists_fingerprint()])

    def _terms(self, words: list[str], name: str) -> Sequence[str | None]:
        lists = word_lists().get(name)
        stop_words = lists.stop_words if lists is not None and self.drops_stop_words else frozenset()
        plain = [_without_accents(word) for word in words] if self.folds_accents else words
        stems = _stems(plain, LANGUAGES[name].stems if name in LANGUAGES else "none", name)
        return [None if word in stop_words else stem for word, stem in zip(words, stems, strict=True)]


def _stems(words: list[str], how: str, name: str) -> Sequence[str]:
    match how:
        case "snowball":
            stems: Sequence[str] = Stemmer.Stemmer(name).stemWords(words)  # one is not safe across threads, and cheap
            return stems
        case "beginning":
            return [beginning(word) for word in words]
        case "hebrew":
            return [hebrew_stem(word) for word in words]
        case _:
            return words


@cache
def _marks(names: tuple[str, ...]) -> pa.Table:
    """The words that tell some languages apart."""
    if len(names) == 1:
        return _MARKS.empty_table()
    lists = word_lists()
    of_language = {name: place for place, name in enumerate(names)} | dict.fromkeys(MAIN_LANGUAGES.values(), 0)
    # A letter alone is a symbol or a variable in texts of every language.
    found = [(word, name) for name in of_language if name in lists for word in lists[name].marks if len(word) > 1]
    languages_of = Counter(word for word, _ in found)
    number_of = {word: number for number, word in enumerate(sorted(languages_of))}
    rows = {
        (unicodedata.normalize(composed, form), of_language[name], number_of[word], FULL_WEIGHT // languages_of[word])
        for word, name in found
        for form in (word, word.capitalize(), word.upper())
        for composed in ("NFC", "NFD")
    }
    return pa.table([list(column) for column in zip(*sorted(rows), strict=True)], schema=_MARKS)


@cache
def _lists_fingerprint() -> str:
    return fingerprint({name: [sorted(of.stop_words), sorted(of.marks)] for name, of in word_lists().items()})


def language_in(script: str, language: str) -> str:
    """The name of the language that a word of a script is taken for in a text of a language."""
    if language == NO_LANGUAGE or script in LANGUAGES[language].scripts:
        return language
    return MAIN_LANGUAGES.get(script, NO_LANGUAGE)


def _languages(written: str) -> tuple[str, ...]:
    """The languages that a setting means."""
    if written == NO_LANGUAGE:
        return (NO_LANGUAGE,)
    if written == AUTO:
        # Of a script's main language a text is where nothing tells; one without a list can be named by documents.
        main = MAIN_LANGUAGES.values()
        others = (name for name, of in LANGUAGES.items() if name not in main and of.scripts != (UNSPACED,))
        return (MAIN_LANGUAGES[LATIN], *sorted(others))
    language = language_called(written)
    if language is not None:
        return (language.name,)
    names = [AUTO, NO_LANGUAGE, *LANGUAGES]
    near = difflib.get_close_matches(written.casefold(), names, n=1, cutoff=0.7)
    raise InputError(
        f'[bm25] language = "{written}" is not known.',
        remedy=(f'Did you mean "{near[0]}"? ' if near else "")
        + 'Write "auto": each text in its own language; "none": words as they are, which suits a language without a '
        f"stemmer; or one of: {', '.join(LANGUAGES)}, or its ISO code.",
    )


def _without_accents(word: str) -> str:
    if word.isascii() or script_of(word) not in {LATIN, "greek"}:
        return word
    decomposed = unicodedata.normalize("NFD", word)
    kept = "".join(character for character in decomposed if not unicodedata.combining(character))
    return unicodedata.normalize("NFC", kept).translate(_PLAIN_LETTERS)
