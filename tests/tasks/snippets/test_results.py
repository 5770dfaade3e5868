from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.serving.cache import Snippet
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.snippets.results import Snippets, query_weights
from tests.support.bm25_collections import build

if TYPE_CHECKING:
    from pathlib import Path

ENGLISH = Analyser(("english",))


def test_a_query_weighs_its_terms_by_how_few_chunks_have_them(tmp_path: Path) -> None:
    path = build(tmp_path, {"a": "bees and honey", "b": "honey", "c": "honeys, wax"}, analyser=ENGLISH)
    with Bm25Store.open(path) as store:
        first, second, none = query_weights(store, ["the bees of honey", "wax", "unknown"], analyse=ENGLISH)
    # ln(1 + (3 - n + 0.5) / (n + 0.5)): 8/3 where one of three chunks has it, 8/7 where all have.
    assert first == {"bee": pytest.approx(0.980829, abs=1e-6), "honey": pytest.approx(0.133531, abs=1e-6)}
    assert second == {"wax": first["bee"]}
    assert none == {}


def test_each_result_has_the_snippet_of_its_own_query() -> None:
    maker = Snippets(ENGLISH, characters=40).of({"k1": {"bee": 1.0}, "k2": {"honey": 1.0}})
    text = "Bees make honey."
    found = maker(["k1", "k2", "k1"], [text, text, ""], [0, 0, 0])
    assert found == [
        Snippet(0, 16, cut_start=False, cut_end=False, highlights=((0, 4),)),
        Snippet(0, 16, cut_start=False, cut_end=False, highlights=((10, 15),)),
        None,
    ]


def test_where_they_are_off_there_are_none() -> None:
    assert Snippets(ENGLISH, characters=None).of({"k1": {}})(["k1"], ["Bees."], [0]) == [None]
