"""Where in texts the terms of the lexical leg are: inflected forms, and words that no space parts, at their places.

A text is cut into runs, runs into words, words into terms by the rules of ``storage.bm25.terms``, which says in SQL how
often a term comes; here each is kept with where it is. A run is looked at once however often it comes.
"""

from __future__ import annotations

import re
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

import regex

from nightrank.storage.bm25.fields import RUN
from nightrank.storage.bm25.terms import UNSPACED, fold
from nightrank.tasks.bm25.segment import with_vowels_whole

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from nightrank.storage.bm25.terms import TextAnalyser


class Place(NamedTuple):
    """A term and where it is, in characters from the text's first."""

    start: int
    end: int
    term: str


RUNS_KNOWN = 500_000
"""Runs whose terms are remembered at one time, some 100 MB."""


def _in_python(pattern: str) -> str:
    r"""A regular expression of DuckDB's (RE2) as the module ``regex`` writes it.

    >>> _in_python(r"[\p{L}\x{345}-\x{1F110}]") == "[\\p{L}\u0345-\U0001f110]"
    True
    """
    return re.sub(r"\\x\{([0-9A-F]+)\}", lambda code: chr(int(code[1], 16)), pattern)


_RUN = regex.compile(_in_python(RUN))
_RUN_OF_ASCII = re.compile("[A-Za-z0-9]+")
_CUT = regex.compile(_in_python(rf"([{UNSPACED}]+)|[^{UNSPACED}]+"))
_WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{M}\p{N}]*")
_SEEN_AS_ONE = regex.compile(r"\X")


class TermPlaces:
    """Finds terms in texts.

    Args:
        analyse: What the collection was analysed with.
    """

    def __init__(self, analyse: TextAnalyser) -> None:
        self._analyse = analyse
        self._known: dict[tuple[int, str], tuple[Place, ...]] = {}

    def find(
        self, texts: Sequence[str], languages: Sequence[int], wanted: Sequence[Collection[str]]
    ) -> list[list[Place]]:
        """Where some terms are in some texts.

        Args:
            texts: (n,).
            languages: (n,), that they are analysed in: places among the analyser's.
            wanted: (n,), the terms that are looked for in each.

        Returns:
            (n,), the places in each, in the order of the text; those of pairs of characters overlap.
        """
        runs = [
            [(match.group(), match.start()) for match in (_RUN_OF_ASCII if text.isascii() else _RUN).finditer(text)]
            for text in texts
        ]
        self._learn({(language, run) for of, language in zip(runs, languages, strict=True) for run, _ in of})
        known = self._known
        return [
            [
                Place(start + place.start, start + place.end, place.term)
                for run, start in of
                for place in known[language, run]
                if place.term in terms
            ]
            for of, language, terms in zip(runs, languages, wanted, strict=True)
        ]

    def _learn(self, runs: set[tuple[int, str]]) -> None:
        if len(self._known) > RUNS_KNOWN:
            self._known.clear()
        new: dict[int, list[str]] = {}
        for language, run in sorted(runs - self._known.keys()):
            new.setdefault(language, []).append(run)
        for language, of_language in new.items():
            found = self._places_in(of_language, language)
            self._known.update(((language, run), places) for run, places in zip(of_language, found, strict=True))

    def _places_in(self, runs: list[str], language: int) -> list[tuple[Place, ...]]:
        """The terms of each run, at their places in it."""
        folded = _folded(runs)
        words: list[tuple[int, int, str]] = []  # the run, where in what is folded of it, the word
        unspaced: list[tuple[int, int, str]] = []
        for number, form in enumerate(folded):
            if form.isascii():
                words += [(number, found.start(), found.group()) for found in _RUN_OF_ASCII.finditer(form)]
                continue
            for part in _CUT.finditer(form):
                into = words if part.group(1) is None else unspaced
                into += [
                    (number, part.start() + found.start(), found.group()) for found in _WORD.finditer(part.group())
                ]
        places: list[list[Place]] = [[] for _ in runs]
        terms = self._analyse([word for *_, word in words], language)
        for (number, start, word), term in zip(words, terms, strict=True):
            if term:
                places[number].append(Place(start, start + len(word), term))
        for (number, start, word), parts in zip(unspaced, self._analyse.split([w for *_, w in unspaced]), strict=True):
            places[number] += [Place(start + at, start + to, term) for at, to, term in _places_of_parts(word, parts)]
        return [
            _as_written(run, form, found) for run, form, found in zip(runs, folded, map(sorted, places), strict=True)
        ]


def _places_of_parts(word: str, parts: Sequence[str]) -> list[Place]:
    """Where in a text without spaces its terms are, which follow one another, or overlap as pairs of characters do.

    >>> [place[:2] for place in _places_of_parts("신발은", ["신발", "발은"])]
    [(0, 2), (1, 3)]
    >>> [place[:2] for place in _places_of_parts("ababb", ["aba", "bb"])]
    [(0, 3), (3, 5)]
    """
    found: list[Place] = []
    start = end = 0
    for part in parts:
        at = end if word.startswith(part, end) else word.find(part, start)
        if at >= 0:  # an analyser may write a term in another way than it stands in the text
            start, end = at + 1, at + len(part)
            found.append(Place(at, end, part))
    return found


def _folded(texts: list[str]) -> list[str]:
    return [text if text.isascii() else with_vowels_whole(text) for text in fold(texts)]


def _as_written(run: str, folded: str, places: list[Place]) -> tuple[Place, ...]:
    """Places in a folded run as places in the run itself; the whole run, where folding leaves open which they are."""
    if len(run) == len(folded) or not places:
        return tuple(places)
    seen = _SEEN_AS_ONE.findall(run)
    forms = _folded(seen)
    if "".join(forms) != folded:
        return tuple(Place(0, len(run), place.term) for place in places)
    starts: list[int] = []
    ends: list[int] = []
    bounds = accumulate(map(len, seen), initial=0)
    for form, (start, end) in zip(forms, pairwise(bounds), strict=True):
        starts += [start] * len(form)
        ends += [end] * len(form)
    return tuple(Place(starts[place.start], ends[place.end - 1], place.term) for place in places)
