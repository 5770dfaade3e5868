"""A made-up collection of any size: words by Zipf's law, chunks of uneven length, queries of rarer words.

The same seed gives the same texts on every machine and at every size: chunk n is the same in a collection of 200,000 as
in one of 1,000,000. What is made up is the wording alone; frequencies are set by what English collections show (about
a third of all running words are stop words, some 75 distinct terms in a chunk of 150 words).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.tasks.bm25.languages import word_lists

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SEED = 20_240_601
BLOCK = 20_000  # chunks made at one time, each block from its own generator
DISTINCT_WORDS = 400_000
STOP_WORD_SHARE = 0.36  # of running words
MEAN_WORDS = 150  # of a chunk
WORDS_ASKED = (2, 3, 4, 5, 6)  # beside stop words, in a query
COMMONEST_ASKED = 40  # words by rank from which queries are drawn: the commonest are hardly ever asked for

_ONSETS = ("b", "br", "c", "ch", "cl", "d", "dr", "f", "fl", "g", "gr", "h", "k", "l", "m", "n", "p", "pl", "pr", "qu")
_ONSETS_TOO = ("r", "s", "sh", "sl", "sp", "st", "t", "th", "tr", "v", "w", "z")
_VOWELS = ("a", "ai", "e", "ea", "i", "o", "oa", "ou", "u", "y")
_CODAS = ("", "", "", "l", "m", "n", "nd", "r", "rt", "s", "st", "t", "x")
_ENDINGS = ("", "", "", "", "s", "ed", "ing", "er", "ation", "ly", "ment", "ness")


def text_batches(count: int, *, mean_words: int = MEAN_WORDS) -> Iterator[pa.Array]:
    """The texts of a collection, string (n,) each, ``BLOCK`` at a time.

    Args:
        count: Chunks of the collection.
        mean_words: Words of a chunk, in the mean.
    """
    words = _dressed(content_words(), np.random.default_rng(SEED))
    cumulative = np.cumsum(_weights(DISTINCT_WORDS))
    for number, first in enumerate(range(0, count, BLOCK)):
        generator = np.random.default_rng((SEED, number))
        lengths = np.clip(generator.lognormal(np.log(mean_words) - 0.08, 0.4, BLOCK), 12, 900).astype(np.int32)
        drawn = np.searchsorted(cumulative, generator.random(int(lengths.sum())) * cumulative[-1])
        stop = generator.random(drawn.size) < STOP_WORD_SHARE
        stop_ranks = np.minimum(generator.geometric(0.09, int(stop.sum())), len(word_lists()["english"].stop_words)) - 1
        drawn[stop] = 2 * DISTINCT_WORDS + stop_ranks
        plain = ~stop
        drawn[plain] += DISTINCT_WORDS * (generator.random(int(plain.sum())) < 0.12)  # before a comma, a full stop
        bounds = np.append(0, np.cumsum(lengths)).astype(np.int32)
        lists = pa.ListArray.from_arrays(pa.array(bounds), words.take(pa.array(drawn.astype(np.int32))))
        yield pc.binary_join(lists, " ").slice(0, min(BLOCK, count - first))


def query_texts(count: int) -> list[str]:
    """Queries of two to six words of the collection, some with a stop word between.

    Args:
        count: How many, all different.
    """
    generator = np.random.default_rng((SEED, 1_000_000))
    words, stop_words = content_words(), sorted(word_lists()["english"].stop_words)
    weights = _weights(DISTINCT_WORDS) ** 0.6
    weights[:COMMONEST_ASKED] *= 0.1
    cumulative = np.cumsum(weights)
    queries: dict[str, None] = {}
    while len(queries) < count:
        drawn = np.searchsorted(cumulative, generator.random(int(generator.choice(WORDS_ASKED))) * cumulative[-1])
        said = [words[place] for place in drawn.tolist()]
        if generator.random() < 0.5:
            said.insert(1, stop_words[int(generator.integers(len(stop_words)))])
        queries[" ".join(said)] = None
    return list(queries)


def content_words() -> list[str]:
    """``DISTINCT_WORDS`` words that are no stop words, the commonest first."""
    generator = np.random.default_rng(SEED)
    words: dict[str, None] = {}
    parts = [np.array(part) for part in (_ONSETS + _ONSETS_TOO, _VOWELS, _CODAS, _ENDINGS)]
    stop = word_lists()["english"].stop_words
    while len(words) < DISTINCT_WORDS:
        onsets, vowels, codas, endings = (generator.choice(part, (4, 100_000)) for part in parts)
        syllables = np.char.add(np.char.add(onsets, vowels), codas)
        counts = generator.choice([1, 2, 3, 4], 100_000, p=[0.2, 0.45, 0.25, 0.1])
        for place, syllable_count in enumerate(counts.tolist()):
            word = "".join(syllables[:syllable_count, place].tolist()) + str(endings[0, place])
            if len(word) > 2 and word not in stop:
                words[word] = None
    return sorted(list(words)[:DISTINCT_WORDS], key=len)


def _weights(count: int) -> NDArray[np.float64]:
    """How often the word of each rank comes, by Zipf and Mandelbrot."""
    weights = 1.0 / (np.arange(count) + 12.0) ** 1.05
    return weights.astype(np.float64, copy=False)


def _dressed(words: list[str], generator: np.random.Generator) -> pa.Array:
    """The words, then the words as they end a clause, then the stop words, the commonest of them first."""
    ends = np.array([",", ".", ";", ":", "?"])[generator.choice(5, len(words), p=[0.45, 0.4, 0.05, 0.05, 0.05])]
    capital = generator.random(len(words)) < 0.1
    ended = [
        f"{word.capitalize() if large else word}{end}" for word, end, large in zip(words, ends, capital, strict=True)
    ]
    commonest = ["the", "of", "and", "to", "in", "a", "is", "for", "that", "it", "was", "as", "with", "be", "on", "by"]
    return pa.array([*words, *ended, *commonest, *sorted(word_lists()["english"].stop_words.difference(commonest))])
