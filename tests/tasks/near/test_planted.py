"""Misspellings that are planted: what was meant is known, and what is taken for something else is seen."""

from __future__ import annotations

import pytest

from nightrank.storage.keys import query_key
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.near.known import KnownQueries, KnownQuery
from nightrank.tasks.near.planted import misspelt, planted_pairs
from nightrank.tasks.near.reading import QueryReader
from nightrank.tasks.near.spelling import is_one_edit

READ = QueryReader(Analyser(("english",)), [0])


def pairs(*texts: str, seed: int = 0, most: int = 100) -> list[tuple[str, str]]:
    names = {query_key(text): text for text in texts}
    queries = [KnownQuery(key, text, None, 1) for key, text in names.items()]
    known = KnownQueries(
        queries, read=READ, terms=set(), ranking=lambda _: ("d",), persistence=0.9, least_agreement=0.0
    )
    return [(names[pair.query_key], names[pair.near_key]) for pair in planted_pairs(known, READ, seed=seed, most=most)]


def test_a_misspelt_query_is_taken_for_the_one_that_was_meant() -> None:
    texts = ["python tutorial", "solar eclipse", "sourdough starter", "csv", "3.10", "glaciers"]
    found = pairs(*texts)
    assert found
    assert all(meant == taken for meant, taken in found)
    assert {meant for meant, _ in found} <= {text for text in texts if len(text) > 4}  # short words are not misspelt


def test_one_that_is_taken_for_another_is_seen() -> None:
    # Every edit of these leads to several, to none, or to a neighbour.
    texts = [f"{first}{second}anner" for first in "bcdfghlmnprstvw" for second in "ae"]
    assert all(meant == taken or is_one_edit(meant, taken) for meant, taken in pairs(*texts))


def test_the_same_ones_are_drawn_in_every_run() -> None:
    texts = [f"{word} story" for word in ("winter", "summer", "autumn", "spring", "monday", "sunday")]
    assert pairs(*texts, most=3) == pairs(*texts[::-1], most=3)
    assert pairs(*texts, most=3) != pairs(*texts, most=3, seed=1)


@pytest.mark.parametrize("word", ["python", "abcde", "straße", "бабушка"])
def test_a_misspelling_is_one_edit_away_unless_letters_repeat(word: str) -> None:
    made = {misspelt(word, chance) for chance in range(100)}
    assert len(made) > 8
    assert all(is_one_edit(word, one) or one == word for one in made)
