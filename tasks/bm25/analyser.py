"""How a word becomes a term of the lexical leg: stop words, then a Snowball stem.

Splitting texts into words is ``storage.bm25.terms``'s matter; here each distinct word is seen once.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import Stemmer

from nightrank.storage.errors import InputError
from nightrank.storage.keys import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nightrank.tasks.settings.index import Bm25Settings

# The 33 words of Lucene's EnglishAnalyzer (EnglishAnalyzer.ENGLISH_STOP_WORDS_SET), with which BM25's published figures
# were made. Languages that are not named here are stemmed and keep all their words.
ENGLISH_STOP_WORDS = frozenset(
    [
        *("a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not"),
        *("of", "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was"),
        *("will", "with"),
    ]
)
STOP_WORDS: Mapping[str, frozenset[str]] = {"english": ENGLISH_STOP_WORDS, "porter": ENGLISH_STOP_WORDS}

NO_LANGUAGE = "none"


@dataclass(frozen=True, slots=True)
class Analyser:
    """Maps case-folded words to terms; the same for documents and queries of a release.

    Attributes:
        language: A Snowball algorithm's name, or ``none``: every word is its own term.
        stop_words: Words that are dropped, as they are written, before stemming.

    >>> Analyser("english", ENGLISH_STOP_WORDS)(["the", "rankings", "ranked"])
    [None, 'rank', 'rank']
    >>> Analyser("none", frozenset())(["the", "rankings"])
    ['the', 'rankings']
    """

    language: str
    stop_words: frozenset[str]

    @classmethod
    def of(cls, settings: Bm25Settings) -> Self:
        """The analyser that the settings ask for.

        Raises:
            InputError: There is no stemmer for the language.
        """
        names = [NO_LANGUAGE, *Stemmer.algorithms()]
        if settings.language not in names:
            near = difflib.get_close_matches(settings.language.casefold(), names, n=1, cutoff=0.5)
            raise InputError(
                f'[bm25] language = "{settings.language}" has no stemmer.',
                remedy=(f'Did you mean "{near[0]}"? ' if near else "") + f"Choose one of: {', '.join(names)}.",
            )
        words = STOP_WORDS.get(settings.language, frozenset()) if settings.stop_words else frozenset()
        return cls(settings.language, words)

    def __call__(self, words: list[str], /) -> Sequence[str | None]:
        """The term of each word, in order; None for a stop word."""
        # A stemmer is not safe across threads, and cheap to make.
        stems = words if self.language == NO_LANGUAGE else Stemmer.Stemmer(self.language).stemWords(words)
        return [None if word in self.stop_words else stem for word, stem in zip(words, stems, strict=True)]

    def fingerprint(self) -> str:
        """The key of everything that decides a word's term: the language, the list, the stemmer's version."""
        return fingerprint(["snowball", Stemmer.version(), self.language, sorted(self.stop_words)])
