"""The first tier: the known query that a query says the same as, in other words' order and endings or but for one edit.

Nothing is guessed: where several known queries could be meant, none is taken.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from nightrank.storage.keys import short_key
from nightrank.tasks.near.reading import MIN_LETTERS
from nightrank.tasks.near.spelling import deletions, is_one_edit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from nightrank.storage.release.results.near import FormAnswer
    from nightrank.tasks.near.reading import QueryReader, Reading, Word

MOST_TOKENS = 32  # of a query for which a known one is looked for
MOST_LETTERS = 40  # of a word in which an edit is looked for


class Move(StrEnum):
    """In what a query may differ from the known one whose answer it gets."""

    WORDING = "wording"  # endings and words that carry nothing; the order is the same
    ORDER = "order"  # the order, too
    SPELLING = "spelling"  # one edit in one long word that is known to neither log nor collection


class KnownForms(Protocol):
    """What is looked up: ``NearTables`` of a release, and the queries of a night without one that is held out."""

    def answer_of(self, form: int) -> FormAnswer | None:
        """The query that answers for a form; None where none does, or several whose answers are too different."""
        ...

    def text_of(self, query_key: str) -> str:
        """The text of a query that answers for a form, normalised."""
        ...

    def knows_term(self, term: int) -> bool:
        """Whether the collection or the log has a term, by its key."""
        ...

    def words_at(self, deletions: Sequence[int]) -> set[str]:
        """Words of the log of which, or of whose remainder, the key is one of some."""
        ...


class NearQuery(NamedTuple):
    """A known query whose answer another may get.

    Attributes:
        query_key: Its key.
        move: In what the two differ.
        agreement: As of ``FormAnswer``.
    """

    query_key: str
    move: Move
    agreement: float | None


def find_near(
    query: str, condition: str | None, *, read: QueryReader, known: KnownForms, moves: Collection[Move]
) -> NearQuery | None:
    """The known query that says the same; None where there is none, or where it is not clear which.

    Args:
        query: As typed, or normalised.
        condition: The canonical text of its filter: only queries with the same one are near.
        read: Reads queries as the release's analysis does.
        known: What is known.
        moves: In what the two may differ.
    """
    reading = read(query)
    if len(reading.tokens) > MOST_TOKENS:
        return None
    found = _same(reading, condition, known, moves)
    if found is not None or Move.SPELLING not in moves:
        return found
    word = _misspelt(reading, known)
    if word is None:
        return None
    others = [_same(other, condition, known, {*moves, Move.WORDING}) for other in _respelt(reading, word, read, known)]
    near = {other.query_key: other for other in others if other is not None}
    if len(near) != 1:
        return None
    [only] = near.values()
    if Move.WORDING not in moves and not _is_word_for_word(only, reading, word, read, known):
        return None
    return only._replace(move=Move.SPELLING)


def term_key(term: str) -> int:
    """The key of a term, as ``KnownForms.knows_term`` takes it."""
    return short_key("near term", term)


def _same(reading: Reading, condition: str | None, known: KnownForms, moves: Collection[Move]) -> NearQuery | None:
    for form, move in zip(reading.forms(condition), (Move.WORDING, Move.ORDER), strict=False):
        answer = known.answer_of(form) if move in moves else None
        if answer is not None:
            return NearQuery(answer.query_key, move, answer.agreement)
    return None


def _is_word_for_word(near: NearQuery, reading: Reading, word: Word, read: QueryReader, known: KnownForms) -> bool:
    """Whether a known query differs from a misspelt one in that word alone."""
    tokens = read(known.text_of(near.query_key)).tokens
    differing = [place for place, pair in enumerate(zip(tokens, reading.tokens, strict=False)) if pair[0] != pair[1]]
    return len(tokens) == len(reading.tokens) and differing == [word.place]


def _misspelt(reading: Reading, known: KnownForms) -> Word | None:
    """The word that nobody knows; None where there are more, or where an edit in it would say too little."""
    unknown = [word for word in reading.words if not known.knows_term(term_key(word.term))]
    return unknown[0] if len(unknown) == 1 and unknown[0].is_long and len(unknown[0].text) <= MOST_LETTERS else None


def _respelt(reading: Reading, word: Word, read: QueryReader, known: KnownForms) -> Iterator[Reading]:
    for other in sorted(known.words_at(deletions(word.text))):
        if len(other) >= MIN_LETTERS and is_one_edit(word.text, other):
            yield read.read((*reading.tokens[: word.place], other, *reading.tokens[word.place + 1 :]))
