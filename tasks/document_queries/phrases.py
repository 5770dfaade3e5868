"""Key phrases of a collection: what its documents come back to, and most of its documents do not speak of.

In each document a phrase of two or three words (where no space parts them, one is enough) that comes at least twice
weighs

    tf * mean idf of its words * log2(words + 1),    idf = ln(documents / documents with the word)

(the length as in C-value: Frantzi, Ananiadou, Mima, "Automatic recognition of multi-word terms", IJDL 2000), and the
heaviest few, none a part of another, are the document's. The phrases of the most documents come first. Weights are
rounded to quarters of a power of two, and equals stand in the order of a digest, so that a document more or less moves
little.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.characters import folded
from nightrank.storage.keys import digest
from nightrank.tasks.document_queries.words import function_words, is_unspaced, joined, segments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

LONGEST = 3  # words of a phrase
OF_A_DOCUMENT = 5  # phrases
LEAST_TIMES = 2  # in a document
LEAST_DOCUMENTS = 2
FEW = 10  # documents: of fewer no word is common
COMMON = 0.3  # of the documents: a word that more have begins and ends no phrase
STEPS = 4  # of a weight within a power of two

Phrase = tuple[str, ...]


class Text(NamedTuple):
    """A document's text, and the name of the language that it says it is in; empty without one."""

    text: str
    language: str = ""


def key_phrases(texts: Iterable[Text]) -> list[str]:
    """The key phrases of texts, best first.

    >>> teas = [Text(f"Black tea is wilted. {name}: black tea, wilted leaves.") for name in ("Assam", "Keemun")]
    >>> key_phrases(teas)
    ['black tea']
    """
    read: list[tuple[list[list[str]], str]] = []
    documents_with: Counter[str] = Counter()
    for one in texts:
        found = segments(folded(one.text))
        read.append((found, one.language))
        documents_with.update({word for segment in found for word in segment})
    count = len(read)
    idf = {word: math.log((count + 1) / with_it) for word, with_it in documents_with.items()}
    most = COMMON * count if count >= FEW else count
    votes: Counter[Phrase] = Counter()
    for found, language in read:
        words = {word for segment in found for word in segment}
        function = function_words(words, declared=language)

        def ends(word: str, function: frozenset[str] | set[str] = frozenset(function)) -> bool:
            return word not in function and documents_with[word] <= most and _says_something(word)

        votes.update(_of_document(found, idf, ends))
    least = LEAST_DOCUMENTS if count >= LEAST_DOCUMENTS else 1
    heaviest = {phrase: times * _weight(phrase, idf) for phrase, times in votes.items() if times >= least}
    order = {phrase: (-_rounded(weight), digest("phrase", *phrase)) for phrase, weight in heaviest.items()}
    return [joined(phrase) for phrase in sorted(order, key=order.__getitem__)]


def _of_document(found: Sequence[Sequence[str]], idf: Mapping[str, float], ends: Callable[[str], bool]) -> list[Phrase]:
    """A document's phrases: its heaviest, none a part of another."""
    times: Counter[Phrase] = Counter()
    for segment in found:
        can_end = [ends(word) for word in segment]
        for first, begins in enumerate(can_end):
            if begins:
                for last in range(first, min(first + LONGEST, len(segment))):
                    if not any(map(str.isalpha, segment[last])):
                        break
                    if can_end[last]:
                        times[tuple(segment[first : last + 1])] += 1
    weights = {
        phrase: often * _weight(phrase, idf)
        for phrase, often in times.items()
        if often >= LEAST_TIMES and (len(phrase) > 1 or (is_unspaced(phrase[0]) and len(phrase[0]) > 1))
    }
    chosen: list[Phrase] = []
    for phrase in sorted(weights, key=lambda phrase: (-weights[phrase], phrase)):
        if not any(_overlap(phrase, other) for other in chosen):
            chosen.append(phrase)
        if len(chosen) == OF_A_DOCUMENT:
            break
    return chosen


def _weight(phrase: Phrase, idf: Mapping[str, float]) -> float:
    return sum(idf[word] for word in phrase) / len(phrase) * math.log2(len(phrase) + 1)


def _rounded(weight: float) -> int:
    return round(STEPS * math.log2(weight))


def _says_something(word: str) -> bool:
    return is_unspaced(word) or (len(word) > 1 and any(map(str.isalpha, word)))


def _overlap(one: Phrase, other: Phrase) -> bool:
    """Whether one of two phrases is a part of the other."""
    short, long = sorted((one, other), key=len)
    return any(long[first : first + len(short)] == short for first in range(len(long) - len(short) + 1))
