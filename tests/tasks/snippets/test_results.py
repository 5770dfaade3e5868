from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.serving.cache import Snippet
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.snippets.results import Snippets, query_weights, rarity
from tests.support.bm25_collections import build

if TYPE_CHECKING:
    from pathlib import Path

ENGLISH = Analyser(("english",))


def test_a_query_weighs_its_terms_by_how_few_chunks_have_them(tmp_path: Path) -> None:
    path = build(tmp_path, {"a": "bees and honey", "b": "honey", "c": "honeys, wax"}, analyser=ENGLISH)
    with Bm25Store.open(path) as store:
        first, second, none = query_weights(store, ["the bees of honey", "wax", "unknown"], analyse=ENGLISH)
    assert first == {"bee": 2, "honey": 1}  # one of three chunks, and all
    assert second == {"wax": 2}
    assert none == {}


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_rarity_is_the_idf_in_bits_within_one_and_never_rises_with_the_count(one: int, other: int) -> None:
    few, many = sorted((one, other))
    assert abs(rarity(few, many) - 1 - math.log2(many / few)) < 1
    assert rarity(few, 10**9) >= rarity(many, 10**9) >= 1


def test_each_result_has_the_snippet_of_its_own_query() -> None:
    maker = Snippets(ENGLISH, characters=40).of({"k1": {"bee": 1}, "k2": {"honey": 1}})
    text = "Bees make honey."
    found = maker(["k1", "k2", "k1"], [text, text, ""], [0, 0, 0])
    assert found == [
        Snippet(0, 16, cut_start=False, cut_end=False, highlights=((0, 4),)),
        Snippet(0, 16, cut_start=False, cut_end=False, highlights=((10, 15),)),
        None,
    ]


def test_where_they_are_off_there_are_none() -> None:
    assert Snippets(ENGLISH, characters=None).of({"k1": {}})(["k1"], ["Bees."], [0]) == [None]
