"""The snippets of results: a query and a chunk in, the passage that is shown out.

It depends on the query's terms, how rare each is in the collection, and the chunk's own passage, so that the same
collection and log give the same snippets whatever a night builds upon.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from nightrank.tasks.bm25.formulas import lucene_idf
from nightrank.tasks.snippets.passage import PassageText
from nightrank.tasks.snippets.places import TermPlaces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nightrank.storage.bm25.statistics import Bm25Statistics
    from nightrank.storage.bm25.terms import TextAnalyser
    from nightrank.storage.serving.cache import Snippet
    from nightrank.tasks.rank.results import SnippetMaker

TEXTS_HELD = 1000  # whose runs are in memory at one time


def query_weights(store: Bm25Statistics, texts: Sequence[str], *, analyse: TextAnalyser) -> list[dict[str, float]]:
    """The terms of queries that the collection has, each with its idf, which is above 0.

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
    idf = lucene_idf(named.column("chunk_count").to_numpy().astype(np.float64), store.chunk_count).tolist()
    terms = named.column("term").to_pylist()
    found: list[dict[str, float]] = [{} for _ in texts]
    for query, place in zip(asked.column("query_number").to_pylist(), places.tolist(), strict=True):
        found[query][terms[place]] = idf[place]
    return found


class Snippets:
    """Makes the snippets of results.

    Args:
        analyse: What the collection was analysed with.
        characters: That a snippet has at most; None: there are none.
    """

    def __init__(self, analyse: TextAnalyser, *, characters: int | None) -> None:
        self._places = TermPlaces(analyse)
        self._characters = characters

    def of(self, weights: Mapping[str, Mapping[str, float]]) -> SnippetMaker:
        """What makes the snippets of some queries.

        Args:
            weights: Of their terms, as ``query_weights`` has them, by query key.
        """
        return partial(self._make, weights)

    def _make(
        self,
        weights: Mapping[str, Mapping[str, float]],
        query_keys: Sequence[str],
        texts: Sequence[str],
        languages: Sequence[int],
    ) -> list[Snippet | None]:
        found: list[Snippet | None] = [None] * len(texts)
        if self._characters is None:
            return found
        results: dict[tuple[str, int], list[int]] = {}  # of each text: it is looked at once for all its queries
        for number, text in enumerate(zip(texts, languages, strict=True)):
            results.setdefault(text, []).append(number)
        distinct = list(results)
        for first in range(0, len(distinct), TEXTS_HELD):
            held = distinct[first : first + TEXTS_HELD]
            wanted = [set().union(*(weights[query_keys[number]] for number in results[text])) for text in held]
            places = self._places.find([text for text, _ in held], [language for _, language in held], wanted)
            for text, of_text in zip(held, places, strict=True):
                shown = PassageText(text[0], characters=self._characters)
                for number in results[text]:
                    asked = weights[query_keys[number]]
                    found[number] = shown.passage([place for place in of_text if place.term in asked], asked)
        return found
