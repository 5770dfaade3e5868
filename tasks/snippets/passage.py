"""Which sentences of a text answer a query: the window of whole sentences in which its rare terms come together.

A window begins where a sentence does and takes as many sentences as fit. What it is worth is the sum over the query's
terms in it of weight * tf / (tf + 1.2): each term counts by how rare it is, and again less and less, as a passage does
in Lucene's ``UnifiedHighlighter`` (``PassageScorer``). A sentence that is longer than a snippet is cut between words.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from icu4py.breakers import CharacterBreaker

from nightrank.storage.serving.cache import Snippet
from nightrank.tasks.chunk.pieces import Cut, split_pieces
from nightrank.tasks.chunk.words import finest_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nightrank.tasks.chunk.pieces import Piece
    from nightrank.tasks.snippets.places import Place

K1 = 1.2  # of Lucene's PassageScorer
LEAST_SHARE = 0.5  # of a snippet that whole sentences fill, or the next one is cut
BEFORE = 0.25  # of a snippet, before a term within a long sentence
LOOKED_BEYOND = 32  # characters, for the words on both sides of a cut

_SPACE = re.compile(r"\s*")
# What belongs to the character before it, beside marks: joiners and what chooses the look of an emoji.
_JOINED = "\u200d\ufe0e\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"


class _Window(NamedTuple):
    start: int
    end: int
    cut_start: bool
    cut_end: bool


class PassageText:
    """A text of which passages are shown, for whatever queries.

    Args:
        text: What the passages are of.
        characters: That a passage has at most.
    """

    def __init__(self, text: str, *, characters: int) -> None:
        self._text, self._characters = text, characters

    def passage(self, places: Sequence[Place], weights: Mapping[str, float]) -> Snippet | None:
        """The passage for a query; one from the beginning where it has none of its terms, None in a blank text.

        Args:
            places: Of the query's terms in the text, in order.
            weights: What each of them is worth, by term, above 0.
        """
        if not self._text.strip():
            return None
        if len(self._text) <= self._characters:
            window = self._trimmed(_Window(0, len(self._text), cut_start=False, cut_end=False))
        elif places:
            window = self._best(places, weights)
        else:
            window = self._from_piece(self._first_prose)
        inside = (place for place in places if place.start >= window.start and place.end <= window.end)
        return Snippet(*window, _joined(inside))

    @cached_property
    def _pieces(self) -> list[Piece]:
        return split_pieces(self._text)

    @cached_property
    def _starts(self) -> list[int]:
        return [piece.start for piece in self._pieces]

    @cached_property
    def _stops(self) -> list[int]:
        """Where a passage that begins in each piece ends at the latest: before the next heading."""
        stops = []
        stop = len(self._text)
        for piece in reversed(self._pieces):
            stops.append(stop)
            if piece.cut is Cut.HEADING:
                stop = piece.start
        return stops[::-1]

    @cached_property
    def _first_prose(self) -> int:
        """The first piece that is no heading; the first one where all are."""
        after = [piece.cut is Cut.AFTER_HEADING for piece in self._pieces[1:]]
        return after.index(False) if False in after else 0

    def _best(self, places: Sequence[Place], weights: Mapping[str, float]) -> _Window:
        numbers = [bisect_right(self._starts, place.start) - 1 for place in places]
        windows = {number: self._from_piece(number) for number in dict.fromkeys(numbers)}
        within = [
            self._within(number, place)
            for number, place in zip(numbers, places, strict=True)
            if place.end > windows[number].end
        ]
        starts = [place.start for place in places]

        def worth(window: _Window) -> float:
            first, last = bisect_left(starts, window.start), bisect_right(starts, window.end)
            counts = Counter(place.term for place in places[first:last] if place.end <= window.end)
            return sum(weights[term] * count / (count + K1) for term, count in sorted(counts.items()))

        # The first of the best, and one that begins with a sentence before one that does not.
        return self._filled(max([*windows.values(), *within], key=worth))

    def _from_piece(self, number: int) -> _Window:
        return self._until(_after_space(self._text, self._pieces[number].start), number, cut_start=False)

    def _within(self, number: int, place: Place) -> _Window:
        """The window that begins some words before a place far in a long sentence."""
        first = self._pieces[number].start
        least = max(first, place.start - int(BEFORE * self._characters))
        spans = finest_spans(self._text, max(first, least - LOOKED_BEYOND), place.start + 1)
        starts = (_after_space(self._text, start) for start, _ in spans)
        start = next((start for start in starts if least <= start <= place.start), place.start)
        return self._until(start, number, cut_start=start > _after_space(self._text, first))

    def _until(self, start: int, number: int, *, cut_start: bool) -> _Window:
        """The window from a place in a piece on."""
        limit, stop = start + self._characters, self._stops[number]
        if stop <= limit:
            return self._trimmed(_Window(start, stop, cut_start, cut_end=False))
        whole = self._starts[bisect_right(self._starts, limit) - 1]
        if whole - start >= LEAST_SHARE * self._characters:
            return self._trimmed(_Window(start, whole, cut_start, cut_end=False))
        return self._trimmed(_Window(start, _word_end(self._text, start, limit), cut_start, cut_end=True))

    def _filled(self, window: _Window) -> _Window:
        """A short window with the sentences before it that fit, as far as the heading."""
        if window.cut_start:
            return window
        number = bisect_right(self._starts, window.start) - 1
        while number and self._pieces[number].cut not in {Cut.HEADING, Cut.AFTER_HEADING}:
            start = _after_space(self._text, self._starts[number - 1])
            if window.end - start > self._characters:
                break
            number, window = number - 1, window._replace(start=start)
        return window

    def _trimmed(self, window: _Window) -> _Window:
        start = _after_space(self._text, window.start)
        return window._replace(start=start, end=start + len(self._text[start : window.end].rstrip()))


def _after_space(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    assert found is not None
    return found.end()


def _word_end(text: str, start: int, limit: int) -> int:
    """The last place up to a limit at which a text may be cut: between words, else between characters as seen."""
    # From a space on: what stands before it decides no word behind it.
    first = max(start, text.rfind(" ", start, limit - LOOKED_BEYOND), text.rfind("\n", start, limit - LOOKED_BEYOND))
    spans = finest_spans(text, first, min(limit + LOOKED_BEYOND, len(text)))
    ends = [end for _, end in spans if end <= limit and _may_cut(text, end)]
    if ends:
        return ends[-1]
    end = start
    for character in CharacterBreaker(text[start : limit + LOOKED_BEYOND], "en"):
        if end > start and end + len(character) > limit:
            break
        end += len(character)
    return end


def _may_cut(text: str, place: int) -> bool:
    following = text[place]
    return following not in _JOINED and text[place - 1] != "\u200d" and unicodedata.category(following)[0] != "M"


def _joined(places: Iterable[Place]) -> tuple[tuple[int, int], ...]:
    """Places without their terms, those that overlap or touch as one."""
    found: list[tuple[int, int]] = []
    for place in places:
        if found and place.start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], place.end)
        else:
            found.append((place.start, place.end))
    return tuple(found)
