"""What a query says, as far as another may be taken for it: its terms, what must be the same to the letter, its order.

Terms are those of the release's BM25 analysis. Numbers, words with signs or apostrophes in them (``3.10``, ``c++``,
``can't``), short words, negations and every piece of a script without spaces must be the same. Two queries may have
their terms in different orders where nothing says that the order means something (``csv to json``, ``berlin nach
rom``).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.bm25.languages import FULL_WEIGHT, LEAST_WEIGHT
from nightrank.storage.characters import folded
from nightrank.storage.keys import normalise_query, short_key
from nightrank.tasks.bm25.analyser import language_in
from nightrank.tasks.bm25.languages import script_of, word_lists
from nightrank.tasks.near.turning import TURNING
from nightrank.tasks.query_log.near_form import near_form

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nightrank.tasks.bm25.analyser import Analyser

SHORT = 3  # characters of a word, up to which it must be the same to the letter
UNSPACED = "other"  # as script_of calls what is in no script that it knows words of
FIRST_UNSPACED = 0x0E00  # Thai
MIN_LETTERS = 5  # of a word in which an edit is looked for


class Word(NamedTuple):
    """A word of a query that became a term.

    Attributes:
        place: Among the query's tokens.
        text: Folded.
        term: What the analysis makes of it.
        is_long: Whether it may be a misspelling: long enough, and letters alone.
    """

    place: int
    text: str
    term: str
    is_long: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """A query as it was read.

    Attributes:
        tokens: Its words, folded.
        items: Terms, and what must be the same to the letter, in order.
        words: Those of the tokens that became terms.
        is_ordered: Whether the order may mean something.
    """

    tokens: tuple[str, ...]
    items: tuple[str, ...]
    words: tuple[Word, ...]
    is_ordered: bool

    def forms(self, condition: str | None) -> tuple[int, ...]:
        """The keys that two queries share one of where they say the same; none where the query says nothing.

        The first is of the terms in their order; a second, where the order means nothing, of the terms in any.

        Args:
            condition: The canonical text of the query's filter: other filters, other keys.
        """
        if not self.items:
            return ()
        parts = () if condition is None else (condition,)
        in_order = short_key("near in order", *self.items, "filter", *parts)
        if self.is_ordered:
            return (in_order,)
        return in_order, short_key("near in any order", *sorted(self.items), "filter", *parts)


class QueryReader:
    """Reads queries as a release's BM25 does.

    Args:
        analyse: The analyser that the collection was analysed with.
        languages: Places among the analyser's languages of those that are common in the collection, most frequent
            first; a query that is not clearly of one of them is read in the first.

    >>> from nightrank.tasks.bm25.analyser import Analyser
    >>> read = QueryReader(Analyser(("english",)), [0])
    >>> read("Reading the CSV files").items == read("read csv file").items
    True
    >>> read("python 3.10 install").items, read("csv to json").is_ordered
    (('python', '=3.10', 'instal'), True)
    """

    def __init__(self, analyse: Analyser, languages: Sequence[int]) -> None:
        self._analyse = analyse
        self._languages = list(languages) or [0]

    def __call__(self, query: str) -> Reading:
        """Read a query, as typed or normalised."""
        return self.read(tuple(near_form(normalise_query(query)).split()))

    def read(self, tokens: tuple[str, ...]) -> Reading:
        """Read the words of a query, folded and without punctuation at its ends."""
        place = self._language_of(tokens)
        terms = iter(self._analyse([token for token in tokens if _is_word(token)], place))
        items: list[str] = []
        words: list[Word] = []
        is_ordered, has_content, is_behind_stop_word = not self._analyse.drops_stop_words, False, False
        for number, token in enumerate(tokens):
            if not _is_word(token):
                pieces = self._pieces(token)
                is_second_number = _has_digit(token) and any(map(_has_digit, items))
                is_ordered |= _is_unspaced(token) or is_second_number
                items += [f"={piece}" for piece in pieces]
            else:
                term = next(terms)
                turning = TURNING.get(language_in(script_of(token), self._analyse.languages[place]))
                must_be_same = term is None if turning is None else token in turning
                must_be_same |= len(token) == 1 and number == len(tokens) - 1  # vitamin a, hepatitis a: a name's letter
                is_ordered |= turning is None or must_be_same
                if term is None and not must_be_same:
                    is_behind_stop_word = has_content
                    continue
                if must_be_same or (len(token) <= SHORT and term != token):
                    items.append(f"={token}")
                else:
                    assert term is not None
                    items.append(term)
                    words.append(Word(number, token, term, len(token) >= MIN_LETTERS))
                if term is None:
                    continue
            is_ordered |= is_behind_stop_word
            has_content = True
        return Reading(tokens, tuple(items) if has_content else (), tuple(words), is_ordered)

    def _pieces(self, token: str) -> Sequence[str]:
        if not _is_unspaced(token) or not all(unicodedata.category(character)[0] in "LMN" for character in token):
            return (token,)
        return self._analyse.split([token])[0] or (token,)

    def _language_of(self, tokens: Sequence[str]) -> int:
        """The place of the language that a query is clearly in, else of the most frequent."""
        if len(self._languages) == 1:
            return self._languages[0]
        votes, seen = Counter[int](), Counter[int]()
        for token in set(tokens):
            places = self._marks.get(token, ())
            for place in places:
                votes[place] += FULL_WEIGHT // len(places)
                seen[place] += 1
        ranked = sorted((count, -place) for place, count in votes.items() if seen[place] > 1)[::-1]
        if not ranked or ranked[0][0] < LEAST_WEIGHT or (len(ranked) > 1 and 2 * ranked[0][0] <= 3 * ranked[1][0]):
            return self._languages[0]
        return -ranked[0][1]

    @cached_property
    def _marks(self) -> Mapping[str, Sequence[int]]:
        """The words that tell the languages apart, folded, with the places of those whose lists they are in."""
        found: dict[str, list[int]] = {}
        lists = word_lists()
        for place in sorted(self._languages):
            of = lists.get(self._analyse.languages[place])
            for word in {folded(mark) for mark in of.marks} if of is not None else ():
                if len(word) > 1:
                    found.setdefault(word, []).append(place)
        return found


def _is_word(token: str) -> bool:
    """Whether a token is of letters alone, in a script whose words stand between spaces."""
    if token.isascii():
        return token.isalpha()
    return not _is_unspaced(token) and all(unicodedata.category(character)[0] in "LM" for character in token)


def _is_unspaced(token: str) -> bool:
    return not token.isascii() and any(ord(one) >= FIRST_UNSPACED and script_of(one) == UNSPACED for one in token)


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))
