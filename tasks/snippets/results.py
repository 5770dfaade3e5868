"""The snippets of results: a query and a chunk in, the passage that is shown out.

It depends on the query's terms, how rare each is in the collection, and the chunk's own passage, so that the same
collection and log give the same snippets whatever a night builds upon. How rare a term is moves every night; here it is
a whole number, which stays as it is until a count has passed a power of two, so that nearly all snippets are taken over
from the night before (``carried``).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from nightrank.storage.bm25.terms import analysis_fingerprint
from nightrank.storage.keys import digest, digest_of_bytes, fingerprint
from nightrank.tasks.snippets.passage import PassageText
from nightrank.tasks.snippets.places import TermPlaces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nightrank.storage.bm25.statistics import Bm25Statistics
    from nightrank.storage.bm25.terms import TextAnalyser
    from nightrank.storage.serving.cache import Snippet
    from nightrank.tasks.rank.results import SnippetMaker
    from nightrank.tasks.snippets.carried import SnippetCarrier

TEXTS_HELD = 1000  # whose runs are in memory at one time


def rarity(chunk_count: int, of: int) -> int:
    """How rare a term is: 1 + floor(log2 N) - floor(log2 n), at least 1; idf (Sparck Jones 1972) in whole octaves.

    By ``benchmarks.snippets`` passages that are chosen by it hold as much of an answer as those by the exact idf.

    Args:
        chunk_count: Chunks with the term, 1 to ``of``.
        of: Chunks of the collection.

    >>> [rarity(n, 1000) for n in (1, 2, 3, 4, 511, 512, 1000)]
    [10, 9, 9, 8, 2, 1, 1]
    """
    return 1 + of.bit_length() - chunk_count.bit_length()


def query_weights(store: Bm25Statistics, texts: Sequence[str], *, analyse: TextAnalyser) -> list[dict[str, int]]:
    """The terms of queries that the collection has, each with its ``rarity``.

    Args:
        store: The statistics, analysed so.
        texts: Normalised, (n,).
        analyse: How.

    Returns:
        (n,), by term.
    """
    asked = store.query_terms(texts, analyse=analyse)
    numbers, places = np.unique(asked.column("term_number").to_numpy(), return_inverse=True)
    named = store.terms_at(numbers)
    weights = [rarity(count, store.chunk_count) for count in named.column("chunk_count").to_pylist()]
    terms = named.column("term").to_pylist()
    found: list[dict[str, int]] = [{} for _ in texts]
    for query, place in zip(asked.column("query_number").to_pylist(), places.tolist(), strict=True):
        found[query][terms[place]] = weights[place]
    return found


class Snippets:
    """Makes the snippets of results.

    Args:
        analyse: What the collection was analysed with.
        characters: That a snippet has at most; None: there are none.
        carrier: Takes over those that were made before; None: all are made.
    """

    def __init__(self, analyse: TextAnalyser, *, characters: int | None, carrier: SnippetCarrier | None = None) -> None:
        self._places = TermPlaces(analyse)
        self._characters = characters
        self._carrier = carrier
        self._how = digest(analysis_fingerprint(analyse), str(characters))

    def of(self, weights: Mapping[str, Mapping[str, float]]) -> SnippetMaker:
        """What makes the snippets of some queries.

        Args:
            weights: Of their terms, as ``query_weights`` has them, by query key.
        """
        return partial(self._snippets, weights)

    def _snippets(
        self,
        weights: Mapping[str, Mapping[str, float]],
        query_keys: Sequence[str],
        texts: Sequence[str],
        languages: Sequence[int],
    ) -> list[Snippet | None]:
        if self._characters is None:
            return [None] * len(texts)
        asked = [weights[key] for key in query_keys]
        if self._carrier is None:
            return self._make(self._characters, asked, texts, languages)
        make = partial(self._make_some, self._characters, asked, texts, languages)
        return self._carrier.snippets(self._keys(weights, query_keys, texts, languages), make)

    def _keys(
        self,
        weights: Mapping[str, Mapping[str, float]],
        query_keys: Sequence[str],
        texts: Sequence[str],
        languages: Sequence[int],
    ) -> list[str]:
        """The key of all that each result's snippet depends on, (n,)."""
        of_queries = {key: digest(self._how, fingerprint(weights[key])) for key in dict.fromkeys(query_keys)}
        of_texts = {text: digest(text) for text in dict.fromkeys(texts)}
        return [
            digest_of_bytes(f"{of_queries[key]}{of_texts[text]}{language}".encode())
            for key, text, language in zip(query_keys, texts, languages, strict=True)
        ]

    def _make_some(
        self,
        characters: int,
        asked: Sequence[Mapping[str, float]],
        texts: Sequence[str],
        languages: Sequence[int],
        places: Sequence[int],
    ) -> list[Snippet | None]:
        """Those of some results, by their places."""
        return self._make(
            characters,
            [asked[place] for place in places],
            [texts[place] for place in places],
            [languages[place] for place in places],
        )

    def _make(
        self,
        characters: int,
        asked: Sequence[Mapping[str, float]],
        texts: Sequence[str],
        languages: Sequence[int],
    ) -> list[Snippet | None]:
        found: list[Snippet | None] = [None] * len(texts)
        results: dict[tuple[str, int], list[int]] = {}  # of each text: it is looked at once for all its queries
        for number, text in enumerate(zip(texts, languages, strict=True)):
            results.setdefault(text, []).append(number)
        distinct = list(results)
        for first in range(0, len(distinct), TEXTS_HELD):
            held = distinct[first : first + TEXTS_HELD]
            wanted = [set().union(*(asked[number] for number in results[text])) for text in held]
            places = self._places.find([text for text, _ in held], [language for _, language in held], wanted)
            for text, of_text in zip(held, places, strict=True):
                shown = PassageText(text[0], characters=characters)
                for number in results[text]:
                    weights = asked[number]
                    found[number] = shown.passage([place for place in of_text if place.term in weights], weights)
        return found
